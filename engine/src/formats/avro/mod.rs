//! Avro's object container files: a header with the schema, then blocks of records, each followed by a mark that is the
//! same throughout the file and nowhere else. Ranges of a file begin with the first block behind such a mark.
//!
//! arrow-avro makes batches of records, and is given one block at a time, decompressed by us with bounds and gone through
//! once: its reader neither bounds what comes out of decompression, nor ends when a block has more in it than it claims.

pub mod blocks;
pub mod codec;
pub mod header;
pub mod opener;
pub mod reader;
pub mod shape;
pub mod snappy;

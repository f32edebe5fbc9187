//! Text files: bytes to records to batches, in ranges of one file that many tasks read at once.
//!
//! `dialect` says what divides records, `scanner` finds their ends, `boundary` the first one of a range, `reader` makes
//! batches of them with a format's `parser`. What is bad ends up in `bad_row`. `file` gets the text of a file, `opener`
//! and `rows` put it all together.

pub mod bad_row;
pub mod boundary;
pub mod dialect;
pub mod file;
pub mod in_memory;
pub mod line_number;
pub mod opener;
pub mod parser;
pub mod projected;
pub mod range_start;
pub mod reader;
pub mod rows;
pub mod sample;
pub mod scanner;

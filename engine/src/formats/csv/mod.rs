//! CSV and TSV: what a file's columns are, and opening one.

pub mod header;
pub mod inference;
pub mod padding;
pub mod parser;
pub mod times;

//! Lines of JSON: what the members of a file's objects are, and parsing them.

pub mod inference;
pub mod integers;
pub mod parser;

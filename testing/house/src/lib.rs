//! The sources of the workspace, as the tidy tests look at them: which files there are, what their lines are when
//! comments and strings are blanked out, and where their functions begin and end.
//!
//! It parses just enough of Rust to count lines fairly; it does not understand the language.

pub mod functions;
pub mod masked;
pub mod tree;

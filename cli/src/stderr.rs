//! What people are told beside the rows: errors, and how things go on.

use std::io::{self, Write};

use crate::visible;

/// Tells a person something. A terminal that is gone, as after SIGHUP, is not an error.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", visible::in_lines(text));
}

//! Reads a file of statements.

use std::io::Read;
use std::path::Path;

use windrow_common::{Error, ErrorKind, Result};

/// The text of a file; `-` is stdin.
pub fn read(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return stdin();
    }
    std::fs::read_to_string(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::InvalidData => ErrorKind::User,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("cannot read '{}': {error}", path.display()))
    })
}

/// All that comes from stdin.
pub fn stdin() -> Result<String> {
    let mut script = String::new();
    let read = std::io::stdin().read_to_string(&mut script);
    read.map_err(|error| Error::user(format!("cannot read statements from stdin: {error}")))?;
    Ok(script)
}

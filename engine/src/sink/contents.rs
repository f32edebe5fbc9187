//! What a directory holds that readers would see, were no write under way.

use std::fs;
use std::io;
use std::path::Path;

use windrow_common::{Error, ErrorKind, Result};

use super::{disk, is_hidden};

/// Directories inside one another that are followed; more means that links go in circles.
const MAX_DEPTH: usize = 64;

/// Paths of all files below `root` that are not hidden, relative to it, with `/`, sorted. Links are followed, as
/// readers follow them; names that are not UTF-8 are passed over, for our readers cannot name them either. A directory
/// that does not exist is empty.
pub fn visible_files(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    walk(root, "", 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(directory: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) -> Result<()> {
    if depth > MAX_DEPTH {
        let message = format!("'{}' has more than {MAX_DEPTH} directories inside one another", directory.display());
        return Err(Error::new(ErrorKind::Limit, message));
    }
    let cannot = |e: &io::Error| disk::error("list", directory, e);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(cannot(&e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| cannot(&e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // Gone meanwhile, or a link to nowhere: readers do not see it either.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if is_hidden(name, metadata.is_dir()) {
            continue;
        }
        if metadata.is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), depth + 1, files)?;
        } else {
            files.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

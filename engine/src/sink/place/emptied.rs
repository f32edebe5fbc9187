//! Directories of a local place that come and go with the files in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use windrow_common::Result;

use crate::sink::{HIDDEN_DIRECTORY, disk};

/// Makes the directories of a path below `root`, and never the root itself: that was there when the write began, and is
/// gone only if the write came to nothing. The same holds for the hidden directory.
pub(super) fn create_below(root: &Path, directory: &Path) -> io::Result<()> {
    let mut path = root.to_path_buf();
    for component in directory.components() {
        path.push(component);
        if component.as_os_str() == HIDDEN_DIRECTORY {
            continue;
        }
        match fs::create_dir(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the directories of a path, from the inmost, as far as nobody has files there. The root and the hidden
/// directory stay.
pub(super) fn remove_empty(root: &Path, directory: &Path) {
    for directory in directory.ancestors() {
        let stays = directory.file_name().is_none_or(|name| name == HIDDEN_DIRECTORY);
        if stays || fs::remove_dir(root.join(directory)).is_err() {
            return;
        }
    }
}

/// Makes the entries last of the directories that these names lie in, up to the root.
pub(super) fn sync_above<'a>(root: &Path, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut directories: Vec<PathBuf> =
        names.flat_map(|name| Path::new(name).ancestors().skip(1).map(|p| root.join(p)).collect::<Vec<_>>()).collect();
    directories.sort();
    directories.dedup();
    // One that was emptied is gone.
    directories.iter().filter(|d| d.is_dir()).try_for_each(|d| disk::sync_directory(d))
}

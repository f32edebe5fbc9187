//! Walks through the files of a local place.

use std::fs;
use std::io;
use std::path::Path;

use windrow_common::{Error, ErrorKind, Result};

use super::{EachName, HiddenFile};
use crate::sink::{HIDDEN_DIRECTORY, disk, is_hidden};

/// Directories inside one another that are followed; more means that links go in circles.
const MAX_DEPTH: usize = 64;

/// Gives the paths of all files below `root` that are not hidden, relative to it, with `/`. Links are followed, as
/// readers follow them; names that are not UTF-8 are passed over, for our readers cannot name them either. A directory
/// that does not exist is empty.
pub(super) fn visible_files(root: &Path, seen: EachName<'_>) -> Result<()> {
    walk(root, "", 0, &is_hidden, &mut |name, _| seen(name))
}

/// The names in a directory itself that are not of directories; none if it is not there.
pub(super) fn names_in(directory: &Path) -> Result<Vec<String>> {
    let cannot = |e: &io::Error| disk::error("list", directory, e);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(cannot(&e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| cannot(&e))?;
        let is_directory = entry.file_type().is_ok_and(|t| t.is_dir());
        if let (false, Ok(name)) = (is_directory, entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What writers of ours keep in a directory: all that is in its hidden directory, and single files that are staged.
pub(super) fn hidden_files(root: &Path) -> Result<Vec<HiddenFile>> {
    let mut files = Vec::new();
    let mut keep = |name: &str, metadata: &fs::Metadata| {
        let modified = metadata.modified().map_err(|e| disk::error("read the age of", &root.join(name), &e))?;
        files.push(HiddenFile { name: name.to_owned(), bytes: metadata.len(), modified });
        Ok(())
    };
    walk(&root.join(HIDDEN_DIRECTORY), &format!("{HIDDEN_DIRECTORY}/"), 0, &|_, _| false, &mut keep)?;
    walk(root, "", 0, &|_, is_directory| is_directory, &mut |name, metadata| {
        if name.starts_with('.') && name.ends_with(".staged") { keep(name, metadata) } else { Ok(()) }
    })?;
    Ok(files)
}

type EachEntry<'a> = &'a mut dyn FnMut(&str, &fs::Metadata) -> Result<()>;

fn walk(
    directory: &Path,
    prefix: &str,
    depth: usize,
    passed_over: &dyn Fn(&str, bool) -> bool,
    seen: EachEntry<'_>,
) -> Result<()> {
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
        if passed_over(name, metadata.is_dir()) {
            continue;
        }
        if metadata.is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), depth + 1, passed_over, seen)?;
        } else {
            seen(&format!("{prefix}{name}"), &metadata)?;
        }
    }
    Ok(())
}

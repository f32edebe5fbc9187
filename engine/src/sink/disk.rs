//! The few things done to disks here, durable and with errors that name the path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use windrow_common::{Error, Result};

/// Names tried for a temporary file before giving up; each is left by a writer that died in the middle.
const MAX_TEMPORARY_NAMES: u32 = 1000;
/// Times that a directory is removed again because others still put files into it.
const MAX_REMOVE_TRIES: u32 = 16;

/// An I/O error with what was being done to which path, and what helps where something does.
pub fn error(doing: &str, path: &Path, source: &io::Error) -> Error {
    // What comes from an object store says all that itself.
    if let Some(ours) = source.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return ours.clone();
    }
    let path = path.display();
    let advice = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room there or write elsewhere",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; the user that runs the workers and the coordinator must be allowed to write there"
        }
        _ => "",
    };
    Error::io(format!("cannot {doing} '{path}': {source}{advice}"))
}

/// Makes the entries of a directory last.
pub fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|d| d.sync_all()).map_err(|e| error("sync directory", path, &e))
}

/// Makes the directory, with its parents, and lets all of them last.
pub fn create_directory(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.is_dir()).collect();
    fs::create_dir_all(path).map_err(|e| error("create directory", path, &e))?;
    missing.iter().filter_map(|p| p.parent()).try_for_each(sync_directory)
}

/// Removes a file; that it is gone already is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(error("remove", path, &e)),
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it; that it is gone already is fine. Tries again when somebody puts something
/// into it meanwhile.
pub fn remove_directory(path: &Path) -> Result<()> {
    let mut tries = 0;
    loop {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !path.exists() => return Ok(()),
            Err(_) if tries < MAX_REMOVE_TRIES => tries += 1,
            Err(e) => return Err(error("remove", path, &e)),
        }
    }
}

/// Writes a file whose loss half-way does not matter, and lets it last.
pub fn write_file(path: &Path, contents: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().map_err(|e| error("write", path, &e))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Creates the file with all of its contents, or not at all: true if this call created it, false if it was there.
/// Lasts once it returns true.
pub fn create_once(path: &Path, contents: &[u8]) -> Result<bool> {
    let (mut file, temporary) = temporary_beside(path)?;
    let mut link = || {
        file.write_all(contents)?;
        file.sync_all()?;
        match fs::hard_link(&temporary, path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    };
    let linked = link().map_err(|e| error("create", path, &e));
    let _ = fs::remove_file(&temporary);
    if linked? {
        path.parent().map_or(Ok(()), sync_directory)?;
        return Ok(true);
    }
    Ok(false)
}

fn temporary_beside(path: &Path) -> Result<(File, PathBuf)> {
    for number in 0..MAX_TEMPORARY_NAMES {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}.tmp"));
        let temporary = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(error("create", &temporary, &e)),
        }
    }
    Err(Error::io(format!("too many abandoned temporary files beside '{}'; remove '*.tmp' there", path.display())))
}

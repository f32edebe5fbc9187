//! Publishing a single file: the rename of the staged file is decision and publication in one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::commit::{PublishSummary, Step, Watch};
use super::disk;
use super::spec::SinkSpec;
use super::staging::Staging;
use super::written::WrittenFile;

/// Looks whether the file can be written before anybody begins.
pub(super) fn prepare(spec: &SinkSpec) -> Result<()> {
    let path = spec.path()?;
    let exists = path.symlink_metadata().is_ok();
    let shown = path.display();
    if path.is_dir() {
        return Err(Error::user(format!(
            "'{shown}' is a directory; write '{shown}/' to put files into it, or choose another name for a single file"
        )));
    }
    match spec.mode {
        SinkMode::Append => return Err(append()),
        SinkMode::ErrorIfExists if exists => return Err(already_exists(&path)),
        SinkMode::ErrorIfExists | SinkMode::Overwrite => {}
    }
    disk::create_directory(&spec.root()?)
}

/// Puts the staged file in its place. A staged file can be renamed once; that it is gone, and the target is there with
/// its size, means that an earlier call did it.
pub(super) fn publish(spec: &SinkSpec, files: &[WrittenFile], watch: Watch<'_>) -> Result<PublishSummary> {
    let staging = Staging::of(spec)?;
    let [file] = files else {
        let count = files.len();
        return Err(Error::internal(format!("a single file is published from one staged file, not from {count}")));
    };
    if !staging.owns(file) {
        return Err(Error::internal(format!("'{}' was not staged by this write", file.staged)));
    }
    let (target, staged) = (spec.path()?, staging.root().join(&file.staged));
    match spec.mode {
        SinkMode::Append => return Err(append()),
        SinkMode::Overwrite => replace(&staged, &target, file)?,
        SinkMode::ErrorIfExists => link(&staged, &target, file)?,
    }
    watch(Step::Decided)?;
    disk::sync_directory(staging.root())?;
    watch(Step::Published)?;
    staging.remove();
    watch(Step::Cleaned)?;
    Ok(PublishSummary { rows: file.rows, files: 1, bytes: file.bytes })
}

fn replace(staged: &Path, target: &Path, file: &WrittenFile) -> Result<()> {
    match fs::rename(staged, target) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => arrived(staged, target, file),
        Err(e) => Err(disk::error("move the written file to", target, &e)),
    }
}

fn link(staged: &Path, target: &Path, file: &WrittenFile) -> Result<()> {
    match fs::hard_link(staged, target) {
        Ok(()) => disk::remove_file(staged),
        Err(e) if e.kind() == io::ErrorKind::NotFound => arrived(staged, target, file),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match (fs::metadata(staged), fs::metadata(target)) {
            // An earlier call was interrupted between its two steps.
            (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()) => disk::remove_file(staged),
            _ => Err(already_exists(target)),
        },
        Err(e) => Err(disk::error("create", target, &e)),
    }
}

fn arrived(staged: &Path, target: &Path, file: &WrittenFile) -> Result<()> {
    match fs::metadata(target) {
        Ok(metadata) if metadata.len() == file.bytes => Ok(()),
        _ => Err(super::commit::staged_is_gone(staged)),
    }
}

fn append() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "rows cannot be appended to a single Parquet file; write to a directory (a path that ends with '/')",
    )
}

fn already_exists(path: &Path) -> Error {
    let message = format!("'{}' exists; write OPTIONS (mode 'overwrite') to replace it", path.display());
    Error::new(ErrorKind::AlreadyExists, message)
}

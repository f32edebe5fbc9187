//! A directory of a file system that all workers and the coordinator share.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use windrow_common::{Error, Result};

use super::{EachFile, EachName, Found, HiddenFile, Place, emptied, walk};
use crate::sink::output::{DiskOutput, Receipt, Staged};
use crate::sink::spec::Layout;
use crate::sink::written::WrittenFile;
use crate::sink::{HIDDEN_DIRECTORY, disk};

/// Tries to create a file in a directory that somebody else may be removing because it is empty.
const MAX_CREATE_TRIES: u32 = 16;

/// A directory.
#[derive(Clone, Debug)]
pub(in crate::sink) struct LocalPlace {
    root: PathBuf,
}

/// What became of a staged file that was to be put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Installed {
    /// It is there, now or since an earlier call.
    InPlace,
    /// Somebody else's file is there.
    Taken,
}

impl LocalPlace {
    /// The directory `root`, whether or not it is there yet.
    pub(in crate::sink) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes the directory itself.
    pub(in crate::sink) fn create(&self) -> Result<()> {
        disk::create_directory(&self.root)
    }

    /// Makes the entries of the directory itself last.
    pub(in crate::sink) fn sync(&self) -> Result<()> {
        disk::sync_directory(&self.root)
    }

    /// Puts a staged file in its place in one step, which can be done once. That the staged file is gone, and the target
    /// is that very file, means that an earlier call did it. (Another one may be as large: an aborted write must not be
    /// taken for a published one.)
    pub(in crate::sink) fn install(&self, file: &WrittenFile, replace: bool) -> Result<Installed> {
        let (staged, target) = (self.root.join(&file.staged), self.root.join(&file.name));
        let installed = if replace { fs::rename(&staged, &target) } else { fs::hard_link(&staged, &target) };
        match installed {
            Ok(()) if replace => Ok(Installed::InPlace),
            Ok(()) => disk::remove_file(&staged).map(|()| Installed::InPlace),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match fs::metadata(&target) {
                Ok(metadata) if is_it(file, &metadata) => Ok(Installed::InPlace),
                _ => Err(gone(&staged)),
            },
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && !replace => {
                match (fs::metadata(&staged), fs::metadata(&target)) {
                    // An earlier call was interrupted between its two steps.
                    (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()) => {
                        disk::remove_file(&staged).map(|()| Installed::InPlace)
                    }
                    _ => Ok(Installed::Taken),
                }
            }
            Err(e) => Err(disk::error("move the written file to", &target, &e)),
        }
    }

    fn hidden_directory(&self) -> PathBuf {
        self.root.join(HIDDEN_DIRECTORY)
    }

    /// Makes the directory for a staged file and creates it there. Directories are not synced here: the publication does
    /// it once for all.
    fn create_new(&self, staged: &str) -> Result<File> {
        let path = self.root.join(staged);
        let parent = Path::new(staged).parent().unwrap_or(Path::new(""));
        let mut tries = 0;
        loop {
            let made = emptied::create_below(&self.root, parent);
            match made.and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path)) {
                Ok(file) => return Ok(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries < MAX_CREATE_TRIES => tries += 1,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let path = path.display();
                    return Err(Error::internal(format!("'{path}' is there already: its attempt runs twice")));
                }
                Err(e) => return Err(disk::error("create", &path, &e)),
            }
        }
    }

    fn rename(&self, file: &WrittenFile) -> Result<()> {
        let (staged, name) = (self.root.join(&file.staged), self.root.join(&file.name));
        let directory = Path::new(&file.name).parent().unwrap_or(Path::new(""));
        let mut tries = 0;
        loop {
            let made = emptied::create_below(&self.root, directory);
            match made.and_then(|()| fs::rename(&staged, &name)) {
                Ok(()) => return Ok(()),
                // Whoever helps an earlier write to its end may remove a directory that it finds empty.
                Err(e) if e.kind() == io::ErrorKind::NotFound && staged.exists() && tries < MAX_CREATE_TRIES => {
                    tries += 1;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound && name.exists() => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(gone(&staged)),
                Err(e) => return Err(disk::error("move a written file to", &name, &e)),
            }
        }
    }

    /// Removes the files in the root itself whose names begin like this.
    fn clear_beside(&self, prefix: &str) -> Result<()> {
        let ours = |name: &String| name.starts_with(prefix) && name.ends_with(".staged");
        self.names_in("")?.iter().filter(|name| ours(name)).try_for_each(|name| self.remove(name))
    }
}

impl Place for LocalPlace {
    fn shown(&self, name: &str) -> String {
        if name.is_empty() { self.root.display().to_string() } else { self.root.join(name).display().to_string() }
    }

    fn local(&self) -> Option<&LocalPlace> {
        Some(self)
    }

    fn is_there(&self) -> bool {
        self.root.is_dir()
    }

    fn refuse_file(&self) -> Result<()> {
        if self.root.symlink_metadata().is_ok() && !self.root.is_dir() {
            let shown = self.root.display();
            return Err(Error::user(format!(
                "'{shown}' is a file, not a directory; remove it or write somewhere else"
            )));
        }
        Ok(())
    }

    fn make_ready(&self) -> Result<()> {
        disk::create_directory(&self.hidden_directory())
    }

    fn is_ready(&self) -> bool {
        self.hidden_directory().is_dir()
    }

    fn remove_place(&self) -> Result<()> {
        disk::remove_directory(&self.root)
    }

    fn visible(&self, seen: EachName<'_>) -> Result<()> {
        walk::visible_files(&self.root, seen)
    }

    fn names_in(&self, directory: &str) -> Result<Vec<String>> {
        walk::names_in(&self.root.join(directory))
    }

    fn hidden(&self) -> Result<Vec<HiddenFile>> {
        walk::hidden_files(&self.root)
    }

    fn find(&self, name: &str) -> Result<Found> {
        let path = self.root.join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(Found::Directory),
            Ok(metadata) => Ok(Found::File { bytes: metadata.len(), tag: String::new() }),
            // A link to nowhere is something that may not be overwritten unasked.
            Err(e) if e.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() => {
                Ok(Found::File { bytes: 0, tag: String::new() })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(e) => Err(disk::error("read", &path, &e)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.root.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(disk::error("read", &path, &e)),
        }
    }

    fn create_once(&self, name: &str, contents: &[u8]) -> Result<bool> {
        disk::create_once(&self.root.join(name), contents)
    }

    fn put(&self, name: &str, contents: &[u8]) -> Result<()> {
        disk::write_file(&self.root.join(name), contents)
    }

    fn remove(&self, name: &str) -> Result<()> {
        disk::remove_file(&self.root.join(name))
    }

    fn remove_replaced(&self, names: &[String], removed: EachName<'_>) -> Result<()> {
        for name in names {
            self.remove(name)?;
            removed(name)?;
        }
        for name in names {
            emptied::remove_empty(&self.root, Path::new(name).parent().unwrap_or(Path::new("")));
        }
        emptied::sync_above(&self.root, names.iter().map(String::as_str))
    }

    fn begin(&self, staged: &str, _name: &str, layout: Layout) -> Result<Staged> {
        let path = self.root.join(staged);
        let file = self.create_new(staged)?;
        let inode = match layout {
            Layout::Directory => None,
            Layout::SingleFile => Some(file.metadata().map_err(|e| disk::error("read", &path, &e))?.ino()),
        };
        let output = Box::new(DiskOutput::new(file, path.clone()));
        Ok(Staged { output, path, receipt: Receipt::local(inode) })
    }

    fn verify(&self, files: &[WrittenFile]) -> Result<()> {
        for file in files {
            let staged = self.root.join(&file.staged);
            match fs::metadata(&staged) {
                Ok(metadata) if metadata.len() == file.bytes => {}
                Ok(metadata) => {
                    let (found, path) = (metadata.len(), staged.display());
                    return Err(Error::io(format!("'{path}' has {found} bytes, its writer reported {}", file.bytes)));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(gone(&staged)),
                Err(e) => return Err(disk::error("read", &staged, &e)),
            }
        }
        // The files themselves are synced by their writers.
        emptied::sync_above(&self.root, files.iter().map(|f| f.staged.as_str()))
    }

    fn publish(&self, files: &[WrittenFile], _before: Option<&str>, done: EachFile<'_>) -> Result<()> {
        // Whoever decided may not have come to it: the decision must outlast a crash if anything that it asks for does.
        disk::sync_directory(&self.hidden_directory())?;
        for file in files {
            done(file, self.rename(file))?;
        }
        self.sync()?;
        emptied::sync_above(&self.root, files.iter().map(|f| f.name.as_str()).filter(|name| name.contains('/')))
    }

    fn lost(&self, files: &[WrittenFile], _before: Option<&str>) -> Result<Vec<String>> {
        let is_there = |name: &str| {
            let path = self.root.join(name);
            path.try_exists().map_err(|e| disk::error("look for", &path, &e))
        };
        let mut lost = Vec::new();
        for file in files {
            // In this order: a file that is moved meanwhile is seen in its place.
            if !is_there(&file.staged)? && !is_there(&file.name)? {
                lost.push(file.name.clone());
            }
        }
        Ok(lost)
    }

    fn discard(&self, begun: &[String], _ended: &[WrittenFile]) {
        for staged in begun {
            let _ = fs::remove_file(self.root.join(staged));
        }
        // They go with the attempt's last file, and with the write's.
        for staged in begun {
            emptied::remove_empty(&self.root, Path::new(staged).parent().unwrap_or(Path::new("")));
        }
    }

    fn clear(&self, prefix: &str, _published: &[WrittenFile]) -> Result<()> {
        let Some(directory) = prefix.strip_suffix('/') else { return self.clear_beside(prefix) };
        let directory = self.root.join(directory);
        let removed = disk::remove_directory(&directory);
        if let Some(all) = directory.parent() {
            // Goes if no other write is under way.
            let _ = fs::remove_dir(all);
        }
        removed
    }
}

fn is_it(file: &WrittenFile, found: &fs::Metadata) -> bool {
    found.len() == file.bytes && file.inode.is_none_or(|inode| inode == found.ino())
}

/// A staged file has vanished.
fn gone(staged: &Path) -> Error {
    Error::io(format!(
        "the written file '{}' is gone; was it removed, or is the target not on a disk that all workers and the \
         coordinator share?",
        staged.display()
    ))
}

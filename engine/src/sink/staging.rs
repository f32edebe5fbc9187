//! Where files lie before they are published, and what they are called afterwards.
//!
//! ```text
//! directory     <target>/_windrow/staging/<job>-<statement>-<sink>/<attempt>/part-<p>-<k>.parquet
//!          ──►  <target>/part-<job>-<statement>-<p>-<k>.parquet
//! partitioned   <target>/_windrow/staging/<job>-<statement>-<sink>/<attempt>/year=2024/part-<p>-<k>.parquet
//!          ──►  <target>/year=2024/part-<job>-<statement>-<p>-<k>.parquet
//! single file   <parent>/.<name>.<job>-<statement>-<sink>.<attempt>.staged  ──►  <parent>/<name>
//! ```
//!
//! A staged path names its attempt, so two attempts of a task never touch each other's files. A final name does not, so
//! whichever attempt is accepted, its files have the same names.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use windrow_common::{AttemptId, Result};

use super::disk;
use super::spec::{Layout, SinkSpec};
use super::written::WrittenFile;
use super::{HIDDEN_DIRECTORY, is_hidden};

/// Which attempt runs a plan. Whoever runs it puts this into the session config as an extension:
/// `SessionConfig::with_extension(Arc::new(AttemptContext { attempt }))`.
#[derive(Clone, Copy, Debug)]
pub struct AttemptContext {
    /// The attempt.
    pub attempt: AttemptId,
}

/// Names and places of one write's files.
#[derive(Clone, Debug)]
pub struct Staging {
    root: PathBuf,
    layout: Layout,
    extension: &'static str,
    /// Directories between the target and its files: one for each column that it is partitioned by.
    depth: usize,
    /// `<job>-<statement>-<sink>`.
    write: String,
    /// Begin of final names in a directory; the whole final name of a single file.
    name: String,
}

impl Staging {
    /// The places of this write.
    pub fn of(spec: &SinkSpec) -> Result<Self> {
        Self::at(spec.root()?, spec)
    }

    /// The places of this write, whose directory is now found at `root`.
    pub fn at(root: PathBuf, spec: &SinkSpec) -> Result<Self> {
        let name = match spec.layout {
            // Half of the id: enough that two jobs never meet in one directory.
            Layout::Directory => format!("part-{:016x}-{}", (spec.job >> 64) as u64, spec.statement),
            Layout::SingleFile => spec.file_name()?,
        };
        Ok(Self {
            root,
            layout: spec.layout,
            extension: spec.format.extension(),
            depth: spec.partition_by.len(),
            write: format!("{:032x}-{}-{}", spec.job, spec.statement, spec.sink),
            name,
        })
    }

    /// The directory that names are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of a staged file relative to the root: file `index` of a partition, as one attempt writes it, in `directory`
    /// (`year=2024/month=1`, or nothing).
    pub fn staged(&self, attempt: AttemptId, directory: &str, partition: usize, index: usize) -> String {
        match self.layout {
            Layout::Directory => {
                let (prefix, extension, between) = (self.prefix(), self.extension, slash(directory));
                format!("{prefix}{}/{directory}{between}part-{partition:05}-{index:03}.{extension}", attempt.long())
            }
            Layout::SingleFile => format!("{}{}.staged", self.prefix(), attempt.long()),
        }
    }

    /// Final name relative to the root.
    pub fn final_name(&self, directory: &str, partition: usize, index: usize) -> String {
        match self.layout {
            Layout::Directory => {
                let (name, extension, between) = (&self.name, self.extension, slash(directory));
                format!("{directory}{between}{name}-{partition:05}-{index:03}.{extension}")
            }
            Layout::SingleFile => self.name.clone(),
        }
    }

    /// Whether this write can have staged such a file. Rows come from other processes; what they name is renamed and
    /// deleted, so nothing outside the staging may be named.
    pub fn owns(&self, file: &WrittenFile) -> bool {
        let plain = |path: &str| Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        let named = match self.layout {
            Layout::Directory => {
                let mut directories: Vec<&str> = file.name.split('/').collect();
                let name = directories.pop().unwrap_or_default();
                name.starts_with(&self.name)
                    && directories.len() == self.depth
                    && directories.iter().all(|directory| directory.contains('=') && !is_hidden(directory, true))
            }
            Layout::SingleFile => file.name == self.name,
        };
        named && plain(&file.staged) && plain(&file.name) && file.staged.starts_with(&self.prefix())
    }

    /// Removes everything that this write has staged, whichever attempt did. Best effort: what stays is hidden.
    pub fn remove(&self) {
        let removed = match self.layout {
            Layout::Directory => {
                let all = self.root.join(HIDDEN_DIRECTORY).join("staging");
                let removed = disk::remove_directory(&all.join(&self.write));
                // Goes if no other write is under way.
                let _ = fs::remove_dir(all);
                removed
            }
            Layout::SingleFile => self.remove_beside(),
        };
        if let Err(error) = removed {
            tracing::warn!(write = self.write, root = %self.root.display(), %error, "staged files stay behind");
        }
    }

    /// Makes the directory entries of staged files last: the files themselves are synced by their writers.
    pub fn sync(&self, files: &[WrittenFile]) -> Result<()> {
        let mut directories: Vec<PathBuf> = files
            .iter()
            .flat_map(|f| Path::new(&f.staged).ancestors().skip(1).map(|p| self.root.join(p)).collect::<Vec<_>>())
            .collect();
        directories.sort();
        directories.dedup();
        directories.iter().try_for_each(|d| disk::sync_directory(d))
    }

    fn prefix(&self) -> String {
        match self.layout {
            Layout::Directory => format!("{HIDDEN_DIRECTORY}/staging/{}/", self.write),
            Layout::SingleFile => format!(".{}.{}.", self.name, self.write),
        }
    }

    fn remove_beside(&self) -> Result<()> {
        let prefix = self.prefix();
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|e| disk::error("list", &self.root, &e))?,
        };
        for entry in entries {
            let entry = entry.map_err(|e| disk::error("list", &self.root, &e))?;
            if entry.file_name().to_str().is_some_and(|n| n.starts_with(&prefix) && n.ends_with(".staged")) {
                disk::remove_file(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Makes the directory for an attempt's files, and never the target itself: that was there when the write began, and
    /// is gone only if the write came to nothing.
    pub fn create_directory(&self, staged: &Path) -> std::io::Result<()> {
        let mut directory = self.root.clone();
        let Some(parent) = staged.parent() else { return Ok(()) };
        for component in parent.components() {
            directory.push(component);
            if component.as_os_str() == HIDDEN_DIRECTORY {
                continue;
            }
            match fs::create_dir(&directory) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the directories that an attempt's files were in, as far as nobody else has files there.
    pub fn remove_empty(&self, staged: &Path) {
        for directory in staged.ancestors().skip(1) {
            let hidden = directory.file_name().is_none_or(|name| name == HIDDEN_DIRECTORY);
            if hidden || fs::remove_dir(self.root.join(directory)).is_err() {
                return;
            }
        }
    }
}

/// What stands between a directory and a name in it.
fn slash(directory: &str) -> &'static str {
    if directory.is_empty() { "" } else { "/" }
}

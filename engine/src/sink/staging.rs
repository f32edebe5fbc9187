//! What files are called before they are published, and afterwards.
//!
//! ```text
//! directory          _windrow/staging/<job>-<statement>-<sink>/<attempt>/[<directory>/]part-<p>-<k>.parquet
//!   a file    ──►    [<directory>/]part-<job>-<statement>-<p>-<k>.parquet
//!   an upload ──►    [<directory>/]part-<job>-<statement>-<p>-<k>-<attempt>.parquet
//! single file        .<name>.<job>-<statement>-<sink>.<attempt>.staged                        ──►  <name>
//!   an upload        _windrow/staging/<job>-<statement>-<sink>/<attempt>/<name>               ──►  <name>
//! ```
//!
//! A staged name holds its attempt, so two attempts of a task never touch each other's files. In a file system a final
//! name does not: whichever attempt is accepted, its files have the same names. On an object store it does: uploads are
//! made to their final names, and on Azure completing one throws away what others have sent for the same name.

use std::sync::Arc;

use windrow_common::{AttemptId, Error, Result};

use super::place::Place;
use super::spec::{Layout, SinkSpec};
use super::written::WrittenFile;
use super::{HIDDEN_DIRECTORY, is_hidden};
use crate::stores::Stores;

/// Which attempt runs a plan, and with which stores. Whoever runs it puts this into the session config as an extension:
/// `SessionConfig::with_extension(Arc::new(AttemptContext { attempt, stores }))`.
#[derive(Clone, Debug)]
pub struct AttemptContext {
    /// The attempt.
    pub attempt: AttemptId,
    /// The stores of the process.
    pub stores: Arc<Stores>,
}

/// Names of one write's files. All are relative to the write's place.
#[derive(Clone, Debug)]
pub(super) struct Staging {
    layout: Layout,
    /// Whether files are staged as uploads.
    uploads: bool,
    extension: &'static str,
    /// `<job>-<statement>-<sink>`.
    write: String,
    /// Begin of final names in a directory; the whole final name of a single file.
    name: String,
}

/// Which of a write's files it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) attempt: AttemptId,
    /// The directory it goes to, relative to the place; empty for the place itself.
    pub(super) directory: String,
    pub(super) partition: usize,
    pub(super) index: usize,
}

impl Staging {
    /// The names of this write.
    pub(super) fn of(spec: &SinkSpec, place: &dyn Place) -> Result<Self> {
        let name = match spec.layout {
            // Half of the id: enough that two jobs never meet in one directory.
            Layout::Directory => format!("part-{:016x}-{}", (spec.job >> 64) as u64, spec.statement),
            Layout::SingleFile => spec.file_name()?,
        };
        Ok(Self {
            layout: spec.layout,
            uploads: place.local().is_none(),
            extension: spec.format.extension(),
            write: spec.identity(),
            name,
        })
    }

    /// Name of a staged file.
    pub(super) fn staged(&self, part: &Part) -> String {
        let (prefix, attempt, extension) = (self.prefix(), part.attempt.long(), self.extension);
        match (self.layout, self.uploads) {
            (Layout::Directory, _) => {
                let directory = with_slash(&part.directory);
                format!("{prefix}{attempt}/{directory}part-{:05}-{:03}.{extension}", part.partition, part.index)
            }
            (Layout::SingleFile, true) => format!("{prefix}{attempt}/{}", self.name),
            (Layout::SingleFile, false) => format!("{prefix}{attempt}.staged"),
        }
    }

    /// Its name when it is published.
    pub(super) fn final_name(&self, part: &Part) -> String {
        if self.layout == Layout::SingleFile {
            return self.name.clone();
        }
        let (directory, name, extension) = (with_slash(&part.directory), &self.name, self.extension);
        let attempt = if self.uploads { format!("-{}", short(part.attempt)) } else { String::new() };
        format!("{directory}{name}-{:05}-{:03}{attempt}.{extension}", part.partition, part.index)
    }

    /// Which file of this write it is. Rows come from other processes; what they name is renamed and deleted, so only
    /// what this write can have staged may be named.
    pub(super) fn part_of(&self, file: &WrittenFile) -> Result<Part> {
        let foreign = || Error::internal(format!("'{}' was not staged by this write", file.staged));
        let part = self.parse(&file.staged).ok_or_else(foreign)?;
        if self.staged(&part) != file.staged || self.final_name(&part) != file.name {
            return Err(foreign());
        }
        Ok(part)
    }

    /// What the names of all files begin with that this write stages, whichever attempt does.
    pub(super) fn prefix(&self) -> String {
        match (self.layout, self.uploads) {
            (Layout::SingleFile, false) => format!(".{}.{}.", self.name, self.write),
            _ => format!("{HIDDEN_DIRECTORY}/staging/{}/", self.write),
        }
    }

    fn parse(&self, staged: &str) -> Option<Part> {
        let rest = staged.strip_prefix(&self.prefix())?;
        let (attempt, rest) = rest.split_at_checked(32)?;
        let attempt = AttemptId(u128::from_str_radix(attempt, 16).ok()?);
        if self.layout == Layout::SingleFile {
            return Some(Part { attempt, directory: String::new(), partition: 0, index: 0 });
        }
        let (directory, name) = rest.strip_prefix('/')?.rsplit_once('/').unwrap_or(("", rest.strip_prefix('/')?));
        let plain = |part: &str| !part.is_empty() && !is_hidden(part, true);
        if !directory.is_empty() && !directory.split('/').all(plain) {
            return None;
        }
        let numbers = name.strip_prefix("part-")?.strip_suffix(self.extension)?.strip_suffix('.')?;
        let (partition, index) = numbers.split_once('-')?;
        let (partition, index) = (partition.parse().ok()?, index.parse().ok()?);
        Some(Part { attempt, directory: directory.to_owned(), partition, index })
    }
}

fn with_slash(directory: &str) -> String {
    if directory.is_empty() { String::new() } else { format!("{directory}/") }
}

/// Half of an attempt's id: enough that no two of one write are alike.
fn short(attempt: AttemptId) -> String {
    format!("{:016x}", (attempt.0 >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staging(layout: Layout, uploads: bool) -> Staging {
        let (write, name) = ("00-0-0".to_owned(), "part-ab-0".to_owned());
        Staging { layout, uploads, extension: "parquet", write, name }
    }

    fn file(staging: &Staging, directory: &str) -> WrittenFile {
        let part = Part { attempt: AttemptId(7 << 64 | 5), directory: directory.into(), partition: 3, index: 1234 };
        let (name, staged) = (staging.final_name(&part), staging.staged(&part));
        WrittenFile { name, staged, rows: 0, bytes: 0, upload: None, inode: None }
    }

    #[test]
    fn names_are_read_back() {
        for layout in [Layout::Directory, Layout::SingleFile] {
            for uploads in [false, true] {
                let staging = staging(layout, uploads);
                for directory in ["", "year=2024", "_p=1/b=a%2Fb"] {
                    let file = file(&staging, directory);
                    let part = staging.part_of(&file).unwrap();
                    assert_eq!(part.attempt, AttemptId(7 << 64 | 5));
                    if layout == Layout::Directory {
                        assert_eq!((part.directory.as_str(), part.partition, part.index), (directory, 3, 1234));
                    }
                }
            }
        }
        let name = file(&staging(Layout::Directory, true), "year=2024").name;
        assert_eq!(name, "year=2024/part-ab-0-00003-1234-0000000000000007.parquet");
    }

    #[test]
    fn names_of_others_are_refused() {
        let staging = staging(Layout::Directory, false);
        for (from, to) in [
            ("year=2024/", "../"),
            ("year=2024/", "/"),
            ("year=2024/", "year=2024//"),
            ("year=2024/", "_windrow/"),
            ("year=2024/", ".hidden/"),
            ("00-0-0", "00-0-1"),
            ("part-", "path-"),
            ("0000000700", "0000000+00"),
        ] {
            let good = file(&staging, "year=2024");
            let bad = WrittenFile { name: good.name.replace(from, to), staged: good.staged.replace(from, to), ..good };
            assert!(staging.part_of(&bad).is_err(), "{from} → {to}: {bad:?}");
        }
        let good = file(&staging, "");
        let elsewhere = WrittenFile { name: "other.parquet".into(), ..good };
        assert!(staging.part_of(&elsewhere).is_err());
    }
}

//! What a place holds that readers would see, were no write under way, as far as a new write must know it.

use std::collections::BTreeSet;

use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::log;
use super::place::Place;
use super::spec::SinkSpec;
use super::written::WrittenFile;

/// The visible files of a directory, seen by one write. Only those are kept by name that the write touches.
#[derive(Debug)]
pub(super) struct Contents {
    shown: String,
    mode: SinkMode,
    count: u64,
    first: Option<String>,
    /// Whether there are files of the write's format in the table.
    has_table: bool,
    /// Final names of the write that are taken.
    taken: BTreeSet<String>,
    /// What gives way to the write, in order.
    pub(super) replaced: Vec<String>,
}

impl Contents {
    /// Looks through a place for a write of these files.
    pub(super) fn of(place: &dyn Place, spec: &SinkSpec, files: &[WrittenFile]) -> Result<Self> {
        let names: BTreeSet<&str> = files.iter().map(|f| f.name.as_str()).collect();
        let mut contents = Self {
            shown: place.shown(""),
            mode: spec.mode,
            count: 0,
            first: None,
            has_table: false,
            taken: BTreeSet::new(),
            replaced: Vec::new(),
        };
        place.visible(&mut |name| {
            contents.count += 1;
            if contents.first.as_deref().is_none_or(|first| name < first) {
                contents.first = Some(name.to_owned());
            }
            if names.contains(name) {
                contents.taken.insert(name.to_owned());
            }
            if log::is_replaced(name, spec) {
                contents.has_table = true;
                if spec.mode == SinkMode::Overwrite {
                    contents.replaced.push(name.to_owned());
                }
            }
            Ok(())
        })?;
        contents.replaced.sort();
        Ok(contents)
    }

    /// An error if there is anything.
    pub(super) fn refuse(&self) -> Result<()> {
        let Some(first) = &self.first else { return Ok(()) };
        Err(Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "'{}' is not empty ({} files, the first is '{first}'); write OPTIONS (mode 'append') to add to it or \
                 OPTIONS (mode 'overwrite') to replace its contents",
                self.shown, self.count
            ),
        ))
    }

    /// An error if one of these files would take the place of another.
    pub(super) fn refuse_same_names(&self, files: &[WrittenFile]) -> Result<()> {
        match files.iter().find(|f| self.taken.contains(&f.name)) {
            None => Ok(()),
            Some(file) => {
                let message = format!("'{}' has a file '{}' that is not of this write", self.shown, file.name);
                Err(Error::new(ErrorKind::AlreadyExists, message))
            }
        }
    }

    /// Files without rows serve only to give an empty table a schema: one is enough, and none is needed where a schema
    /// is.
    pub(super) fn worth_publishing(&self, files: &[WrittenFile]) -> Vec<WrittenFile> {
        let mut worth: Vec<WrittenFile> = files.iter().filter(|f| f.rows > 0).cloned().collect();
        let there = self.mode == SinkMode::Append && self.has_table;
        if worth.is_empty() && !there {
            worth.extend(files.iter().min().cloned());
        }
        worth.sort();
        worth
    }
}

//! The decisions about one directory, in order.
//!
//! ```text
//! _windrow/00000000000000000001.manifest             the decision: created once, complete, never changed or removed
//! _windrow/00000000000000000001-<write>.published    everything it asked for has been done; readers need not read it
//! ```
//!
//! Law: manifest *n* is created only after all before it are published. So at most the last one is pending.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windrow_common::{Error, ErrorKind, Result};

use super::format::Format;
use super::spec::{Layout, SinkSpec};
use super::written::WrittenFile;
use super::{HIDDEN_DIRECTORY, disk};

/// The version of the manifest's JSON that is written, and the only one that is read.
pub const MANIFEST_VERSION: u32 = 1;

/// One decision: what a write leaves, or that it leaves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// Its place in the directory's log, from 1.
    pub sequence: u64,
    /// Which write, as [`SinkSpec::key`] names it.
    pub write: String,
    /// What was decided.
    pub decision: Decision,
    /// Every file, with its final name. Empty when aborted.
    pub files: Vec<WrittenFile>,
    /// The visible files that give way, relative to the directory. Empty unless overwriting.
    pub replaces: Vec<String>,
    /// The write, with its mode and its writer's nonce, so that whoever comes by can finish it.
    pub spec: SinkSpec,
}

/// The two ways in which a write can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Its files count.
    Publish,
    /// It never happened.
    Abort,
}

impl Manifest {
    /// Reads a manifest's JSON; `place` is for the error's text.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::io(format!("the manifest '{place}' cannot be understood: {e}")))?;
        if manifest.version != MANIFEST_VERSION {
            let found = manifest.version;
            let message = format!("the manifest '{place}' has version {found}; this program reads {MANIFEST_VERSION}");
            return Err(Error::new(ErrorKind::Version, message));
        }
        Ok(manifest)
    }

    /// The name of the manifest with this sequence number, in the hidden directory.
    pub fn file_name(sequence: u64) -> String {
        format!("{sequence:020}.manifest")
    }
}

/// What the name of a file in the hidden directory says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryName<'a> {
    /// A decision.
    Manifest(u64),
    /// A decision that is carried out, and the write it is about.
    Published(u64, &'a str),
    /// Something else.
    Other,
}

impl<'a> EntryName<'a> {
    /// Reads a file's name.
    pub fn parse(name: &'a str) -> Self {
        let number = |digits: &str| (digits.len() == 20).then(|| digits.parse().ok()).flatten();
        if let Some(sequence) = name.strip_suffix(".manifest").and_then(number) {
            return EntryName::Manifest(sequence);
        }
        let published = name.strip_suffix(".published").and_then(|n| n.split_once('-'));
        match published.and_then(|(digits, write)| Some((number(digits)?, write))) {
            Some((sequence, write)) => EntryName::Published(sequence, write),
            None => EntryName::Other,
        }
    }
}

/// Where a log stands.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The last sequence number taken; 0 in an empty log.
    pub last: u64,
    /// The last decision, unless it is published.
    pub pending: Option<Manifest>,
    /// Published writes and their places.
    pub published: BTreeMap<String, u64>,
}

/// The log of one directory.
#[derive(Clone, Debug)]
pub struct Log {
    directory: PathBuf,
}

impl Log {
    /// The log of the directory `root`, whether or not there is one yet.
    pub fn of(root: &Path) -> Self {
        Self { directory: root.join(HIDDEN_DIRECTORY) }
    }

    /// Where manifests lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads where the log stands.
    pub fn head(&self) -> Result<Head> {
        let cannot = |e: &io::Error| disk::error("list", &self.directory, e);
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Head::default()),
            Err(e) => return Err(cannot(&e)),
        };
        let mut head = Head::default();
        let mut unmarked = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(|e| cannot(&e))?.file_name();
            match EntryName::parse(name.to_str().unwrap_or_default()) {
                EntryName::Manifest(sequence) => {
                    unmarked.insert(sequence);
                }
                EntryName::Published(sequence, write) => {
                    head.last = head.last.max(sequence);
                    head.published.insert(write.to_owned(), sequence);
                }
                EntryName::Other => {}
            }
        }
        head.published.values().for_each(|sequence| {
            unmarked.remove(sequence);
        });
        if let Some(last) = unmarked.pop_last() {
            let manifest = self.read(last)?;
            if last > head.last {
                head.last = last;
                head.pending = Some(manifest);
            } else {
                head.published.insert(manifest.write, last);
            }
        }
        // Listing is not atomic: a marker may have come while the names were read. By the law these are published.
        for sequence in unmarked {
            head.published.insert(self.read(sequence)?.write, sequence);
        }
        Ok(head)
    }

    /// What was decided about a write, if anything was.
    pub fn find(&self, head: &Head, write: &str) -> Result<Option<Manifest>> {
        match (&head.pending, head.published.get(write)) {
            (Some(pending), _) if pending.write == write => Ok(Some(pending.clone())),
            (_, Some(sequence)) => self.read(*sequence).map(Some),
            (_, None) => Ok(None),
        }
    }

    /// Whether anything was decided about a write.
    pub fn is_decided(&self, write: &str) -> Result<bool> {
        let head = self.head()?;
        Ok(head.published.contains_key(write) || head.pending.is_some_and(|m| m.write == write))
    }

    /// Takes the manifest's place in the log: false if somebody else has it. This is the decision.
    pub fn append(&self, manifest: &Manifest) -> Result<bool> {
        let path = self.directory.join(Manifest::file_name(manifest.sequence));
        let json = serde_json::to_vec_pretty(manifest)
            .map_err(|e| Error::internal(format!("cannot encode the manifest '{}': {e}", path.display())))?;
        disk::create_once(&path, &json)
    }

    /// Whether a decision has been carried out.
    pub fn is_published(&self, manifest: &Manifest) -> bool {
        self.marker(manifest).exists()
    }

    /// Notes that a decision has been carried out.
    pub fn mark_published(&self, manifest: &Manifest) -> Result<()> {
        disk::write_file(&self.marker(manifest), b"")
    }

    /// Tries whether a file here can be created once only; without that nothing can be decided once.
    pub fn probe(&self, nonce: u128) -> Result<()> {
        let path = self.directory.join(format!("probe-{nonce:032x}"));
        let first = disk::create_once(&path, b"probe");
        let second = first.clone().and_then(|_| disk::create_once(&path, b"probe"));
        disk::remove_file(&path)?;
        match (first, second) {
            (Ok(true), Ok(false)) => Ok(()),
            (Err(error), _) => Err(error.context("this location cannot be written to exactly once")),
            (first, second) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "'{}' lets one file be created twice ({first:?}, {second:?}), so nothing can be written there \
                     exactly once; write to a local file system instead",
                    self.directory.display()
                ),
            )),
        }
    }

    fn read(&self, sequence: u64) -> Result<Manifest> {
        let path = self.directory.join(Manifest::file_name(sequence));
        let bytes = fs::read(&path).map_err(|e| disk::error("read", &path, &e))?;
        Manifest::parse(&bytes, &path.display().to_string())
    }

    fn marker(&self, manifest: &Manifest) -> PathBuf {
        self.directory.join(format!("{:020}-{}.published", manifest.sequence, manifest.write))
    }
}

/// What a write's manifest says in all cases; [`super::commit`] fills in the decision.
pub(super) fn manifest(spec: &SinkSpec, sequence: u64, decision: Decision) -> Manifest {
    debug_assert!(spec.layout == Layout::Directory);
    Manifest {
        version: MANIFEST_VERSION,
        sequence,
        write: spec.key(),
        decision,
        files: Vec::new(),
        replaces: Vec::new(),
        spec: spec.clone(),
    }
}

/// Whether a visible file counts as contents of a table in this format, so that an overwrite replaces it: what
/// DataFusion's listing tables read by default, files of the format, compressed or not, in the directory itself and in
/// Hive partitions below it. Others (a README, other tables in directories of their own) stay: an overwrite aimed at the
/// wrong directory must not empty it.
pub(super) fn is_replaced(name: &str, format: &Format) -> bool {
    let (directories, file) = name.rsplit_once('/').unwrap_or(("", name));
    format.owns(file) && directories.split('/').all(|d| d.is_empty() || d.contains('='))
}

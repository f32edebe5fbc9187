//! The decisions about one directory, in order.
//!
//! ```text
//! _windrow/00000000000000000001.manifest             the decision: created once, complete, never changed or removed
//! _windrow/00000000000000000001-<write>.published    everything it asked for has been done; readers need not read it
//! ```
//!
//! _windrow/00000000000000000001.abandoned            an operator has given the decision up ([`super::abandon`]): it counts
//!                                                    as one against the write
//!
//! Law: manifest *n* is created only after all before it are published. So at most the last one is pending.
//!
//! A single file on an object store has a log of its own, `_windrow/files/<name>/`, for there is no step there that both
//! decides and shows a file (see [`super::single_file`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use windrow_common::{Error, ErrorKind, Result};

use super::HIDDEN_DIRECTORY;
use super::place::PlaceRef;
use super::spec::{Layout, SinkSpec};
use super::written::WrittenFile;

/// The version of the manifest's JSON that is written, and the only one that is read.
pub const MANIFEST_VERSION: u32 = 1;
/// Where the logs of single files lie, each in a directory of its file's name.
pub(super) const FILE_LOGS: &str = "_windrow/files";
/// What the names of files begin with that were made to see whether files are created once.
pub(super) const PROBE: &str = "probe-";

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
    /// Every file, with its final name. Empty when aborted, but not when given up: then these are to be taken back.
    pub files: Vec<WrittenFile>,
    /// The visible files that give way, relative to the directory. Empty unless overwriting.
    pub replaces: Vec<String>,
    /// Of a single file on an object store: what was there until now, empty if nothing was. It changes when the file is
    /// there, so that nobody takes an old file of the same size for the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
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
    /// A decision that was given up.
    Abandoned(u64),
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
        if let Some(sequence) = name.strip_suffix(".abandoned").and_then(number) {
            return EntryName::Abandoned(sequence);
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
    /// Published writes, by [`SinkSpec::identity`], and their places.
    pub published: BTreeMap<String, u64>,
    /// Decisions that were given up.
    pub abandoned: BTreeSet<u64>,
}

/// What is written down of a decision that was given up.
#[derive(Debug, Serialize, Deserialize)]
struct Abandoned {
    write: String,
    /// Final names of the files that could not be found any more.
    lost: Vec<String>,
}

impl Head {
    fn note(&mut self, write: &str, sequence: u64) {
        self.published.insert(SinkSpec::identity_of(write).to_owned(), sequence);
    }
}

/// The log of one directory, or of one single file on an object store.
#[derive(Clone, Debug)]
pub(super) struct Log {
    place: PlaceRef,
    /// Where its entries lie.
    directory: String,
}

impl Log {
    /// The log of the directory that `place` is, whether or not there is one yet.
    pub(super) fn of(place: &PlaceRef) -> Self {
        Self { place: PlaceRef::clone(place), directory: HIDDEN_DIRECTORY.to_owned() }
    }

    /// The log of a single file in this place.
    pub(super) fn of_file(place: &PlaceRef, name: &str) -> Self {
        Self { place: PlaceRef::clone(place), directory: format!("{FILE_LOGS}/{name}") }
    }

    /// The log that decides about this write.
    pub(super) fn for_write(place: &PlaceRef, spec: &SinkSpec) -> Result<Self> {
        Ok(match spec.layout {
            Layout::Directory => Self::of(place),
            Layout::SingleFile => Self::of_file(place, &spec.file_name()?),
        })
    }

    /// Reads where the log stands.
    pub(super) fn head(&self) -> Result<Head> {
        let mut head = Head::default();
        let mut unmarked = BTreeSet::new();
        for name in self.place.names_in(&self.directory)? {
            match EntryName::parse(&name) {
                EntryName::Manifest(sequence) => {
                    unmarked.insert(sequence);
                }
                EntryName::Published(sequence, write) => {
                    head.last = head.last.max(sequence);
                    head.note(write, sequence);
                }
                EntryName::Abandoned(sequence) => _ = head.abandoned.insert(sequence),
                EntryName::Other => {}
            }
        }
        head.published.values().for_each(|sequence| {
            unmarked.remove(sequence);
        });
        if let Some(last) = unmarked.pop_last() {
            let manifest = self.read(last, &head)?;
            if last > head.last {
                head.last = last;
                head.pending = Some(manifest);
            } else {
                head.note(&manifest.write, last);
            }
        }
        // Listing is not atomic: a marker may have come while the names were read. By the law these are published.
        for sequence in unmarked {
            let manifest = self.read(sequence, &head)?;
            head.note(&manifest.write, sequence);
        }
        Ok(head)
    }

    /// What was decided about a write, if anything was.
    pub(super) fn find(&self, head: &Head, spec: &SinkSpec) -> Result<Option<Manifest>> {
        let identity = spec.identity();
        match (&head.pending, head.published.get(&identity)) {
            (Some(pending), _) if SinkSpec::identity_of(&pending.write) == identity => Ok(Some(pending.clone())),
            (_, Some(sequence)) => self.read(*sequence, head).map(Some),
            (_, None) => Ok(None),
        }
    }

    /// Whether anything was decided about a write.
    pub(super) fn is_decided(&self, spec: &SinkSpec) -> Result<bool> {
        let (head, identity) = (self.head()?, spec.identity());
        let pending = head.pending.is_some_and(|m| SinkSpec::identity_of(&m.write) == identity);
        Ok(pending || head.published.contains_key(&identity))
    }

    /// Takes the manifest's place in the log: false if somebody else has it. This is the decision.
    pub(super) fn append(&self, manifest: &Manifest) -> Result<bool> {
        let name = self.entry(&Manifest::file_name(manifest.sequence));
        let json = serde_json::to_vec_pretty(manifest)
            .map_err(|e| Error::internal(format!("cannot encode the manifest '{}': {e}", self.place.shown(&name))))?;
        self.place.create_once(&name, &json)
    }

    /// Whether a decision has been carried out. An error if it was to publish and was given up meanwhile: what is missing
    /// then has not been published by somebody else.
    pub(super) fn is_published(&self, manifest: &Manifest) -> Result<bool> {
        let is_marked = self.place.read(&self.marker(manifest))?.is_some();
        if is_marked && manifest.decision == Decision::Publish && self.given_up(manifest)?.is_some() {
            let message = format!("the write {} was given up (windrow clean --abandon)", manifest.write);
            return Err(Error::new(ErrorKind::Cancelled, message));
        }
        Ok(is_marked)
    }

    /// Gives a decision up whose files are lost, unless somebody else has.
    pub(super) fn abandon(&self, manifest: &Manifest, lost: &[String]) -> Result<()> {
        let note = Abandoned { write: manifest.write.clone(), lost: lost.to_vec() };
        let json = serde_json::to_vec_pretty(&note).map_err(|e| Error::internal(e.to_string()))?;
        self.place.create_once(&self.entry(&format!("{:020}.abandoned", manifest.sequence)), &json).map(drop)
    }

    /// A decision that was given up, as it counts now, and its lost files.
    pub(super) fn abandoned(&self, manifest: &Manifest) -> Result<(Manifest, Vec<String>)> {
        let lost = self.given_up(manifest)?.unwrap_or_default();
        Ok((Manifest { decision: Decision::Abort, ..manifest.clone() }, lost))
    }

    /// The files whose loss made somebody give a decision up.
    fn given_up(&self, manifest: &Manifest) -> Result<Option<Vec<String>>> {
        let name = self.entry(&format!("{:020}.abandoned", manifest.sequence));
        let Some(bytes) = self.place.read(&name)? else { return Ok(None) };
        let note: Abandoned = serde_json::from_slice(&bytes)
            .map_err(|e| Error::io(format!("'{}' cannot be understood: {e}", self.place.shown(&name))))?;
        Ok(Some(note.lost))
    }

    /// Notes that a decision has been carried out.
    pub(super) fn mark_published(&self, manifest: &Manifest) -> Result<()> {
        self.place.put(&self.marker(manifest), b"")
    }

    /// Tries whether a file here can be created once only; without that nothing can be decided once.
    pub(super) fn probe(&self, nonce: u128) -> Result<()> {
        let name = self.entry(&format!("{PROBE}{nonce:032x}"));
        // Of two equal files one could not tell whose it is.
        let first = self.place.create_once(&name, b"first");
        let second = first.clone().and_then(|_| self.place.create_once(&name, b"second"));
        self.place.remove(&name)?;
        match (first, second) {
            (Ok(true), Ok(false)) => Ok(()),
            (Err(error), _) | (_, Err(error)) => Err(error.context("this location cannot be written to exactly once")),
            (first, second) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "'{}' lets one file be created twice ({first:?}, {second:?}), so nothing can be written there \
                     exactly once; write somewhere else: to a local file system, or to a store that knows conditional \
                     writes (If-None-Match)",
                    self.place.shown(&self.directory)
                ),
            )),
        }
    }

    /// A decision, as it counts now.
    fn read(&self, sequence: u64, head: &Head) -> Result<Manifest> {
        let name = self.entry(&Manifest::file_name(sequence));
        let shown = self.place.shown(&name);
        let missing = || Error::io(format!("the manifest '{shown}' is gone; nobody may remove it"));
        let mut manifest = Manifest::parse(&self.place.read(&name)?.ok_or_else(missing)?, &shown)?;
        if head.abandoned.contains(&sequence) {
            manifest.decision = Decision::Abort;
        }
        Ok(manifest)
    }

    fn marker(&self, manifest: &Manifest) -> String {
        self.entry(&format!("{:020}-{}.published", manifest.sequence, manifest.write))
    }

    fn entry(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }
}

/// What a write's manifest says in all cases; [`super::commit`] fills in the decision.
pub(super) fn manifest(spec: &SinkSpec, sequence: u64, decision: Decision) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        sequence,
        write: spec.key(),
        decision,
        files: Vec::new(),
        replaces: Vec::new(),
        before: None,
        spec: spec.clone(),
    }
}

/// Whether a visible file counts as contents of the table that is written, so that an overwrite replaces it: what our
/// tables read, files of the format, compressed or not, in the directory itself and in Hive partitions below it. Others (a
/// README, other tables in directories of their own) stay: an overwrite aimed at the wrong directory must not empty it. Of
/// a table that reads files whatever their names, all of them go: else old rows would stay beside the new ones.
pub(super) fn is_replaced(name: &str, spec: &SinkSpec) -> bool {
    let (directories, file) = name.rsplit_once('/').unwrap_or(("", name));
    let is_read = spec.replaces_all || spec.format.owns(file);
    is_read && directories.split('/').all(|d| d.is_empty() || d.contains('='))
}

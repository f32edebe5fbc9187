//! Records that cannot be read: what is kept of them, and what becomes of them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use windrow_common::Result;

/// Bytes of a bad record that are kept.
pub const KEPT_TEXT: usize = 64 << 10;
/// Characters of a value that errors show.
const SHOWN_CHARS: usize = 80;

/// What becomes of records that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRows {
    /// They are left out and counted; otherwise the first one is an error.
    pub skip: bool,
    /// Where those that are left out are written to.
    pub rejects: Option<String>,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Where it begins: bytes from the beginning of the file's text, after decompression.
    pub offset: u64,
    /// Why.
    pub reason: String,
    /// Its text, or the beginning of it.
    pub text: Vec<u8>,
}

/// A record that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The file.
    pub file: String,
    /// Where in it, in bytes of its text.
    pub offset: u64,
    /// Why.
    pub reason: String,
    /// What it was, or the beginning of it, with replacement characters for what is not UTF-8.
    pub text: String,
}

/// Takes the records that a scan leaves out. It is called by the thread that reads and must not wait for long.
pub trait RejectSink: fmt::Debug + Send + Sync {
    /// Takes some records, all of which the named `rejects` location is to get.
    fn reject(&self, location: &str, records: Vec<Rejected>) -> Result<()>;
}

/// The attempt's [`RejectSink`], as an extension of its session's configuration.
#[derive(Clone, Debug)]
pub struct Rejects(pub Arc<dyn RejectSink>);

/// Keeps rejected records in memory.
#[derive(Debug, Default)]
pub struct RejectsInMemory(Mutex<Vec<Rejected>>);

impl RejectsInMemory {
    /// All that came so far.
    pub fn records(&self) -> Vec<Rejected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RejectSink for RejectsInMemory {
    fn reject(&self, _location: &str, records: Vec<Rejected>) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        Ok(())
    }
}

impl BadRow {
    /// Keeps the beginning of the record.
    pub fn new(offset: u64, reason: impl Into<String>, record: &[u8]) -> Self {
        Self { offset, reason: reason.into(), text: record[..record.len().min(KEPT_TEXT)].to_vec() }
    }
}

/// A value as errors show it: in quotes, on one line, and not longer than a line.
pub fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * SHOWN_CHARS)]);
    let short: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if short.len() < text.len() || value.len() > 4 * SHOWN_CHARS { "…" } else { "" };
    format!("'{}{more}'", short.escape_debug())
}

//! The malformed rows that an attempt leaves out, for tables that say where they are to go: `OPTIONS (on_error 'skip',
//! rejects 'LOCATION')`.
//!
//! Each task has one file, `LOCATION/<job>/stage-<s>-task-<t>.ndjson`, written when the task has read all of its input. What
//! a task rejects depends on its input alone, and is sorted; so an attempt that runs again, or late, or beside another one,
//! writes the very same bytes over the same file, and every row is there once. A job that fails leaves the files of the
//! tasks that had ended; they lie in a directory of that job's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use windrow_common::{ByteSize, Error, ErrorKind, Result, TaskId, limits};

use crate::formats::{RejectSink, Rejected};
use crate::stores::{Location, Stores};

/// The rejected rows of one attempt, until it has read all of its input.
#[derive(Debug, Default)]
pub struct AttemptRejects {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by_location: BTreeMap<String, Vec<Rejected>>,
}

impl RejectSink for AttemptRejects {
    fn reject(&self, location: &str, records: Vec<Rejected>) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes += records.iter().map(|r| r.file.len() + r.reason.len() + r.text.len() + 64).sum::<usize>();
        if held.bytes > limits::MAX_REJECTED_BYTES {
            let most = ByteSize(limits::MAX_REJECTED_BYTES as u64);
            let file = records.first().map_or("a file", |record| record.file.as_str());
            return Err(Error::new(
                ErrorKind::Limit,
                format!("one task would reject more than {most} of rows, of {file} among others; is that its format?"),
            ));
        }
        held.by_location.entry(location.to_owned()).or_default().extend(records);
        Ok(())
    }
}

impl AttemptRejects {
    /// Writes the files of a task that has read all of its input.
    pub async fn store(&self, stores: &Arc<Stores>, task: TaskId) -> Result<()> {
        let by_location = std::mem::take(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner).by_location);
        for (location, mut records) in by_location {
            records.sort_by(|a, b| (&a.file, a.offset, &a.reason).cmp(&(&b.file, b.offset, &b.reason)));
            let mut text = String::new();
            for Rejected { file, offset, reason, text: row } in &records {
                let line = json!({ "file": file, "offset": offset, "reason": reason, "text": row });
                text.push_str(&line.to_string());
                text.push('\n');
            }
            let name = format!("{}/stage-{}-task-{}.ndjson", task.job.long(), task.stage.0, task.index);
            let place = Location::parse(&location, Path::new("/"))?;
            stores.put(&place, &name, text.into_bytes()).await.map_err(|e| e.context("rejected rows"))?;
        }
        Ok(())
    }
}

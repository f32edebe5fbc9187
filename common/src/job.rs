//! What people are told of a job: who submitted what, how far it is, how it ended.

use crate::bytesize::ByteSize;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::JobId;
use crate::limits;
use crate::report::JobReport;

/// Where a job is in its life. The last three are its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Its statement is being planned.
    Planning,
    /// Its tasks run, or wait for slots.
    Running,
    /// It has done all that it was to do.
    Succeeded,
    /// It has failed; the error says why.
    Failed,
    /// Somebody asked for it to stop.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing follows.
    pub fn is_end(self) -> bool {
        match self {
            JobStatus::Planning | JobStatus::Running => false,
            JobStatus::Succeeded | JobStatus::Failed | JobStatus::Cancelled => true,
        }
    }

    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            JobStatus::Planning => "planning",
            JobStatus::Running => "running",
            JobStatus::Succeeded => "succeeded",
            JobStatus::Failed => "failed",
            JobStatus::Cancelled => "cancelled",
        }
    }
}

/// A job as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct JobInfo {
    /// Which.
    pub id: JobId,
    /// The key that its client chose, if any: the same key is the same job.
    pub key: Option<String>,
    /// Its text, shortened to [`crate::limits::JOB_TEXT_BYTES`].
    pub text: String,
    /// Where it is.
    pub status: JobStatus,
    /// Why it failed.
    pub error: Option<Error>,
    /// When it was submitted, in milliseconds since 1970, UTC.
    pub submitted_millis: u64,
    /// When it ended, likewise.
    pub ended_millis: Option<u64>,
    /// The statement that runs, or ran last, and how many there are.
    pub statement: (u32, u32),
    /// Tasks of that statement: accepted, running, all.
    pub tasks: (u32, u32, u32),
    /// Rows written so far, by all of its statements.
    pub rows_written: u64,
    /// What the statements that have ended did, one after the other.
    pub reports: Vec<JobReport>,
}

impl JobInfo {
    /// The same without its reports, which may be long.
    #[must_use]
    pub fn brief(&self) -> JobInfo {
        JobInfo {
            id: self.id,
            key: self.key.clone(),
            text: self.text.clone(),
            status: self.status,
            error: self.error.clone(),
            submitted_millis: self.submitted_millis,
            ended_millis: self.ended_millis,
            statement: self.statement,
            tasks: self.tasks,
            rows_written: self.rows_written,
            reports: vec![],
        }
    }
}

/// Refuses a script whose statements are longer, all together, than [`limits::MAX_SQL_BYTES`].
pub fn check_script_bytes<'a>(statements: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let bytes: usize = statements.into_iter().map(str::len).sum();
    if bytes <= limits::MAX_SQL_BYTES {
        return Ok(());
    }
    let (bytes, limit) = (ByteSize(bytes as u64), ByteSize(limits::MAX_SQL_BYTES as u64));
    Err(Error::new(ErrorKind::Limit, format!("the script has {bytes} of SQL; the limit is {limit}; divide it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_count_together() {
        let half = " ".repeat(limits::MAX_SQL_BYTES / 2);
        assert_eq!(check_script_bytes([half.as_str(), &half]), Ok(()));
        assert_eq!(check_script_bytes([half.as_str(), &half, ";"]).unwrap_err().kind, ErrorKind::Limit);
    }
}

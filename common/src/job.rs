//! What people are told of a job: who submitted what, how far it is, how it ended.

use crate::error::Error;
use crate::ids::JobId;
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

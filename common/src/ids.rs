//! Identifiers. Each is a newtype, so that one cannot be passed for another, and each prints the way people see it in
//! messages: `job-3f9a12c4/stage-1/task-7.2` is the third attempt of task 7.

use std::fmt;

/// A job: one submitted statement or Rust job. 128 random bits, minted outside the pure core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u128);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job-{:08x}", (self.0 >> 96) as u32)
    }
}

impl JobId {
    /// The whole id as 32 hexadecimal digits, for file names and lookups, where the short form could collide.
    pub fn long(&self) -> String {
        format!("{:032x}", self.0)
    }
}

/// A session. 128 random bits; whoever knows them all may use it, so it prints short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u128);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session-{:08x}", (self.0 >> 96) as u32)
    }
}

impl SessionId {
    /// The whole id as 32 hexadecimal digits: what a client shows to be let in again. Never to be logged.
    pub fn token(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// The id in a token.
    pub fn from_token(token: &str) -> Option<Self> {
        let plain = token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u128::from_str_radix(token, 16).ok().map(Self)).flatten()
    }
}

/// A stage of a job's graph; its index in [`crate::StageGraph::stages`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u32);

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage-{}", self.0)
    }
}

/// An exchange of a job's graph. Every stage feeds exactly one exchange, which carries the same number as its stage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exchange-{}", self.0)
    }
}

impl ExchangeId {
    /// The stage that feeds this exchange.
    pub fn producer(self) -> StageId {
        StageId(self.0)
    }
}

/// A task: one share of one stage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The job it belongs to.
    pub job: JobId,
    /// The stage it is a share of.
    pub stage: StageId,
    /// Its index in [`crate::Stage::tasks`].
    pub index: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/task-{}", self.job, self.stage, self.index)
    }
}

/// One run of a task. 128 bits, derived by the control core from the job's seed, the epoch and a counter; never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u128);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt-{:016x}", (self.0 >> 64) as u64)
    }
}

impl AttemptId {
    /// The whole id as 32 hexadecimal digits, for file names.
    pub fn long(&self) -> String {
        format!("{:032x}", self.0)
    }
}

/// A worker process, by the identity it keeps over restarts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u128);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker-{:08x}", (self.0 >> 96) as u32)
    }
}

/// One life of a worker process. A restart is a new incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "incarnation-{:08x}", (self.0 >> 96) as u32)
    }
}

/// One term of one leading coordinator. Workers refuse messages of lower epochs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch-{}", self.0)
    }
}

/// Names a request to the control core, so that its reply can be matched without a channel inside an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a blob (a stage's plan, an artifact) by the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

macro_rules! debug_as_display {
    ($($id:ty),*) => { $(impl fmt::Debug for $id {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, f)
        }
    })* };
}
debug_as_display!(JobId, SessionId, StageId, ExchangeId, TaskId, AttemptId, WorkerId, Incarnation, Epoch, BlobHash);

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request-{}", self.0)
    }
}

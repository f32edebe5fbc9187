//! What the scheduler remembers of one task, in tens of bytes. Rarer facts (failures, contents that rode in a report)
//! live in sparse maps of the stage.

use windrow_common::AttemptId;

use super::pool::WorkerIndex;

/// A task by its place in its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskAt {
    pub(crate) stage: u32,
    pub(crate) task: u32,
}

/// Where a task stands.
///
/// ```text
///             start              finished               last reader done
///   Pending ─────────► Running ───────────► Done ─────────────────────────► Spent
///      ▲   ◄─────────────┘ │ failed           │ output lost, still needed      │ needed again
///      │      lost         ▼                  │                                │
///      ├──────────────── Backoff              │                                │
///      └──────────────────────────────────────┴────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Must run, and may as soon as its inputs are there and a slot is free.
    Pending,
    /// Failed; waits for its pause to end.
    Backoff,
    /// This attempt runs.
    Running { attempt: AttemptId, worker: WorkerIndex },
    /// This attempt was accepted and its output can be read.
    Done { attempt: AttemptId, worker: WorkerIndex },
    /// Was accepted; nobody reads its output any more, which is freed or forgotten.
    Spent,
}

impl Phase {
    /// Its output can be read.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Phase::Done { .. } => true,
            Phase::Pending | Phase::Backoff | Phase::Running { .. } | Phase::Spent => false,
        }
    }

    /// It needs its inputs no more.
    pub(crate) fn is_satisfied(&self) -> bool {
        match self {
            Phase::Done { .. } | Phase::Spent => true,
            Phase::Pending | Phase::Backoff | Phase::Running { .. } => false,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        match self {
            Phase::Running { .. } => true,
            Phase::Pending | Phase::Backoff | Phase::Done { .. } | Phase::Spent => false,
        }
    }
}

/// One task.
#[derive(Clone, Debug)]
pub(crate) struct TaskState {
    pub(crate) phase: Phase,
    /// Rows of the output that was accepted last.
    pub(crate) rows: u64,
    /// Bytes of the output that was accepted last.
    pub(crate) bytes: u64,
    /// Attempts started.
    pub(crate) runs: u8,
    /// Attempts that failed and are counted against it.
    pub(crate) failures: u8,
    /// How many times its memory reservation was doubled.
    pub(crate) doublings: u8,
    /// It stands in its stage's queue (perhaps no longer rightly).
    pub(crate) queued: bool,
    /// An output of it was accepted, and every consumer that ran since then has read just those contents. False again
    /// once other contents took their place in everything downstream.
    pub(crate) has_contents: bool,
}

impl TaskState {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Pending,
            rows: 0,
            bytes: 0,
            runs: 0,
            failures: 0,
            doublings: 0,
            queued: true,
            has_contents: false,
        }
    }
}

const _: () = assert!(std::mem::size_of::<TaskState>() <= 64);
const _: () = assert!(windrow_common::limits::MAX_ATTEMPTS_WITH_LOSSES < u8::MAX as u32);

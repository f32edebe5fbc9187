//! What must hold whatever happens. One law a file; each sees everything that can be seen from outside, says when it is
//! broken, and counts how often its premise was met: a law that was never put to the test has proved nothing.

mod brought;
mod causes;
mod contents;
mod freed_late;
mod leaks;
mod once;
mod progress;
mod reads;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow_common::{AttemptId, ErrorKind, Incarnation, JobId, StageGraph, TaskId, Timestamp, WorkerId};
use windrow_control::{Action, Assignment, Event, Outcome, Scheduler};

use super::contents::Content;

/// Something that can be seen from outside.
pub enum Seen<'a> {
    /// A job was handed over.
    Submitted {
        /// Which.
        job: JobId,
        /// What it is.
        graph: &'a Arc<StageGraph>,
    },
    /// Somebody asked for the job to stop, or went away before its end.
    CancelAsked {
        /// Which.
        job: JobId,
    },
    /// Trouble was made that may end the job.
    Injected {
        /// Which.
        job: JobId,
        /// In this task, or in the commit.
        task: Option<TaskId>,
        /// Of this kind.
        kind: &'a ErrorKind,
    },
    /// The scheduler takes in an event.
    Handles {
        /// When.
        now: Timestamp,
        /// Which.
        event: &'a Event,
    },
    /// The scheduler has taken in an event.
    Handled {
        /// Which.
        event: &'a Event,
        /// What it asked for.
        actions: &'a [Action],
        /// Of which task each attempt is a run.
        tasks: &'a BTreeMap<AttemptId, TaskId>,
        /// The scheduler now.
        scheduler: &'a Scheduler,
    },
    /// The coordinator starts anew, without workers, with the jobs that have not ended.
    CoordinatorRestarted,
    /// The scheduler starts an attempt.
    Starts {
        /// Where.
        worker: (WorkerId, Incarnation),
        /// What.
        assignment: &'a Assignment,
        /// The scheduler after the event.
        scheduler: &'a Scheduler,
    },
    /// The scheduler frees an output that the attempt of this task made.
    Frees {
        /// Whose.
        attempt: AttemptId,
        /// Of which task.
        task: TaskId,
        /// The scheduler after the event.
        scheduler: &'a Scheduler,
        /// The job's graph.
        graph: &'a Arc<StageGraph>,
    },
    /// A worker runs so much.
    Executes {
        /// Which.
        worker: WorkerId,
        /// Slots of what it runs.
        used: u32,
        /// Slots it has.
        slots: u32,
    },
    /// Contents were delivered: read by the client, or handed to the commit, in task order.
    Delivered {
        /// Of which job.
        job: JobId,
        /// What.
        contents: &'a [Content],
    },
    /// The job has come to its end.
    Ended {
        /// When.
        now: Timestamp,
        /// Which.
        job: JobId,
        /// How.
        outcome: &'a Outcome,
    },
    /// No worker will ever come back.
    AllWorkersGone,
    /// Nothing will go wrong any more, and there was time for everything; this is what is left.
    Quiet {
        /// In words, nothing if all is as it should be.
        left: &'a [String],
        /// Workers that were looked at.
        workers: u64,
    },
}

/// A law.
pub trait Law {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Looks at what was seen; an error says how the law is broken.
    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String>;
    /// How often its premise was met, by name of the premise.
    fn exercised(&self) -> Vec<(&'static str, u64)>;
}

/// All laws, and what was found.
pub struct Laws {
    laws: Vec<Box<dyn Law>>,
    /// How laws were broken.
    pub violations: Vec<String>,
}

impl Laws {
    /// All laws, at the start of a run.
    pub fn new() -> Self {
        Self {
            laws: vec![
                Box::new(brought::Brought::default()),
                Box::new(causes::Causes::default()),
                Box::new(contents::Contents::default()),
                Box::new(freed_late::FreedLate::default()),
                Box::new(leaks::Leaks::default()),
                Box::new(once::Once::default()),
                Box::new(progress::Progress::default()),
                Box::new(reads::Reads::default()),
                Box::new(slots::Slots::default()),
            ],
            violations: Vec::new(),
        }
    }

    /// Shows all laws what was seen.
    pub fn see(&mut self, seen: &Seen<'_>) {
        for law in &mut self.laws {
            if let Err(broken) = law.see(seen) {
                self.violations.push(format!("law '{}': {broken}", law.name()));
            }
        }
    }

    /// How often every premise was met.
    pub fn exercised(&self) -> BTreeMap<&'static str, u64> {
        self.laws.iter().flat_map(|law| law.exercised()).collect()
    }
}

impl Default for Laws {
    fn default() -> Self {
        Self::new()
    }
}

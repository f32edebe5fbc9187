//! No job ends badly without a cause: cancelled only if somebody asked for it, failed only after trouble that may fail
//! it, and then with the right kind of error. Completed only if all of it was delivered.

use std::collections::BTreeMap;

use windrow_common::{ErrorKind, JobId, TaskId, Timestamp, limits};
use windrow_control::{AttemptStatus, Event, Outcome};

use super::{Law, Seen};

#[derive(Default)]
struct Facts {
    cancel_asked: bool,
    delivered: bool,
    fatal: bool,
    failures: BTreeMap<TaskId, u32>,
    starts: BTreeMap<TaskId, u32>,
}

#[derive(Default)]
pub struct Causes {
    jobs: BTreeMap<JobId, Facts>,
    /// When a worker connected last.
    joined: Option<Timestamp>,
    completed: u64,
    cancelled: u64,
    failed: u64,
    without_workers: u64,
    blameless: u64,
    restarts: u64,
}

impl Causes {
    fn ended(&mut self, now: Timestamp, id: JobId, outcome: &Outcome) -> Result<(), String> {
        let job = self.jobs.entry(id).or_default();
        match outcome {
            Outcome::Completed => {
                self.completed += 1;
                if !job.delivered {
                    return Err(format!("{id} is completed, but nothing was delivered"));
                }
            }
            Outcome::Cancelled => {
                self.cancelled += 1;
                if !job.cancel_asked {
                    return Err(format!("{id} is cancelled, but nobody asked for it"));
                }
            }
            Outcome::Failed(error) => {
                self.failed += 1;
                let worn_out = job.failures.values().any(|n| *n >= limits::MAX_ATTEMPTS)
                    || job.starts.values().any(|n| *n >= limits::MAX_ATTEMPTS_WITH_LOSSES);
                let alone = error.kind == ErrorKind::Unavailable;
                self.without_workers += u64::from(alone);
                let waited = self.joined.is_none_or(|joined| now.since(joined) >= limits::NO_WORKER_PATIENCE);
                if alone && !waited {
                    return Err(format!("{id} failed for want of workers too early: {error}"));
                }
                if !(job.fatal || worn_out || alone) {
                    return Err(format!("{id} failed without a cause: {error}"));
                }
            }
        }
        Ok(())
    }
}

impl Law for Causes {
    fn name(&self) -> &'static str {
        "every end has its cause"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::CancelAsked { job } => self.jobs.entry(*job).or_default().cancel_asked = true,
            Seen::Injected { job, task, kind } => {
                let job = self.jobs.entry(*job).or_default();
                match task {
                    Some(task) if kind.is_retryable() => *job.failures.entry(*task).or_default() += 1,
                    Some(_) | None => job.fatal = true,
                }
            }
            Seen::Starts { assignment, .. } => {
                let job = self.jobs.entry(assignment.task.job).or_default();
                *job.starts.entry(assignment.task).or_default() += 1;
            }
            Seen::CoordinatorRestarted => self.restarts += 1,
            Seen::Delivered { job, .. } => self.jobs.entry(*job).or_default().delivered = true,
            Seen::Ended { now, job, outcome } => return self.ended(*now, *job, outcome),
            Seen::Handles { now, event } => match event {
                Event::WorkerConnected { .. } => self.joined = Some(*now),
                Event::Report { status: AttemptStatus::Failed(error), .. } => {
                    self.blameless += u64::from(matches!(error.kind, ErrorKind::LostInput(_)));
                }
                Event::Submit { .. }
                | Event::Cancel { .. }
                | Event::Heartbeat { .. }
                | Event::WorkerDisconnected { .. }
                | Event::Report { .. }
                | Event::OutputsLost { .. }
                | Event::ResultReleased { .. }
                | Event::Committed { .. }
                | Event::Tick => {}
            },
            Seen::Submitted { .. }
            | Seen::Handled { .. }
            | Seen::Frees { .. }
            | Seen::Executes { .. }
            | Seen::AllWorkersGone
            | Seen::Quiet { .. } => {}
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("jobs completed", self.completed),
            ("jobs cancelled", self.cancelled),
            ("jobs failed", self.failed),
            ("jobs failed for want of workers", self.without_workers),
            ("attempts that lost an input", self.blameless),
            ("restarts of the coordinator", self.restarts),
        ]
    }
}

//! What workers say of attempts. Epoch, incarnation and attempt are compared first, in this order; only a report of the
//! one attempt that counts can change anything. Every report of an end is acknowledged, so that it is not sent again,
//! and whatever nobody counts is freed or stopped, so that nothing leaks.

use windrow_common::{AttemptId, Epoch, Error, ErrorKind, Incarnation, JobId, OutputReport, TaskId, WorkerId, limits};

use super::fault::Fault;
use super::job::JobPhase;
use super::pool::WorkerIndex;
use super::stage::Trouble;
use super::task::{Phase, TaskAt};
use super::timers::Alarm;
use super::{Scheduler, ToWorker};
use crate::protocol::AttemptStatus;

/// Who made a report, and in which term the attempt was assigned.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) worker: WorkerId,
    pub(crate) incarnation: Incarnation,
    pub(crate) epoch: Epoch,
}

/// What a reported attempt is to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It runs, and its end is awaited.
    Current,
    /// Its output was accepted already and counts.
    Accepted,
    /// It does not count (any more).
    Stale,
}

impl Scheduler {
    pub(crate) fn report_received(&mut self, from: Sender, task: TaskId, attempt: AttemptId, status: AttemptStatus) {
        // A dead incarnation cannot be answered; when it connects again, it is told what does not count.
        let Some(index) = self.pool.connected(from.worker, from.incarnation) else { return };
        let epoch = self.config.epoch;
        self.heartbeat(from.worker, from.incarnation);
        if status.is_terminal() {
            let kept = status == AttemptStatus::Cancelled && self.config.has(Fault::SlotNotReturnedOnCancel);
            // An attempt of this term gives its slots back only by a report of this term.
            if !kept && (from.epoch == epoch || self.pool.is_foreign(index, attempt)) {
                self.pool.release(index, attempt);
            }
            self.send(index, ToWorker::Acknowledge { epoch, attempt });
        }
        let standing = if from.epoch == epoch { self.standing(index, task, attempt) } else { Standing::Stale };
        match (standing, status) {
            (Standing::Current, AttemptStatus::Running) => {}
            (Standing::Current, AttemptStatus::Finished(output)) => {
                self.finished(index, from.worker, task, attempt, output);
            }
            (Standing::Current, AttemptStatus::Failed(error)) => self.failed(from.worker, task, error),
            (Standing::Current, AttemptStatus::Cancelled) => self.came_to_nothing(task),
            (Standing::Accepted, AttemptStatus::Finished(_)) if self.config.has(Fault::DuplicateFrees) => {
                self.send(index, ToWorker::Free { epoch, attempts: vec![attempt] });
            }
            (
                Standing::Accepted,
                AttemptStatus::Running
                | AttemptStatus::Finished(_)
                | AttemptStatus::Failed(_)
                | AttemptStatus::Cancelled,
            ) => {}
            (Standing::Stale, AttemptStatus::Running) => self.send(index, ToWorker::Cancel { epoch, attempt }),
            (Standing::Stale, AttemptStatus::Finished(_)) => {
                self.send(index, ToWorker::Free { epoch, attempts: vec![attempt] });
            }
            (Standing::Stale, AttemptStatus::Failed(_) | AttemptStatus::Cancelled) => {}
        }
    }

    fn standing(&self, index: WorkerIndex, task: TaskId, attempt: AttemptId) -> Standing {
        let Some(job) = self.jobs.get(&task.job) else { return Standing::Stale };
        let Some(at) = job.at(task.stage.0, task.index) else { return Standing::Stale };
        match job.phase_of(at) {
            Phase::Running { attempt: a, worker: w } if (a, w) == (attempt, index) => Standing::Current,
            Phase::Done { attempt: a, worker: w } if (a, w) == (attempt, index) => Standing::Accepted,
            Phase::Running { .. } | Phase::Done { .. } | Phase::Pending | Phase::Backoff | Phase::Spent => {
                Standing::Stale
            }
        }
    }

    fn finished(&mut self, index: WorkerIndex, id: WorkerId, task: TaskId, attempt: AttemptId, output: OutputReport) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let at = TaskAt { stage: task.stage.0, task: task.index };
        job.accept(at, attempt, (index, id), output);
        self.note_output(index, task.job, at);
        self.touched.insert(task.job);
    }

    /// The attempt stopped, though nobody here wanted it to: its worker is leaving, or the like.
    fn came_to_nothing(&mut self, task: TaskId) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        job.requeue(TaskAt { stage: task.stage.0, task: task.index });
        self.touched.insert(task.job);
    }

    fn failed(&mut self, worker: WorkerId, task: TaskId, error: Error) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        self.touched.insert(task.job);
        let at = TaskAt { stage: task.stage.0, task: task.index };
        let now = self.now;
        match &error.kind {
            ErrorKind::LostInput(attempts) => {
                let found = attempts.iter().filter(|a| job.lose_output(**a)).count();
                if found == 0 && job.stages[at.stage as usize].incomplete_inputs == 0 {
                    // The inputs seem to be where they were: give whatever is wrong a moment, or this would spin.
                    job.stages[at.stage as usize].failed_attempts += 1;
                    job.set_phase(at, Phase::Backoff);
                    job.settle();
                    self.timers.set(now + limits::RETRY_BACKOFF, Alarm::Retry { job: task.job, at });
                } else {
                    job.requeue(at);
                }
            }
            ErrorKind::Cancelled => job.requeue(at),
            ErrorKind::Io | ErrorKind::OutOfMemory | ErrorKind::Internal => {
                if let Some(pause) = job.failed(at, worker, error) {
                    self.timers.set(now + pause, Alarm::Retry { job: task.job, at });
                }
            }
            ErrorKind::User
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Unavailable
            | ErrorKind::Limit
            | ErrorKind::Version
            | ErrorKind::Unsupported => {
                job.stages[at.stage as usize].failed_attempts += 1;
                let name = job.run_name(at);
                job.doom(error.context(name));
            }
        }
    }

    /// A failed task's pause is over.
    pub(crate) fn retry(&mut self, id: JobId, at: TaskAt) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.phase_of(at) == Phase::Backoff {
            job.set_phase(at, Phase::Pending);
            self.touched.insert(id);
        }
    }

    /// The reader of a result could not read these outputs.
    pub(crate) fn outputs_lost(&mut self, id: JobId, attempts: &[AttemptId]) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.phase == JobPhase::Committing {
            return;
        }
        for attempt in attempts {
            job.lose_output(*attempt);
        }
        self.touched.insert(id);
    }
}

impl super::job::Job {
    /// The running attempt failed and is counted against its task. How long to wait before the next, or none if the job
    /// is doomed by it.
    fn failed(&mut self, at: TaskAt, worker: WorkerId, error: Error) -> Option<std::time::Duration> {
        let name = self.run_name(at);
        let stage = &mut self.stages[at.stage as usize];
        let task = &mut stage.tasks[at.task as usize];
        stage.failed_attempts += 1;
        task.failures += 1;
        if error.kind == ErrorKind::OutOfMemory {
            task.doublings = task.doublings.saturating_add(1);
        }
        let failures = u32::from(task.failures);
        let trouble = stage
            .troubles
            .entry(at.task)
            .or_insert_with(|| Trouble { first: error.context(name), workers: Vec::new() });
        if !trouble.workers.contains(&worker) {
            trouble.workers.push(worker);
        }
        if failures >= limits::MAX_ATTEMPTS {
            let mut first = trouble.first.clone();
            first.message = format!("{} (the first cause; the task failed {failures} times)", first.message);
            self.doom(first);
            return None;
        }
        self.set_phase(at, Phase::Backoff);
        self.settle();
        let pause = limits::RETRY_BACKOFF * (1 << (failures - 1).min(16));
        Some(pause.min(limits::RETRY_BACKOFF_MAX))
    }

    /// The name of the task's latest attempt: `job-3f9a12c4/stage-1/task-7.2`.
    fn run_name(&self, at: TaskAt) -> String {
        let runs = self.stages[at.stage as usize].tasks[at.task as usize].runs;
        format!("{}.{}", self.name(at), runs.saturating_sub(1))
    }
}

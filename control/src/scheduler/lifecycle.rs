//! Jobs from submission to their one end: results, commits, cancellation, failure, and patience without workers.

use std::sync::Arc;

use windrow_common::{Error, ErrorKind, JobId, StageGraph, limits};

use super::fault::Fault;
use super::job::{Job, JobPhase};
use super::timers::Alarm;
use super::{Action, Scheduler, ToWorker};
use crate::event::Outcome;

impl Scheduler {
    pub(crate) fn submit(&mut self, id: JobId, seed: u128, graph: Arc<StageGraph>) {
        if self.jobs.contains_key(&id) {
            return;
        }
        let accepted = if self.jobs.len() >= limits::MAX_JOBS {
            let message =
                format!("{} jobs are queued or running, which is the limit; try again later", self.jobs.len());
            Err(Error::new(ErrorKind::Limit, message))
        } else {
            Job::new(id, seed, self.config.epoch, graph, self.now)
        };
        match accepted {
            Ok(mut job) => {
                job.freed_at = u64::from(self.config.has(Fault::FreedOneReaderEarly));
                job.undoes = !self.config.has(Fault::VersionsMixed);
                self.jobs.insert(id, job);
                self.touched.insert(id);
            }
            Err(error) => {
                let report = Box::new(windrow_common::JobReport { job: Some(id), ..Default::default() });
                self.out.push(Action::JobEnded { job: id, outcome: Outcome::Failed(error), report });
            }
        }
    }

    /// While a commit is under way it alone decides how the job ends: nobody here knows whether it is decided already.
    pub(crate) fn cancel(&mut self, id: JobId) {
        match self.jobs.get(&id).map(|job| job.phase) {
            Some(JobPhase::Working | JobPhase::Ready) => self.end(id, Outcome::Cancelled),
            Some(JobPhase::Committing) | None => {}
        }
    }

    pub(crate) fn result_released(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.graph.commits {
            return;
        }
        // A client that went away before it saw a result has cancelled; one that has had it needs no more of it.
        let outcome = if job.announced { Outcome::Completed } else { Outcome::Cancelled };
        self.end(id, outcome);
    }

    pub(crate) fn committed(&mut self, id: JobId, result: Result<(), Error>) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.phase != JobPhase::Committing {
            return;
        }
        let outcome = match result {
            Ok(()) => Outcome::Completed,
            Err(error) => Outcome::Failed(error.context(id)),
        };
        self.end(id, outcome);
    }

    /// Draws the outward consequences of a change in a job.
    pub(crate) fn follow_up(&mut self, id: JobId) {
        self.carry_out(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(error) = job.doom.take() {
            self.end(id, Outcome::Failed(error));
            return;
        }
        match (job.phase, job.is_complete()) {
            (JobPhase::Working, true) => self.complete(id),
            (JobPhase::Ready, false) => job.phase = JobPhase::Working,
            (JobPhase::Working, false) | (JobPhase::Ready, true) | (JobPhase::Committing, _) => {}
        }
        self.refresh_ready(id);
    }

    fn complete(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.starved_since = None;
        let result = job.graph.result;
        if job.graph.commits {
            job.phase = JobPhase::Committing;
            let reports = std::mem::take(&mut job.stages[result.0 as usize].sink_reports);
            self.out.push(Action::Commit { job: id, outputs: reports.into_values().collect() });
            return;
        }
        job.phase = JobPhase::Ready;
        job.announced = true;
        let locations = super::assign::locations(&self.pool, job, result).to_vec();
        let report = Box::new(job.report(self.now));
        self.out.push(Action::ResultReady { job: id, locations, report });
    }

    /// Ends a job: everything it had anywhere is stopped and freed.
    fn end(&mut self, id: JobId, outcome: Outcome) {
        self.carry_out(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        if let Some((running, served)) = job.ready_key {
            self.ready.remove(&(running, served, id));
        }
        if self.reservation.is_some_and(|r| r.job == id) {
            self.reservation = None;
        }
        for index in &job.workers {
            self.send(*index, ToWorker::ForgetJob { epoch: self.config.epoch, job: id });
            if let Some(worker) = self.pool.get_mut(*index) {
                worker.jobs.remove(&id);
                let stages: Vec<_> = worker.outputs.range((id, 0)..=(id, u32::MAX)).map(|(key, _)| *key).collect();
                for key in stages {
                    worker.outputs.remove(&key);
                }
            }
            self.pool.retire(*index);
        }
        let report = Box::new(job.report(self.now));
        self.out.push(Action::JobEnded { job: id, outcome, report });
    }

    /// A task could not be started because its job is doomed by now.
    pub(crate) fn end_if_doomed(&mut self, id: JobId) {
        if let Some(error) = self.jobs.get_mut(&id).and_then(|job| job.doom.take()) {
            self.end(id, Outcome::Failed(error));
        }
    }

    pub(crate) fn show_progress(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.shown != (job.done, job.running) {
            job.shown = (job.done, job.running);
            self.out.push(Action::Progress { job: id, done: job.done, running: job.running, total: job.total });
        }
    }

    /// There is a slot again: nobody waits in vain any more.
    pub(crate) fn slots_appeared(&mut self) {
        for job in self.jobs.values_mut() {
            job.starved_since = None;
        }
    }

    /// The last slot is gone, whichever way: whoever has work begins to wait.
    pub(crate) fn slots_vanished(&mut self) {
        self.touched.extend(self.jobs.keys().copied());
    }

    /// Notes that a job has work and no slot exists, if that is so and new.
    pub(crate) fn arm_starvation(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if self.pool.total_slots() == 0 && job.phase == JobPhase::Working && job.starved_since.is_none() {
            job.starved_since = Some(self.now);
            self.timers.set(self.now + self.config.no_worker_patience, Alarm::Starved(id));
        }
    }

    /// Looks whether a job has waited for too long for a worker.
    pub(crate) fn starved(&mut self, id: JobId) {
        let Some(since) = self.jobs.get(&id).and_then(|job| job.starved_since) else { return };
        let waited = self.now.since(since);
        if waited < self.config.no_worker_patience {
            return;
        }
        let message = format!(
            "{id}: no worker is connected; waited {:.0} s for one. Start a worker, or check that it can reach the coordinator",
            waited.as_secs_f64()
        );
        self.end(id, Outcome::Failed(Error::unavailable(message)));
    }
}

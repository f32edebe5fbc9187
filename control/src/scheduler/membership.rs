//! Workers come, go, fall silent and come back. This file owns what that means for attempts and outputs; which tasks
//! must run again is for `lineage` to say.

use std::collections::BTreeMap;

use windrow_common::{AttemptId, Incarnation, JobId, TaskId, WorkerId};

use super::fault::Fault;
use super::job::JobPhase;
use super::pool::{Occupancy, Worker, WorkerIndex};
use super::task::{Phase, TaskAt};
use super::timers::Alarm;
use super::{Action, Scheduler, ToWorker};

/// What a worker says of itself when it connects.
pub(crate) struct Offer {
    pub(crate) slots: u32,
    pub(crate) memory: u64,
    pub(crate) endpoint: String,
    pub(crate) running: Vec<AttemptId>,
    pub(crate) held: Vec<AttemptId>,
}

impl Scheduler {
    pub(crate) fn worker_connected(&mut self, id: WorkerId, incarnation: Incarnation, offer: Offer) {
        if let Some(index) = self.pool.latest(id) {
            self.supersede(index, incarnation);
        }
        let known = self.pool.latest(id).filter(|i| self.pool.get(*i).is_some_and(|w| w.incarnation == incarnation));
        let index = known.unwrap_or_else(|| self.pool.add(new_worker(id, incarnation, self.now)));
        let mut occupied = BTreeMap::new();
        if let Some(worker) = self.pool.get_mut(index) {
            // Whatever still runs there keeps its slots until the worker says that it has ended.
            for attempt in &offer.running {
                let occupancy = worker.running.get(attempt).copied().unwrap_or(Occupancy { slots: 1, task: None });
                occupied.insert(*attempt, occupancy);
            }
            worker.slots = offer.slots;
            worker.memory = offer.memory;
            worker.endpoint = offer.endpoint;
        }
        let had_slots = self.pool.total_slots() > 0;
        self.pool.connect(index, occupied, self.now);
        self.timers.set(self.now + self.config.heartbeat_timeout, Alarm::Silence { worker: index, incarnation });
        if !had_slots && self.pool.total_slots() > 0 {
            self.slots_appeared();
        }
        let epoch = self.config.epoch;
        self.send(index, ToWorker::Welcome { epoch, heartbeat: self.config.heartbeat_interval });
        // Losing the connection has re-queued whatever ran, so none of it counts any more.
        for attempt in offer.running {
            self.send(index, ToWorker::Cancel { epoch, attempt });
        }
        let unwanted: Vec<AttemptId> = offer.held.into_iter().filter(|a| !self.adopt(index, *a)).collect();
        if !unwanted.is_empty() {
            self.send(index, ToWorker::Free { epoch, attempts: unwanted });
        }
    }

    /// The worker is already known: whatever connection it had is over.
    fn supersede(&mut self, index: WorkerIndex, incarnation: Incarnation) {
        let Some(worker) = self.pool.get(index) else { return };
        let (id, old, connected) = (worker.id, worker.incarnation, worker.connected);
        if connected {
            self.lose(index);
            if old != incarnation {
                let reason = format!("{incarnation} of {id} has connected in its place");
                self.out.push(Action::Disconnect { worker: id, incarnation: old, reason });
            }
        }
    }

    /// Whether an output that a worker brought with it counts, now or again.
    fn adopt(&mut self, index: WorkerIndex, attempt: AttemptId) -> bool {
        let jobs: Vec<JobId> = self.pool.get(index).map_or_else(Vec::new, |w| w.jobs.iter().copied().collect());
        for id in jobs {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let Some(at) = job.at_of(attempt) else { continue };
            if job.phase_of(at) == (Phase::Done { attempt, worker: index }) {
                return true;
            }
            if job.adopt(at, attempt, index) {
                self.touched.insert(id);
                self.note_output(index, id, at);
                return true;
            }
        }
        false
    }

    /// Remembers that the worker holds an output, so that its loss costs no search.
    pub(crate) fn note_output(&mut self, index: WorkerIndex, job: JobId, at: TaskAt) {
        if let Some(worker) = self.pool.get_mut(index) {
            worker.outputs.entry((job, at.stage)).or_default().push(at.task);
        }
    }

    pub(crate) fn heartbeat(&mut self, id: WorkerId, incarnation: Incarnation) {
        let now = self.now;
        if let Some(worker) = self.pool.connected(id, incarnation).and_then(|i| self.pool.get_mut(i)) {
            worker.last_seen = now;
        }
    }

    pub(crate) fn worker_disconnected(&mut self, id: WorkerId, incarnation: Incarnation) {
        let incarnation = match self.pool.latest(id).and_then(|i| self.pool.get(i)) {
            Some(latest) if self.config.has(Fault::IncarnationNotCompared) => latest.incarnation,
            Some(_) | None => incarnation,
        };
        if let Some(index) = self.pool.connected(id, incarnation) {
            self.lose(index);
        }
    }

    /// Looks whether a worker has been silent for too long.
    pub(crate) fn silence(&mut self, index: WorkerIndex, incarnation: Incarnation) {
        let Some(worker) = self.pool.get(index) else { return };
        if !worker.connected || worker.incarnation != incarnation {
            return;
        }
        let deadline = worker.last_seen + self.config.heartbeat_timeout;
        if deadline > self.now {
            self.timers.set(deadline, Alarm::Silence { worker: index, incarnation });
            return;
        }
        let silence = self.now.since(worker.last_seen);
        let reason = format!("nothing was heard of it for {:.1} s", silence.as_secs_f64());
        let worker = worker.id;
        self.lose(index);
        self.out.push(Action::Disconnect { worker, incarnation, reason });
    }

    /// The worker's connection is over, one way or the other: what ran there is queued again, what it held is lost.
    fn lose(&mut self, index: WorkerIndex) {
        self.pool.disconnect(index);
        let Some(worker) = self.pool.get_mut(index) else { return };
        let outputs = std::mem::take(&mut worker.outputs);
        let running: Vec<(AttemptId, TaskId)> =
            worker.running.iter().filter_map(|(attempt, o)| Some((*attempt, o.task?))).collect();
        for (attempt, task) in running {
            let Some(job) = self.jobs.get_mut(&task.job) else { continue };
            let Some(at) = job.at(task.stage.0, task.index) else { continue };
            if job.phase_of(at) == (Phase::Running { attempt, worker: index }) {
                job.requeue(at);
                self.touched.insert(task.job);
            }
        }
        for ((id, stage), tasks) in outputs {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            // What the reports said is all that a commit needs.
            if job.phase == JobPhase::Committing {
                continue;
            }
            for task in tasks {
                job.lose_with_worker(TaskAt { stage, task }, index);
            }
            self.touched.insert(id);
        }
        if self.reservation.is_some_and(|r| r.worker == index) {
            self.reservation = None;
        }
        self.pool.retire(index);
        if self.pool.total_slots() == 0 {
            self.slots_vanished();
        }
    }
}

fn new_worker(id: WorkerId, incarnation: Incarnation, now: windrow_common::Timestamp) -> Worker {
    Worker {
        id,
        incarnation,
        slots: 0,
        used: 0,
        memory: 0,
        endpoint: String::new(),
        connected: false,
        last_seen: now,
        running: BTreeMap::new(),
        outputs: BTreeMap::new(),
        jobs: std::collections::BTreeSet::new(),
    }
}

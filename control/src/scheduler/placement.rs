//! Which task starts next, and where. The choice of a worker is a pure function over the index of free slots.
//!
//! Fair across jobs: the job with the fewest running slots is served first, then the one served longest ago. A task of
//! several slots that fits nowhere *reserves* the worker with the most free slots that could ever hold it, so that a
//! stream of small tasks cannot starve it; everybody else works around that worker until it has been served.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use windrow_common::{JobId, ReadMode, WorkerId, limits};

use super::job::Job;
use super::pool::{Occupancy, Pool, WorkerIndex};
use super::task::{Phase, TaskAt};
use super::{Scheduler, ToWorker, assign};

/// Producers that are looked at to find the worker nearest to a task's input.
const MAX_NEAR: usize = 16;

/// A worker that is kept free for a job's task of several slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) worker: WorkerIndex,
    pub(crate) job: JobId,
}

/// What a task asks of a worker.
pub(crate) struct Request<'a> {
    pub(crate) slots: u32,
    /// The worker that holds most of its input.
    pub(crate) near: Option<WorkerIndex>,
    /// Workers on which it has failed: taken only if there is no other.
    pub(crate) failed_on: &'a [WorkerId],
    /// A worker that is reserved for somebody else.
    pub(crate) barred: Option<WorkerIndex>,
}

/// The worker to run a task on: the nearest, else the least loaded; one on which it has failed only if nothing else is
/// free. None if it fits nowhere now.
pub(crate) fn choose(pool: &Pool, request: &Request<'_>) -> Option<WorkerIndex> {
    let failed = |index: WorkerIndex| pool.get(index).is_some_and(|w| request.failed_on.contains(&w.id));
    let fits = |index: WorkerIndex| {
        pool.get(index).is_some_and(|w| w.connected && w.free() >= request.slots) && request.barred != Some(index)
    };
    if let Some(near) = request.near
        && fits(near)
        && !failed(near)
    {
        return Some(near);
    }
    let mut second_best = None;
    for (free, Reverse(index)) in pool.by_free().iter().rev() {
        if *free < request.slots {
            break;
        }
        if request.barred == Some(*index) {
            continue;
        }
        if !failed(*index) {
            return Some(*index);
        }
        second_best = second_best.or(Some(*index));
    }
    second_best
}

impl Scheduler {
    /// Keeps the job's place in the queue of jobs that could start a task.
    pub(crate) fn refresh_ready(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let wants = job.next_task().is_some();
        let key = wants.then_some((job.running_slots, job.served));
        if key == job.ready_key {
            return;
        }
        if let Some((running, served)) = std::mem::replace(&mut job.ready_key, key) {
            self.ready.remove(&(running, served, id));
        }
        if let Some((running, served)) = key {
            self.ready.insert((running, served, id));
        }
    }

    /// Starts tasks until no slot is free or none fits.
    pub(crate) fn place(&mut self) {
        // Whoever has nothing to start now, for its inputs were lost, keeps no worker from others.
        let waits = |r: &Reservation| self.jobs.get(&r.job).is_some_and(|job| job.ready_key.is_some());
        self.reservation = self.reservation.filter(waits);
        let mut passed: Bound<(u64, u64, JobId)> = Bound::Unbounded;
        let mut passed_over = 0;
        while !self.pool.by_free().is_empty() && passed_over < limits::MAX_PASSED_OVER {
            let Some(key) = self.ready.range((passed, Bound::Unbounded)).next().copied() else { break };
            if !self.start_one(key.2) {
                passed = Bound::Excluded(key);
                passed_over += 1;
            }
        }
    }

    /// Starts the job's next task, if it fits anywhere. False if the job must wait.
    fn start_one(&mut self, id: JobId) -> bool {
        let largest = self.pool.largest();
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        let Some(at) = job.next_task() else { return false };
        let slots = job.slots_of(at).min(largest);
        let trouble = job.stages[at.stage as usize].troubles.get(&at.task);
        let request = Request {
            slots,
            near: nearest(job, at),
            failed_on: trouble.map_or(&[], |t| t.workers.as_slice()),
            barred: self.reservation.filter(|r| r.job != id).map(|r| r.worker),
        };
        let Some(worker) = choose(&self.pool, &request) else {
            if slots > 1 && self.reservation.is_none() {
                self.reservation = roomiest(&self.pool, slots).map(|worker| Reservation { worker, job: id });
            }
            return false;
        };
        self.touched.insert(id);
        self.start(id, at, worker, slots);
        true
    }

    fn start(&mut self, id: JobId, at: TaskAt, worker: WorkerIndex, slots: u32) {
        let epoch = self.config.epoch;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(attempt) = job.start(at, worker) else {
            self.end_if_doomed(id);
            return;
        };
        self.served += 1;
        job.served = self.served;
        let assignment = assign::assignment(&self.pool, job, at, (attempt, worker), epoch, slots);
        let task = job.name(at);
        if self.reservation.is_some_and(|r| r.job == id) {
            self.reservation = None;
        }
        self.pool.occupy(worker, attempt, Occupancy { slots, task: Some(task) });
        if let Some(worker) = self.pool.get_mut(worker) {
            worker.jobs.insert(id);
        }
        self.send(worker, ToWorker::Start(Box::new(assignment)));
        self.refresh_ready(id);
    }
}

/// The worker with the most free slots of those that could hold the task if nothing else ran there.
fn roomiest(pool: &Pool, slots: u32) -> Option<WorkerIndex> {
    let able = pool.iter().filter(|(_, w)| w.connected && w.slots >= slots);
    able.max_by_key(|(index, w)| (w.free(), Reverse(*index))).map(|(index, _)| index)
}

/// The worker that holds the most bytes of what the task reads through exchanges in which a producer fills only its own
/// partitions. Other exchanges spread every reader's input evenly.
fn nearest(job: &Job, at: TaskAt) -> Option<WorkerIndex> {
    let stage = &job.graph.stages[at.stage as usize];
    let mut held: BTreeMap<WorkerIndex, u64> = BTreeMap::new();
    for (i, input) in stage.inputs.iter().enumerate() {
        let producer = &job.graph.stages[input.exchange.0 as usize];
        let narrow = match producer.output {
            windrow_common::ExchangeKind::Forward | windrow_common::ExchangeKind::Gather => {
                input.mode == ReadMode::Partitions
            }
            windrow_common::ExchangeKind::Shuffle
            | windrow_common::ExchangeKind::Broadcast
            | windrow_common::ExchangeKind::Scalar => false,
        };
        let Some(read) = stage.tasks[at.task as usize].reads.get(i).filter(|_| narrow) else { continue };
        // Partitions are numbered along the tasks.
        let first = producer.tasks.partition_point(|t| t.partitions.end <= read.start);
        let own = producer.tasks.iter().enumerate().skip(first).take_while(|(_, t)| t.partitions.start < read.end);
        for (task, _) in own.take(MAX_NEAR) {
            let state = &job.stages[input.exchange.0 as usize].tasks[task];
            if let Phase::Done { worker, .. } = state.phase {
                *held.entry(worker).or_default() += state.bytes;
            }
        }
    }
    let most = held.into_iter().max_by_key(|(worker, bytes)| (*bytes, Reverse(*worker)));
    most.filter(|(_, bytes)| *bytes > 0).map(|(worker, _)| worker)
}

/// Checks the queue of jobs against the jobs.
pub(crate) fn check_ready(ready: &BTreeSet<(u64, u64, JobId)>, jobs: &BTreeMap<JobId, Job>) -> Result<(), String> {
    let listed = jobs.values().filter(|job| job.ready_key.is_some()).count();
    if listed != ready.len() {
        return Err(format!("{} jobs are in the queue, {listed} say that they are", ready.len()));
    }
    for (running, served, id) in ready {
        let Some(job) = jobs.get(id) else { return Err(format!("{id} is queued but has ended")) };
        if job.ready_key != Some((*running, *served)) || job.running_slots != *running {
            return Err(format!("{id} is queued with {running} running slots and has {}", job.running_slots));
        }
    }
    Ok(())
}

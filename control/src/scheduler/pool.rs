//! The workers, by dense index: who is connected, what they run and hold, and an ordered index by free slots.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use windrow_common::{AttemptId, Incarnation, JobId, TaskId, Timestamp, WorkerId};

/// Place of one incarnation of a worker in the pool. Used again only when no job refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerIndex(pub(crate) u32);

/// Slots taken by an attempt, from its start until the worker says that it has ended, wanted or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occupancy {
    pub(crate) slots: u32,
    /// None for attempts of an earlier epoch that a worker brought with it.
    pub(crate) task: Option<TaskId>,
}

/// One incarnation of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) incarnation: Incarnation,
    pub(crate) slots: u32,
    pub(crate) used: u32,
    pub(crate) memory: u64,
    pub(crate) endpoint: String,
    pub(crate) connected: bool,
    pub(crate) last_seen: Timestamp,
    pub(crate) running: BTreeMap<AttemptId, Occupancy>,
    /// Tasks whose accepted outputs it holds, or held once: by job and stage.
    pub(crate) outputs: BTreeMap<(JobId, u32), Vec<u32>>,
    /// Jobs that ever gave it an attempt.
    pub(crate) jobs: BTreeSet<JobId>,
}

impl Worker {
    pub(crate) fn free(&self) -> u32 {
        self.slots.saturating_sub(self.used)
    }
}

/// All workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    entries: Vec<Option<Worker>>,
    vacant: Vec<u32>,
    by_id: BTreeMap<WorkerId, WorkerIndex>,
    /// Connected workers with a free slot, least loaded last.
    by_free: BTreeSet<(u32, Reverse<WorkerIndex>)>,
    /// Connected workers by size, and how many have it.
    sizes: BTreeMap<u32, u32>,
    total_slots: u64,
}

impl Pool {
    pub(crate) fn get(&self, index: WorkerIndex) -> Option<&Worker> {
        self.entries.get(index.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: WorkerIndex) -> Option<&mut Worker> {
        self.entries.get_mut(index.0 as usize)?.as_mut()
    }

    /// The latest known incarnation of a worker, connected or not.
    pub(crate) fn latest(&self, id: WorkerId) -> Option<WorkerIndex> {
        self.by_id.get(&id).copied()
    }

    /// This very incarnation, if it is connected.
    pub(crate) fn connected(&self, id: WorkerId, incarnation: Incarnation) -> Option<WorkerIndex> {
        let index = self.latest(id)?;
        let worker = self.get(index)?;
        (worker.connected && worker.incarnation == incarnation).then_some(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerIndex, &Worker)> {
        self.entries.iter().enumerate().filter_map(|(i, worker)| Some((WorkerIndex(i as u32), worker.as_ref()?)))
    }

    pub(crate) fn by_free(&self) -> &BTreeSet<(u32, Reverse<WorkerIndex>)> {
        &self.by_free
    }

    pub(crate) fn total_slots(&self) -> u64 {
        self.total_slots
    }

    /// Slots of the largest connected worker.
    pub(crate) fn largest(&self) -> u32 {
        self.sizes.last_key_value().map_or(0, |(slots, _)| *slots)
    }

    /// Adds a worker that is not connected yet and makes it the latest of its id.
    pub(crate) fn add(&mut self, worker: Worker) -> WorkerIndex {
        let id = worker.id;
        let index = match self.vacant.pop() {
            Some(index) => {
                self.entries[index as usize] = Some(worker);
                WorkerIndex(index)
            }
            None => {
                self.entries.push(Some(worker));
                WorkerIndex(self.entries.len() as u32 - 1)
            }
        };
        self.by_id.insert(id, index);
        index
    }

    /// Counts the worker in, with what it offers now.
    pub(crate) fn connect(&mut self, index: WorkerIndex, running: BTreeMap<AttemptId, Occupancy>, now: Timestamp) {
        let Some(worker) = self.get_mut(index) else { return };
        worker.connected = true;
        worker.last_seen = now;
        worker.used = running.values().map(|o| o.slots).sum();
        worker.running = running;
        let (slots, free) = (worker.slots, worker.free());
        self.total_slots += u64::from(slots);
        *self.sizes.entry(slots).or_default() += 1;
        if free > 0 {
            self.by_free.insert((free, Reverse(index)));
        }
    }

    /// Counts the worker out. What it ran and held stays noted until [`Pool::retire`].
    pub(crate) fn disconnect(&mut self, index: WorkerIndex) {
        let Some(worker) = self.get_mut(index) else { return };
        if !worker.connected {
            return;
        }
        worker.connected = false;
        let (slots, free) = (worker.slots, worker.free());
        self.by_free.remove(&(free, Reverse(index)));
        self.total_slots -= u64::from(slots);
        if let Some(count) = self.sizes.get_mut(&slots) {
            *count -= 1;
            if *count == 0 {
                self.sizes.remove(&slots);
            }
        }
    }

    /// Forgets a worker that is not connected and to which no job refers.
    pub(crate) fn retire(&mut self, index: WorkerIndex) {
        let Some(worker) = self.get(index) else { return };
        if worker.connected || !worker.jobs.is_empty() {
            return;
        }
        let id = worker.id;
        self.entries[index.0 as usize] = None;
        self.vacant.push(index.0);
        if self.by_id.get(&id) == Some(&index) {
            self.by_id.remove(&id);
        }
    }

    /// Gives slots of the worker to an attempt.
    pub(crate) fn occupy(&mut self, index: WorkerIndex, attempt: AttemptId, occupancy: Occupancy) {
        self.reindex(index, |worker| {
            worker.used += occupancy.slots;
            worker.running.insert(attempt, occupancy);
        });
    }

    /// Takes the attempt's slots back; nothing happens if it has none.
    pub(crate) fn release(&mut self, index: WorkerIndex, attempt: AttemptId) {
        self.reindex(index, |worker| {
            if let Some(occupancy) = worker.running.remove(&attempt) {
                worker.used -= occupancy.slots;
            }
        });
    }

    /// Whether the attempt takes slots of the worker, but was not started in this term.
    pub(crate) fn is_foreign(&self, index: WorkerIndex, attempt: AttemptId) -> bool {
        self.get(index).and_then(|w| w.running.get(&attempt)).is_some_and(|o| o.task.is_none())
    }

    fn reindex(&mut self, index: WorkerIndex, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.entries.get_mut(index.0 as usize).and_then(Option::as_mut) else { return };
        let before = worker.free();
        change(worker);
        let (after, connected) = (worker.free(), worker.connected);
        if connected && before != after {
            self.by_free.remove(&(before, Reverse(index)));
            if after > 0 {
                self.by_free.insert((after, Reverse(index)));
            }
        }
    }

    /// Checks the index against the entries.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut total = 0;
        let mut indexed = 0;
        for (index, worker) in self.iter() {
            let used: u32 = worker.running.values().map(|o| o.slots).sum();
            if used != worker.used {
                return Err(format!("{}: {} slots counted, {used} taken", worker.id, worker.used));
            }
            let listed = self.by_free.contains(&(worker.free(), Reverse(index)));
            if listed != (worker.connected && worker.free() > 0) {
                return Err(format!("{}: {} free slots, listed: {listed}", worker.id, worker.free()));
            }
            if worker.connected {
                total += u64::from(worker.slots);
                indexed += usize::from(listed);
                if self.by_id.get(&worker.id) != Some(&index) {
                    return Err(format!("{} is connected but not the latest of its id", worker.id));
                }
            } else if worker.jobs.is_empty() {
                return Err(format!("{} is gone and nobody refers to it, yet it is kept", worker.id));
            }
        }
        if total != self.total_slots || indexed != self.by_free.len() {
            return Err(format!("{} slots counted, {total} connected", self.total_slots));
        }
        Ok(())
    }
}

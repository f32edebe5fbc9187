//! What a cluster runs and holds at one moment, counted by the parts themselves: for operators, and for the promise that
//! a job which has ended, however it did, leaves nothing.

use crate::error::{Error, Result};
use crate::ids::WorkerId;

/// A coordinator and all of its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCounters {
    /// The coordinator's own.
    pub coordinator: CoordinatorCounters,
    /// Every connected worker, whether it answered or not.
    pub workers: Vec<CountedWorker>,
}

/// A connected worker, and what it answered when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedWorker {
    /// Who.
    pub id: WorkerId,
    /// Its process.
    pub pid: u32,
    /// Slots it offers.
    pub slots: u32,
    /// `host:port` of its server.
    pub endpoint: String,
    /// Its counters. One that does not answer has none, which is not the same as zeros.
    pub counters: Result<WorkerCounters, Error>,
}

/// What a coordinator runs and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoordinatorCounters {
    /// Open sessions.
    pub sessions: u64,
    /// Statements that run or whose rows are not all handed on, those of closed sessions too.
    pub statements: u64,
    /// Statements that are being planned.
    pub planning: u64,
    /// Jobs of the driver.
    pub jobs: u64,
    /// Tasks of those jobs that run.
    pub tasks_running: u64,
    /// Tasks of those jobs that wait for inputs, slots or the end of a pause.
    pub tasks_waiting: u64,
    /// Writes that are being published.
    pub commits: u64,
    /// Plans and other blobs that jobs name.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub blob_bytes: u64,
    /// Results, or parts of them, that are being read from workers, and rows that are being encoded for clients.
    pub results: u64,
    /// Connections of clients and workers.
    pub connections: u64,
}

/// What a worker runs and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Attempts that run or are being stopped.
    pub attempts: u64,
    /// Bytes charged to its budget.
    pub memory: MemoryCounters,
    /// Outputs held for readers, finished or not.
    pub outputs: u64,
    /// Bytes of those outputs in memory.
    pub output_memory: u64,
    /// Bytes of those outputs on disk.
    pub output_disk: u64,
    /// Files in its scratch directory, of outputs and of operators.
    pub spill_files: u64,
    /// Bytes of those files.
    pub spill_bytes: u64,
    /// Outputs being read, here or for others.
    pub readers: u64,
    /// Streams that others are being served.
    pub streams: u64,
    /// Calls to other workers whose blocks are being read.
    pub fetches: u64,
    /// Plans kept for the next attempt that needs them; they stay when their job has ended, up to a limit.
    pub plans: u64,
    /// Bytes of those plans.
    pub plan_bytes: u64,
}

/// A worker's byte budget, by who uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounters {
    /// The most that may be used.
    pub limit: u64,
    /// All that is used.
    pub used: u64,
    /// The most that ever was.
    pub peak: u64,
    /// Operators of attempts.
    pub operators: u64,
    /// Outputs held in memory.
    pub store: u64,
    /// Blocks on their way between processes.
    pub fetch: u64,
    /// Bytes of the store that could go to disk.
    pub evictable: u64,
}

impl ClusterCounters {
    /// Whether nothing of any job is left anywhere. A worker that does not answer is not known to be at rest.
    pub fn is_at_rest(&self) -> bool {
        let rests = |worker: &CountedWorker| worker.counters.as_ref().is_ok_and(WorkerCounters::is_at_rest);
        self.coordinator.is_at_rest() && self.workers.iter().all(rests)
    }
}

impl CoordinatorCounters {
    /// Whether nothing of any job is left here. Sessions and connections may be open without one.
    pub fn is_at_rest(&self) -> bool {
        *self == Self { sessions: self.sessions, connections: self.connections, ..Self::default() }
    }
}

impl WorkerCounters {
    /// Whether nothing of any job is left here but plans that are kept for the next.
    pub fn is_at_rest(&self) -> bool {
        let MemoryCounters { limit, peak, .. } = self.memory;
        let memory = MemoryCounters { limit, peak, ..MemoryCounters::default() };
        *self == Self { memory, plans: self.plans, plan_bytes: self.plan_bytes, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(coordinator: CoordinatorCounters, counters: Result<WorkerCounters, Error>) -> ClusterCounters {
        let worker = CountedWorker { id: WorkerId(1), pid: 1, slots: 1, endpoint: "127.0.0.1:1".into(), counters };
        ClusterCounters { coordinator, workers: vec![worker] }
    }

    #[test]
    fn sessions_connections_and_kept_plans_are_no_work() {
        let coordinator = CoordinatorCounters { sessions: 3, connections: 2, ..Default::default() };
        let memory = MemoryCounters { limit: 1 << 30, peak: 1 << 20, ..Default::default() };
        let worker = WorkerCounters { memory, plans: 4, plan_bytes: 1000, ..Default::default() };
        assert!(cluster(coordinator, Ok(worker)).is_at_rest());
    }

    #[test]
    fn anything_else_is_and_so_is_silence() {
        let idle = WorkerCounters::default();
        let busy = MemoryCounters { used: 1, operators: 1, ..Default::default() };
        for left in [
            WorkerCounters { attempts: 1, ..idle },
            WorkerCounters { memory: busy, ..idle },
            WorkerCounters { outputs: 1, ..idle },
            WorkerCounters { spill_files: 1, ..idle },
            WorkerCounters { streams: 1, ..idle },
            WorkerCounters { fetches: 1, ..idle },
        ] {
            assert!(!cluster(CoordinatorCounters::default(), Ok(left)).is_at_rest(), "{left:?}");
        }
        let quiet = CoordinatorCounters::default();
        assert!(!cluster(quiet, Err(Error::unavailable("it does not answer"))).is_at_rest());
        assert!(!cluster(CoordinatorCounters { blobs: 1, ..quiet }, Ok(idle)).is_at_rest());
        assert!(!cluster(CoordinatorCounters { statements: 1, ..quiet }, Ok(idle)).is_at_rest());
    }
}

//! [`ClusterCounters`] as a message and back. Both ways are total: a counter that the other end does not know is zero.

use windrow_common::{
    ClusterCounters, CoordinatorCounters, CountedWorker, Error, ErrorKind, MemoryCounters, Result, WorkerCounters,
    WorkerId,
};

use crate::control as wire;
use crate::protocol::{id, malformed};
use crate::status::{failure_from_wire, failure_to_wire, id_bytes};

/// A cluster's counters as they travel.
pub fn cluster_to_wire(counters: &ClusterCounters) -> wire::ClusterCounters {
    wire::ClusterCounters {
        coordinator: Some(coordinator_to_wire(&counters.coordinator)),
        workers: counters.workers.iter().map(counted_to_wire).collect(),
    }
}

/// A cluster's counters from the wire.
pub fn cluster_from_wire(counters: wire::ClusterCounters) -> Result<ClusterCounters> {
    Ok(ClusterCounters {
        coordinator: coordinator_from_wire(counters.coordinator.unwrap_or_default()),
        workers: counters.workers.into_iter().map(counted_from_wire).collect::<Result<_>>()?,
    })
}

fn counted_to_wire(counted: &CountedWorker) -> wire::CountedWorker {
    use wire::counted_worker::Answer;
    let worker = wire::WorkerInfo {
        worker: id_bytes(counted.id.0),
        pid: counted.pid,
        slots: counted.slots,
        endpoint: counted.endpoint.clone(),
    };
    let answer = match &counted.counters {
        Ok(counters) => Answer::Counters(worker_to_wire(counters)),
        Err(error) => Answer::Failure(failure_to_wire(error)),
    };
    wire::CountedWorker { worker: Some(worker), answer: Some(answer) }
}

fn counted_from_wire(counted: wire::CountedWorker) -> Result<CountedWorker> {
    use wire::counted_worker::Answer;
    let worker = counted.worker.ok_or_else(|| malformed("worker"))?;
    let counters = match counted.answer {
        Some(Answer::Counters(counters)) => Ok(worker_from_wire(counters)),
        Some(Answer::Failure(failure)) => Err(failure_from_wire(failure)),
        None => Err(Error::new(ErrorKind::Version, "the worker's answer is in words that are unknown here")),
    };
    Ok(CountedWorker {
        id: WorkerId(id(&worker.worker, "worker id")?),
        pid: worker.pid,
        slots: worker.slots,
        endpoint: worker.endpoint,
        counters,
    })
}

fn coordinator_to_wire(counters: &CoordinatorCounters) -> wire::CoordinatorCounters {
    let CoordinatorCounters {
        sessions,
        statements,
        planning,
        jobs,
        tasks_running,
        tasks_waiting,
        commits,
        blobs,
        blob_bytes,
        results,
        connections,
    } = *counters;
    wire::CoordinatorCounters {
        sessions,
        statements,
        planning,
        jobs,
        tasks_running,
        tasks_waiting,
        commits,
        blobs,
        blob_bytes,
        results,
        connections,
    }
}

fn coordinator_from_wire(counters: wire::CoordinatorCounters) -> CoordinatorCounters {
    let wire::CoordinatorCounters {
        sessions,
        statements,
        planning,
        jobs,
        tasks_running,
        tasks_waiting,
        commits,
        blobs,
        blob_bytes,
        results,
        connections,
    } = counters;
    CoordinatorCounters {
        sessions,
        statements,
        planning,
        jobs,
        tasks_running,
        tasks_waiting,
        commits,
        blobs,
        blob_bytes,
        results,
        connections,
    }
}

/// A worker's counters as they travel.
pub fn worker_to_wire(counters: &WorkerCounters) -> wire::WorkerCounters {
    let WorkerCounters {
        attempts,
        memory,
        outputs,
        output_memory,
        output_disk,
        spill_files,
        spill_bytes,
        readers,
        streams,
        fetches,
        plans,
        plan_bytes,
    } = *counters;
    let MemoryCounters { limit, used, peak, operators, store, fetch, evictable } = memory;
    wire::WorkerCounters {
        attempts,
        memory: Some(wire::MemoryCounters { limit, used, peak, operators, store, fetch, evictable }),
        outputs,
        output_memory,
        output_disk,
        spill_files,
        spill_bytes,
        readers,
        streams,
        fetches,
        plans,
        plan_bytes,
    }
}

/// A worker's counters from the wire.
pub fn worker_from_wire(counters: wire::WorkerCounters) -> WorkerCounters {
    let wire::WorkerCounters {
        attempts,
        memory,
        outputs,
        output_memory,
        output_disk,
        spill_files,
        spill_bytes,
        readers,
        streams,
        fetches,
        plans,
        plan_bytes,
    } = counters;
    let wire::MemoryCounters { limit, used, peak, operators, store, fetch, evictable } = memory.unwrap_or_default();
    WorkerCounters {
        attempts,
        memory: MemoryCounters { limit, used, peak, operators, store, fetch, evictable },
        outputs,
        output_memory,
        output_disk,
        spill_files,
        spill_bytes,
        readers,
        streams,
        fetches,
        plans,
        plan_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(number: u128, counters: Result<WorkerCounters>) -> CountedWorker {
        CountedWorker { id: WorkerId(number), pid: 7, slots: 2, endpoint: "127.0.0.1:4711".into(), counters }
    }

    #[test]
    fn every_counter_survives_the_wire_and_so_does_silence() {
        let memory = MemoryCounters { limit: 1, used: 2, peak: 3, operators: 4, store: 5, fetch: 6, evictable: 7 };
        let counted = WorkerCounters {
            attempts: 8,
            memory,
            outputs: 9,
            output_memory: 10,
            output_disk: 11,
            spill_files: 12,
            spill_bytes: 13,
            readers: 14,
            streams: 15,
            fetches: 16,
            plans: 17,
            plan_bytes: 18,
        };
        let coordinator = CoordinatorCounters {
            sessions: 1,
            statements: 2,
            planning: 3,
            jobs: 4,
            tasks_running: 5,
            tasks_waiting: 6,
            commits: 7,
            blobs: 8,
            blob_bytes: 9,
            results: 10,
            connections: 11,
        };
        let silent = Err(Error::unavailable("it has not answered"));
        let all = ClusterCounters { coordinator, workers: vec![worker(1 << 100, Ok(counted)), worker(2, silent)] };
        assert_eq!(cluster_from_wire(cluster_to_wire(&all)).unwrap(), all);
    }

    #[test]
    fn an_answer_in_unknown_words_is_not_zero() {
        let mut wire = cluster_to_wire(&ClusterCounters {
            coordinator: CoordinatorCounters::default(),
            workers: vec![worker(1, Ok(WorkerCounters::default()))],
        });
        wire.workers[0].answer = None;
        assert_eq!(
            cluster_from_wire(wire.clone()).unwrap().workers[0].counters.as_ref().unwrap_err().kind,
            ErrorKind::Version
        );
        wire.workers[0].worker = None;
        assert_eq!(cluster_from_wire(wire).unwrap_err().kind, ErrorKind::Version);
    }
}

//! `windrow workers`: who works, and what the cluster runs and holds right now.

use clap::Args;
use serde_json::{Value, json};
use windrow::ClusterCounters;
use windrow_common::{ByteSize, CoordinatorCounters, CountedWorker, Result};

use super::At;
use crate::grid::{Align, Grid};
use crate::interrupt::Interrupt;
use crate::stdout::{print, print_json};
use crate::visible::in_lines;

const MEANING: &str = "\
tasks: attempts that run or are being stopped; memory: bytes charged to the worker's budget, and its limit; outputs: rows
held for later tasks or for the client; on disk: spilled bytes; streams: readers in other processes. --json has more: one
line for the coordinator, one for each worker.";

/// `windrow workers`.
#[derive(Debug, Args)]
#[command(after_help = MEANING)]
pub struct WorkersCommand {
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Which cluster.
    #[command(flatten)]
    pub at: At,
}

impl WorkersCommand {
    /// Prints them.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let counters = interrupt.or_cancelled(cluster.counters()).await?;
        if self.json {
            let coordinator = std::iter::once(coordinator_json(&counters.coordinator));
            return print_json(coordinator.chain(counters.workers.iter().map(worker_json)));
        }
        print(&table(&counters))
    }
}

/// A row for each worker, and what the coordinator has below.
fn table(counters: &ClusterCounters) -> String {
    let mut grid = Grid::new(&[
        ("worker", Align::Left),
        ("address", Align::Left),
        ("pid", Align::Right),
        ("slots", Align::Right),
        ("tasks", Align::Right),
        ("memory", Align::Right),
        ("outputs", Align::Right),
        ("on disk", Align::Right),
        ("streams", Align::Right),
    ]);
    let mut silent = String::new();
    for worker in &counters.workers {
        let mut row =
            vec![worker.id.to_string(), worker.endpoint.clone(), worker.pid.to_string(), worker.slots.to_string()];
        match &worker.counters {
            Ok(counted) => row.extend([
                counted.attempts.to_string(),
                format!("{}/{}", ByteSize(counted.memory.used), ByteSize(counted.memory.limit)),
                counted.outputs.to_string(),
                ByteSize(counted.spill_bytes).to_string(),
                counted.streams.to_string(),
            ]),
            Err(error) => {
                row.push("?".to_owned());
                silent += &format!("{}: {}\n", worker.id, in_lines(&error.message));
            }
        }
        grid.row(row);
    }
    format!("{grid}\n{}\n{silent}", coordinator_line(&counters.coordinator))
}

fn coordinator_line(counted: &CoordinatorCounters) -> String {
    let CoordinatorCounters { sessions, statements, jobs, tasks_running, tasks_waiting, .. } = counted;
    format!(
        "coordinator: sessions {sessions}, statements {statements}, jobs {jobs}, tasks running {tasks_running} and \
         waiting {tasks_waiting}, results being read {}, plans {} ({})",
        counted.results,
        counted.blobs,
        ByteSize(counted.blob_bytes),
    )
}

fn coordinator_json(counted: &CoordinatorCounters) -> Value {
    json!({
        "role": "coordinator",
        "sessions": counted.sessions,
        "statements": counted.statements,
        "planning": counted.planning,
        "jobs": counted.jobs,
        "tasks_running": counted.tasks_running,
        "tasks_waiting": counted.tasks_waiting,
        "commits": counted.commits,
        "blobs": counted.blobs,
        "blob_bytes": counted.blob_bytes,
        "results": counted.results,
        "connections": counted.connections,
        "at_rest": counted.is_at_rest(),
    })
}

/// A worker that does not answer has an error in the place of its counters.
fn worker_json(worker: &CountedWorker) -> Value {
    let mut line = json!({
        "role": "worker",
        "id": worker.id.to_string(),
        "address": worker.endpoint,
        "pid": worker.pid,
        "slots": worker.slots,
    });
    let more = match &worker.counters {
        Err(error) => json!({"error": error.message, "at_rest": false}),
        Ok(counted) => json!({
            "tasks": counted.attempts,
            "memory": {
                "limit": counted.memory.limit,
                "used": counted.memory.used,
                "peak": counted.memory.peak,
                "operators": counted.memory.operators,
                "store": counted.memory.store,
                "fetch": counted.memory.fetch,
                "evictable": counted.memory.evictable,
            },
            "outputs": counted.outputs,
            "output_memory": counted.output_memory,
            "output_disk": counted.output_disk,
            "spill_files": counted.spill_files,
            "spill_bytes": counted.spill_bytes,
            "readers": counted.readers,
            "streams": counted.streams,
            "fetches": counted.fetches,
            "plans": counted.plans,
            "plan_bytes": counted.plan_bytes,
            "at_rest": counted.is_at_rest(),
        }),
    };
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}

#[cfg(test)]
mod tests {
    use windrow_common::{Error, MemoryCounters, WorkerCounters, WorkerId};

    use super::*;

    fn sample() -> ClusterCounters {
        let worker = |number: u128, counters| CountedWorker {
            id: WorkerId(number << 96),
            pid: 4711,
            slots: 2,
            endpoint: "127.0.0.1:7071".to_owned(),
            counters,
        };
        let memory = MemoryCounters { limit: 1 << 30, used: 512 << 20, ..MemoryCounters::default() };
        let busy = WorkerCounters { attempts: 2, memory, outputs: 5, streams: 3, ..WorkerCounters::default() };
        let silent = Err(Error::unavailable("it has not answered within 1 s"));
        ClusterCounters {
            coordinator: CoordinatorCounters { sessions: 1, jobs: 1, tasks_running: 2, ..Default::default() },
            workers: vec![worker(0x3f9a_12c4, Ok(busy)), worker(0x1111_1111, silent)],
        }
    }

    #[test]
    fn a_silent_worker_is_shown_as_silent_and_never_as_idle() {
        let text = table(&sample());
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[2].contains("512.0 MiB/1.0 GiB") && rows[2].ends_with('3'), "{text}");
        assert!(rows[3].trim_end().ends_with('?'), "{text}");
        assert!(text.contains("it has not answered") && text.contains("jobs 1, tasks running 2"), "{text}");
    }

    #[test]
    fn json_tells_everything() {
        let sample = sample();
        let busy = worker_json(&sample.workers[0]);
        assert_eq!((&busy["tasks"], &busy["memory"]["used"]), (&2.into(), &(512_u64 << 20).into()), "{busy}");
        assert_eq!((&busy["pid"], &busy["at_rest"]), (&4711.into(), &false.into()), "{busy}");
        let silent = worker_json(&sample.workers[1]);
        assert!(silent["tasks"].is_null() && silent["error"].is_string(), "{silent}");
        assert_eq!(coordinator_json(&sample.coordinator)["tasks_running"], 2);
    }
}

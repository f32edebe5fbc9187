//! How fast the core is, printed and never asserted: `cargo test --release -p windrow-control speed -- --nocapture`.

use std::collections::VecDeque;
use std::sync::Arc;

use windrow_common::*;
use windrow_control::{Action, AttemptStatus, Event, Scheduler, SchedulerConfig, ToWorker};

fn stage(id: u32, tasks: u32, inputs: Vec<StageInput>) -> Stage {
    let reads = |task: u32| inputs.iter().map(|_| task..task + 1).collect();
    Stage {
        id: StageId(id),
        plan: BlobHash([0; 32]),
        output: if id == 0 { ExchangeKind::Shuffle } else { ExchangeKind::Gather },
        output_partitions: 1000,
        tasks: (0..tasks)
            .map(|task| TaskSpec { partitions: task..task + 1, reads: reads(task), splits: vec![0; 64], slots: 1 })
            .collect(),
        inputs,
        determinism: Determinism::Exact,
        memory_estimate: 1 << 20,
    }
}

/// Runs one job to its end; every event costs what it would in a coordinator.
fn run(maps: u32, reduces: u32, workers: u32) {
    let mut scheduler = Scheduler::new(SchedulerConfig::default());
    for worker in 0..workers {
        scheduler.handle(
            Timestamp(0),
            Event::WorkerConnected {
                worker: WorkerId(u128::from(worker)),
                incarnation: Incarnation(1),
                slots: 4,
                memory: 1 << 30,
                endpoint: "10.0.0.1:4711".into(),
                running: Vec::new(),
                held: Vec::new(),
            },
        );
    }
    let input = StageInput { exchange: ExchangeId(0), mode: ReadMode::Partitions };
    let stages = vec![stage(0, maps, Vec::new()), stage(1, reduces, vec![input])];
    let graph = Arc::new(StageGraph { revision: 0, stages, result: ExchangeId(1), commits: false });
    let job = JobId(1);
    let clock = windrow_common::time::Clock::start();
    let mut queue: VecDeque<Event> = VecDeque::from([Event::Submit { job, seed: 1, graph }]);
    let (mut starts, mut events, mut ended) = (0u32, 0u32, false);
    while let Some(event) = queue.pop_front() {
        events += 1;
        for action in scheduler.handle(Timestamp(u64::from(events)), event) {
            match action {
                Action::Send { worker, incarnation, message: ToWorker::Start(assignment) } => {
                    starts += 1;
                    let (epoch, task, attempt) = (assignment.epoch, assignment.task, assignment.attempt);
                    for status in [
                        AttemptStatus::Running,
                        AttemptStatus::Finished(OutputReport {
                            partitions: vec![PartitionSize { rows: 1, bytes: 8 }; 16],
                            ..OutputReport::default()
                        }),
                    ] {
                        queue.push_back(Event::Report { worker, incarnation, epoch, task, attempt, status });
                    }
                }
                Action::ResultReady { job, .. } => queue.push_back(Event::ResultReleased { job }),
                Action::JobEnded { .. } => ended = true,
                Action::Send { .. } | Action::Disconnect { .. } | Action::Commit { .. } | Action::Progress { .. } => {}
            }
        }
    }
    assert!(ended);
    assert_eq!(starts, maps + reduces);
    let took = clock.now().since(Timestamp(0)).as_secs_f64();
    println!(
        "{maps}+{reduces} tasks on {workers} workers: {took:.2} s, {:.0} starts/s, {:.0} events/s",
        f64::from(starts) / took,
        f64::from(events) / took
    );
}

#[test]
fn speed_of_a_job_of_many_tasks() {
    if cfg!(any(debug_assertions, feature = "invariants")) {
        run(1_000, 100, 10);
    } else {
        run(100_000, 1_000, 100);
        run(1_000_000, 1_000, 10_000);
    }
}

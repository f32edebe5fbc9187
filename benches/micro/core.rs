//! The scheduler: task starts per second of a two-stage job, every event costing what it would in a coordinator.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use windrow_common::{
    BlobHash, Determinism, ExchangeId, ExchangeKind, Incarnation, JobId, OutputReport, PartitionSize, ReadMode, Stage,
    StageGraph, StageId, StageInput, TaskSpec, Timestamp, WorkerId,
};
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

/// A scheduler with so many workers of four slots, and a job of `maps` tasks read by `reduces` tasks.
fn prepared(maps: u32, reduces: u32, workers: u32) -> (Scheduler, Event) {
    let mut scheduler = Scheduler::new(SchedulerConfig::default());
    for worker in 0..workers {
        let event = Event::WorkerConnected {
            worker: WorkerId(u128::from(worker)),
            incarnation: Incarnation(1),
            slots: 4,
            memory: 1 << 30,
            endpoint: "10.0.0.1:4711".into(),
            running: Vec::new(),
            held: Vec::new(),
        };
        scheduler.handle(Timestamp(0), event);
    }
    let input = StageInput { exchange: ExchangeId(0), mode: ReadMode::Partitions };
    let stages = vec![stage(0, maps, Vec::new()), stage(1, reduces, vec![input])];
    let graph = Arc::new(StageGraph { revision: 0, stages, result: ExchangeId(1), commits: false });
    (scheduler, Event::Submit { job: JobId(1), seed: 1, graph })
}

/// Runs the job to its end; gives the number of task starts.
fn run(mut scheduler: Scheduler, submit: Event) -> u32 {
    let mut queue = VecDeque::from([submit]);
    let (mut starts, mut now) = (0, 0);
    while let Some(event) = queue.pop_front() {
        now += 1;
        for action in scheduler.handle(Timestamp(now), event) {
            match action {
                Action::Send { worker, incarnation, message: ToWorker::Start(assignment) } => {
                    starts += 1;
                    let output = OutputReport {
                        partitions: vec![PartitionSize { rows: 1, bytes: 8 }; 16],
                        ..OutputReport::default()
                    };
                    for status in [AttemptStatus::Running, AttemptStatus::Finished(output)] {
                        let (epoch, task, attempt) = (assignment.epoch, assignment.task, assignment.attempt);
                        queue.push_back(Event::Report { worker, incarnation, epoch, task, attempt, status });
                    }
                }
                Action::ResultReady { job, .. } => queue.push_back(Event::ResultReleased { job }),
                Action::Send { .. }
                | Action::Disconnect { .. }
                | Action::Commit { .. }
                | Action::JobEnded { .. }
                | Action::Progress { .. } => {}
            }
        }
    }
    starts
}

fn task_starts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("task starts");
    group.sample_size(10);
    for (maps, reduces, workers) in [(10_000, 100, 100), (100_000, 1_000, 1_000)] {
        group.throughput(Throughput::Elements(u64::from(maps + reduces)));
        group.bench_function(format!("{maps}+{reduces} tasks, {workers} workers"), |bencher| {
            bencher.iter_batched(
                || prepared(maps, reduces, workers),
                |(scheduler, submit)| assert_eq!(black_box(run(scheduler, submit)), maps + reduces),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, task_starts);
criterion_main!(benches);

//! Rules that hold for any input: how statuses are joined, and that no sequence of events, however senseless, puts the
//! scheduler or a ledger into an impossible state.

use std::sync::Arc;

use proptest::prelude::*;
use windrow_common::*;
use windrow_control::{Action, AttemptStatus, Event, Scheduler, SchedulerConfig, ToWorker};

fn status() -> impl Strategy<Value = AttemptStatus> {
    prop_oneof![
        Just(AttemptStatus::Running),
        Just(AttemptStatus::Cancelled),
        (0u64..3).prop_map(|n| AttemptStatus::Finished(OutputReport { elapsed_micros: n, ..OutputReport::default() })),
        (0u8..3).prop_map(|n| AttemptStatus::Failed(Error::io(n.to_string()))),
    ]
}

proptest! {
    #[test]
    fn joining_statuses_is_monotone_commutative_idempotent(a in status(), b in status(), c in status()) {
        let join = |x: &AttemptStatus, y: &AttemptStatus| x.clone().join(y.clone());
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&join(&a, &b), &b), join(&a, &b), "nothing can be taken back");
        if a.is_terminal() {
            prop_assert!(join(&a, &b).is_terminal());
        }
    }
}

/// A senseless event: numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
struct Poke {
    what: u8,
    worker: u8,
    life: u8,
    attempt: usize,
    other: usize,
    wait: u64,
}

fn poke() -> impl Strategy<Value = Poke> {
    (0u8..24, 0u8..3, 0u8..2, 0usize..10_000, 0usize..10_000, 0u64..3000)
        .prop_map(|(what, worker, life, attempt, other, wait)| Poke { what, worker, life, attempt, other, wait })
}

fn graph(shape: u64, commits: bool) -> Arc<StageGraph> {
    let count = 2 + (shape % 3) as u32;
    let tasks = |stage: u32| 1 + (shape >> (4 * stage) & 3) as u32;
    let stages = (0..count).map(|id| {
        let inputs: Vec<_> = (0..id)
            .filter(|from| *from + 1 == id || shape >> (20 + from) & 1 == 1)
            .map(|from| StageInput { exchange: ExchangeId(from), mode: ReadMode::Partitions })
            .collect();
        let output = match shape >> (30 + 2 * id) & 3 {
            0 => ExchangeKind::Shuffle,
            1 => ExchangeKind::Forward,
            2 => ExchangeKind::Scalar,
            _ => ExchangeKind::Broadcast,
        };
        Stage {
            id: StageId(id),
            plan: BlobHash([0; 32]),
            output,
            output_partitions: 4,
            tasks: (0..tasks(id))
                .map(|task| TaskSpec {
                    partitions: task..task + 1,
                    reads: inputs.iter().map(|_| task..task + 1).collect(),
                    splits: Vec::new(),
                    slots: 1 + (shape >> (40 + id) & 1) as u32 * 2,
                })
                .collect(),
            inputs,
            determinism: if shape >> (50 + id) & 1 == 1 { Determinism::Indeterminate } else { Determinism::Exact },
            memory_estimate: 0,
        }
    });
    Arc::new(StageGraph { revision: 0, stages: stages.collect(), result: ExchangeId(count - 1), commits })
}

/// The attempts that were ever started, as (worker, incarnation, task, attempt).
type Started = Vec<(WorkerId, Incarnation, TaskId, AttemptId)>;

fn event(poke: &Poke, started: &Started, jobs: &[JobId]) -> Event {
    let worker = WorkerId(u128::from(poke.worker) + 1);
    let incarnation = Incarnation(u128::from(poke.life) + 1);
    let job = jobs[poke.other % jobs.len()];
    let pick = |n: usize| (!started.is_empty()).then(|| started[started.len() - 1 - n % started.len().min(12)]);
    let some = |n: usize| pick(n).map_or_else(Vec::new, |s| vec![s.3]);
    let report = |status: AttemptStatus| match pick(poke.attempt) {
        None => Event::Tick,
        Some((worker, incarnation, task, attempt)) => {
            let epoch = Epoch(if poke.wait.is_multiple_of(20) { 0 } else { 1 });
            Event::Report { worker, incarnation, epoch, task, attempt, status }
        }
    };
    let failed = |kind: ErrorKind| report(AttemptStatus::Failed(Error::new(kind, "so")));
    let inline = (poke.other.is_multiple_of(3)).then(|| vec![1]);
    let output = OutputReport { inline, ..OutputReport::default() };
    match poke.what {
        0 | 1 => Event::WorkerConnected {
            worker,
            incarnation,
            slots: poke.other as u32 % 4,
            memory: 1,
            endpoint: String::new(),
            running: some(poke.attempt),
            held: some(poke.other),
        },
        2 => Event::WorkerDisconnected { worker, incarnation },
        3 => Event::Heartbeat { worker, incarnation },
        4..12 => report(AttemptStatus::Finished(output)),
        12 => report(AttemptStatus::Running),
        13 => report(AttemptStatus::Cancelled),
        14 => failed(ErrorKind::Io),
        15 => failed(ErrorKind::OutOfMemory),
        16 | 17 => failed(ErrorKind::LostInput(some(poke.other))),
        18 => Event::OutputsLost { job, attempts: some(poke.attempt) },
        19 if poke.wait.is_multiple_of(4) => Event::ResultReleased { job },
        20 if poke.wait.is_multiple_of(4) => Event::Cancel { job },
        21 if poke.wait.is_multiple_of(4) => failed(ErrorKind::User),
        22 => Event::Committed { job, result: if poke.wait.is_multiple_of(2) { Ok(()) } else { Err(Error::io("no")) } },
        _ => Event::Tick,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_breaks_the_scheduler(
        shapes in prop::collection::vec(any::<u64>(), 1..3),
        pokes in prop::collection::vec(poke(), 0..200),
    ) {
        let mut scheduler = Scheduler::new(SchedulerConfig::default());
        let mut now = Timestamp(0);
        let jobs: Vec<JobId> = (1..=shapes.len() as u128).map(JobId).collect();
        let mut started: Started = Vec::new();
        let mut ended: Vec<JobId> = Vec::new();
        let submits = jobs.iter().zip(&shapes).map(|(job, shape)| {
            Event::Submit { job: *job, seed: 1, graph: graph(*shape, shape.is_multiple_of(5)) }
        });
        let mut script: Vec<(u64, Result<Event, Poke>)> = submits.map(|event| (0, Ok(event))).collect();
        script.extend(pokes.into_iter().map(|poke| (poke.wait, Err(poke))));
        for (wait, step) in script {
            now = Timestamp(now.0 + wait * 1000);
            let event = step.unwrap_or_else(|poke| event(&poke, &started, &jobs));
            let text = format!("{event:?}");
            let actions = scheduler.handle(now, event);
            if let Err(broken) = scheduler.check_invariants() {
                return Err(TestCaseError::fail(format!("after {text}: {broken}")));
            }
            for action in actions {
                match action {
                    Action::Send { worker, incarnation, message: ToWorker::Start(a) } => {
                        prop_assert!(started.iter().all(|s| s.3 != a.attempt), "an attempt id was used twice");
                        started.push((worker, incarnation, a.task, a.attempt));
                    }
                    Action::JobEnded { job, .. } => {
                        prop_assert!(!ended.contains(&job), "{} ended twice", job);
                        ended.push(job);
                    }
                    Action::Send { .. } | Action::Disconnect { .. } | Action::ResultReady { .. }
                    | Action::Commit { .. } | Action::Progress { .. } => {}
                }
            }
        }
        for job in &jobs {
            scheduler.handle(now, Event::Cancel { job: *job });
            scheduler.handle(now, Event::Committed { job: *job, result: Ok(()) });
        }
        prop_assert_eq!(scheduler.jobs().count(), 0);
        scheduler.check_invariants().map_err(TestCaseError::fail)?;
    }
}

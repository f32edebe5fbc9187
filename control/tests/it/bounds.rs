//! What is bounded stays bounded: runs of one task, jobs at once.

use std::sync::Arc;

use windrow_common::*;
use windrow_control::{Action, AttemptStatus, Event, Outcome, Scheduler, SchedulerConfig, ToWorker};

fn one_task(id: u128) -> Event {
    let stage = Stage {
        id: StageId(0),
        plan: BlobHash([0; 32]),
        inputs: Vec::new(),
        output: ExchangeKind::Gather,
        output_partitions: 1,
        tasks: vec![TaskSpec { partitions: 0..1, reads: Vec::new(), splits: Vec::new(), slots: 1 }],
        determinism: Determinism::Exact,
        memory_estimate: 0,
    };
    let graph = StageGraph { revision: 0, stages: vec![stage], result: ExchangeId(0), commits: false };
    Event::Submit { job: JobId(id), seed: 0, graph: Arc::new(graph) }
}

fn end(actions: &[Action]) -> Option<&Outcome> {
    actions.iter().find_map(|action| match action {
        Action::JobEnded { outcome, .. } => Some(outcome),
        Action::Send { .. }
        | Action::Disconnect { .. }
        | Action::ResultReady { .. }
        | Action::Commit { .. }
        | Action::Progress { .. } => None,
    })
}

/// Nobody is to blame, again and again: at last the job fails all the same, and says how often it was tried.
#[test]
fn blameless_losses_do_not_go_on_for_ever() {
    let mut scheduler = Scheduler::new(SchedulerConfig::default());
    let (worker, incarnation) = (WorkerId(1), Incarnation(1));
    let connect = Event::WorkerConnected {
        worker,
        incarnation,
        slots: 1,
        memory: 1,
        endpoint: String::new(),
        running: Vec::new(),
        held: Vec::new(),
    };
    scheduler.handle(Timestamp(0), connect);
    let mut actions = scheduler.handle(Timestamp(0), one_task(1));
    let mut starts = 0;
    for _ in 0..1000 {
        let started = actions.iter().find_map(|action| match action {
            Action::Send { message: ToWorker::Start(a), .. } => Some((a.task, a.attempt, a.epoch)),
            Action::Send { .. }
            | Action::Disconnect { .. }
            | Action::ResultReady { .. }
            | Action::Commit { .. }
            | Action::JobEnded { .. }
            | Action::Progress { .. } => None,
        });
        let Some((task, attempt, epoch)) = started else { break };
        starts += 1;
        let status = AttemptStatus::Cancelled;
        let report = Event::Report { worker, incarnation, epoch, task, attempt, status };
        actions = scheduler.handle(Timestamp(0), report);
    }
    assert_eq!(starts, limits::MAX_ATTEMPTS_WITH_LOSSES);
    let Some(Outcome::Failed(error)) = end(&actions) else { panic!("{actions:?}") };
    assert!(error.message.contains("run 64 times"), "{error}");
    scheduler.check_invariants().unwrap();
}

#[test]
fn one_job_too_many_is_refused_with_the_limit() {
    let mut scheduler = Scheduler::new(SchedulerConfig::default());
    for id in 0..limits::MAX_JOBS as u128 {
        assert!(end(&scheduler.handle(Timestamp(0), one_task(id))).is_none());
    }
    let actions = scheduler.handle(Timestamp(0), one_task(u128::MAX));
    let Some(Outcome::Failed(error)) = end(&actions) else { panic!("{actions:?}") };
    assert_eq!(error.kind, ErrorKind::Limit);
}

//! The worker's side: epochs, slots, duplicates, tombstones, what is said again.

use std::sync::Arc;
use std::time::Duration;

use windrow_common::*;
use windrow_control::{
    Assignment, AttemptLedger, AttemptStatus, LedgerAction, LedgerConfig, LedgerEvent, ToCoordinator, ToWorker,
};

const JOB: JobId = JobId(1 << 96);

fn ledger(slots: u32) -> AttemptLedger {
    let mut ledger = AttemptLedger::new(LedgerConfig {
        worker: WorkerId(1 << 96),
        incarnation: Incarnation(1 << 96),
        slots,
        memory: 1,
        endpoint: "here:1".into(),
        pid: 1,
    });
    connect(&mut ledger, 1);
    ledger
}

fn connect(ledger: &mut AttemptLedger, epoch: u64) -> (Vec<AttemptId>, Vec<AttemptId>, Vec<LedgerAction>) {
    let hello = ledger.handle(Timestamp(0), LedgerEvent::Connected);
    let [LedgerAction::Send(ToCoordinator::Hello { running, held, .. })] = hello.as_slice() else {
        panic!("{hello:?}");
    };
    let welcome = ToWorker::Welcome { epoch: Epoch(epoch), heartbeat: Duration::from_secs(1) };
    (running.clone(), held.clone(), say(ledger, welcome))
}

fn say(ledger: &mut AttemptLedger, message: ToWorker) -> Vec<LedgerAction> {
    let actions = ledger.handle(Timestamp(0), LedgerEvent::Message(message));
    ledger.check_invariants().unwrap();
    actions
}

fn tell(ledger: &mut AttemptLedger, event: LedgerEvent) -> Vec<LedgerAction> {
    let actions = ledger.handle(Timestamp(0), event);
    ledger.check_invariants().unwrap();
    actions
}

fn start(attempt: u128, slots: u32, epoch: u64) -> ToWorker {
    ToWorker::Start(Box::new(Assignment {
        epoch: Epoch(epoch),
        task: TaskId { job: JOB, stage: StageId(0), index: attempt as u32 },
        attempt: AttemptId(attempt),
        number: 0,
        plan: BlobHash([0; 32]),
        partitions: 0..1,
        slots,
        memory: 0,
        splits: Arc::from([]),
        inputs: Vec::new(),
        output: ExchangeKind::Gather,
        output_partitions: 1,
        inline: false,
    }))
}

fn cancel(attempt: u128) -> ToWorker {
    ToWorker::Cancel { epoch: Epoch(1), attempt: AttemptId(attempt) }
}

fn ack(attempt: u128) -> ToWorker {
    ToWorker::Acknowledge { epoch: Epoch(1), attempt: AttemptId(attempt) }
}

fn free(attempt: u128) -> ToWorker {
    ToWorker::Free { epoch: Epoch(1), attempts: vec![AttemptId(attempt)] }
}

fn finished(attempt: u128) -> LedgerEvent {
    LedgerEvent::Finished { attempt: AttemptId(attempt), output: OutputReport::default() }
}

/// What is done, in short.
fn short(actions: &[LedgerAction]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            LedgerAction::Run(a) => format!("run {}", a.attempt.0),
            LedgerAction::Stop(a) => format!("stop {}", a.0),
            LedgerAction::FreeOutput(a) => format!("free {}", a.0),
            LedgerAction::ForgetJob(_) => "forget".into(),
            LedgerAction::Refused { epoch, known } => format!("refused {} for {}", epoch.0, known.0),
            LedgerAction::TurnedAway(error) => format!("turned away: {error}"),
            LedgerAction::Send(ToCoordinator::Report { attempt, status, .. }) => match status {
                AttemptStatus::Running => format!("say {} running", attempt.0),
                AttemptStatus::Finished(_) => format!("say {} finished", attempt.0),
                AttemptStatus::Failed(_) => format!("say {} failed", attempt.0),
                AttemptStatus::Cancelled => format!("say {} cancelled", attempt.0),
            },
            LedgerAction::Send(ToCoordinator::Heartbeat { .. }) => "beat".into(),
            LedgerAction::Send(ToCoordinator::Hello { .. }) => "hello".into(),
            LedgerAction::Send(ToCoordinator::Goodbye { .. }) => "goodbye".into(),
            LedgerAction::Send(ToCoordinator::DirectReads { .. }) => "reads".into(),
        })
        .collect()
}

#[test]
fn runs_no_more_than_there_are_slots_and_starts_no_attempt_twice() {
    let mut ledger = ledger(2);
    assert_eq!(short(&say(&mut ledger, start(1, 1, 1))), ["run 1", "say 1 running"]);
    assert!(say(&mut ledger, start(1, 1, 1)).is_empty(), "a start that comes twice is absorbed");
    assert!(say(&mut ledger, start(2, 9, 1)).is_empty(), "capped at two slots, of which one is taken");
    assert!(say(&mut ledger, start(3, 1, 1)).is_empty(), "it must not overtake the one that waits for more");
    assert_eq!(short(&tell(&mut ledger, finished(1))), ["say 1 finished", "run 2", "say 2 running"]);
    assert_eq!(ledger.used_slots(), 2);
    assert_eq!(short(&tell(&mut ledger, finished(2))), ["say 2 finished", "run 3", "say 3 running"]);
    assert_eq!((ledger.running().len(), ledger.held().len()), (1, 2));
}

#[test]
fn refuses_lower_epochs_and_adopts_higher_ones() {
    let mut ledger = ledger(2);
    assert_eq!(short(&say(&mut ledger, start(1, 1, 5))), ["run 1", "say 1 running"]);
    assert_eq!(short(&say(&mut ledger, start(2, 1, 4))), ["refused 4 for 5"]);
    assert_eq!(short(&say(&mut ledger, cancel(1))), ["refused 1 for 5"]);
    assert_eq!(ledger.epoch(), Epoch(5));
    assert_eq!(ledger.running(), [AttemptId(1)]);
    tell(&mut ledger, LedgerEvent::Disconnected);
    let (.., actions) = connect(&mut ledger, 4);
    assert_eq!(short(&actions), ["refused 4 for 5"], "an old coordinator's welcome is no welcome");
    assert_eq!(ledger.next_deadline(), None);
}

#[test]
fn a_cancelled_attempt_gives_its_slot_back_when_it_has_stopped() {
    let mut ledger = ledger(1);
    say(&mut ledger, start(1, 1, 1));
    say(&mut ledger, start(2, 1, 1));
    assert_eq!(short(&say(&mut ledger, cancel(1))), ["stop 1"]);
    assert!(say(&mut ledger, cancel(1)).is_empty());
    assert_eq!(ledger.used_slots(), 1, "it has not stopped yet");
    let stopped = LedgerEvent::Stopped { attempt: AttemptId(1) };
    assert_eq!(short(&tell(&mut ledger, stopped)), ["say 1 cancelled", "run 2", "say 2 running"]);
    // Told to stop, and done all the same: what it made is dropped.
    say(&mut ledger, cancel(2));
    assert_eq!(short(&tell(&mut ledger, finished(2))), ["free 2", "say 2 cancelled"]);
    assert!(ledger.held().is_empty());
    // One that waits ends at once.
    say(&mut ledger, start(3, 1, 1));
    say(&mut ledger, start(4, 1, 1));
    assert_eq!(short(&say(&mut ledger, cancel(4))), ["say 4 cancelled"]);
    assert_eq!(ledger.running(), [AttemptId(3)]);
}

#[test]
fn what_is_gone_does_not_come_back() {
    let mut ledger = ledger(1);
    assert!(say(&mut ledger, cancel(1)).is_empty());
    assert_eq!(short(&say(&mut ledger, start(1, 1, 1))), ["say 1 cancelled"], "cancelled before it was started");
    say(&mut ledger, start(2, 1, 1));
    tell(&mut ledger, LedgerEvent::Failed { attempt: AttemptId(2), error: Error::io("no") });
    say(&mut ledger, ack(2));
    assert_eq!(short(&say(&mut ledger, start(2, 1, 1))), ["say 2 cancelled"], "a start that comes very late");
    assert!(ledger.running().is_empty());
    assert_eq!(ledger.unacknowledged(), 0);
}

#[test]
fn ends_are_said_again_until_they_are_acknowledged() {
    let mut ledger = ledger(4);
    for attempt in 1..=3 {
        say(&mut ledger, start(attempt, 1, 1));
    }
    tell(&mut ledger, finished(1));
    tell(&mut ledger, LedgerEvent::Disconnected);
    assert!(tell(&mut ledger, finished(2)).is_empty(), "nobody to say it to");
    let (running, held, actions) = connect(&mut ledger, 1);
    assert_eq!((running, held), (vec![AttemptId(3)], vec![AttemptId(1), AttemptId(2)]));
    assert_eq!(short(&actions), ["say 1 finished", "say 2 finished"]);
    say(&mut ledger, ack(1));
    tell(&mut ledger, LedgerEvent::Disconnected);
    let (.., actions) = connect(&mut ledger, 1);
    assert_eq!(short(&actions), ["say 2 finished"]);
    assert_eq!(ledger.held().len(), 2, "acknowledged and still held");
    assert_eq!(short(&say(&mut ledger, free(1))), ["free 1"]);
    assert!(say(&mut ledger, free(1)).is_empty());
    // Freed before it was acknowledged: the output goes, the report stays until it is taken in.
    assert_eq!(short(&say(&mut ledger, free(2))), ["free 2"]);
    assert_eq!((ledger.held().len(), ledger.unacknowledged()), (0, 1));
    say(&mut ledger, ack(2));
    assert_eq!(ledger.unacknowledged(), 0);
}

#[test]
fn a_job_that_ended_leaves_nothing() {
    let mut ledger = ledger(2);
    for attempt in 1..=4 {
        say(&mut ledger, start(attempt, 1, 1));
    }
    tell(&mut ledger, finished(1));
    say(&mut ledger, ack(1));
    let forget = ToWorker::ForgetJob { epoch: Epoch(1), job: JOB };
    let actions = say(&mut ledger, forget);
    assert_eq!(short(&actions), ["free 1", "stop 2", "stop 3", "say 4 cancelled", "forget"]);
    tell(&mut ledger, LedgerEvent::Stopped { attempt: AttemptId(2) });
    tell(&mut ledger, LedgerEvent::Failed { attempt: AttemptId(3), error: Error::io("torn down") });
    for attempt in 2..=4 {
        say(&mut ledger, ack(attempt));
    }
    assert!(ledger.running().is_empty() && ledger.held().is_empty());
    assert_eq!((ledger.unacknowledged(), ledger.used_slots()), (0, 0));
}

#[test]
fn an_output_that_is_gone_is_not_promised() {
    let mut ledger = ledger(2);
    say(&mut ledger, start(1, 1, 1));
    tell(&mut ledger, finished(1));
    say(&mut ledger, ack(1));
    tell(&mut ledger, LedgerEvent::OutputGone { attempt: AttemptId(1) });
    tell(&mut ledger, LedgerEvent::Disconnected);
    let (_, held, _) = connect(&mut ledger, 1);
    assert!(held.is_empty());
}

#[test]
fn says_that_it_is_alive_and_that_it_leaves() {
    let mut ledger = ledger(1);
    assert_eq!(ledger.next_deadline(), Some(Timestamp(1_000_000)));
    assert!(ledger.handle(Timestamp(999_999), LedgerEvent::Tick).is_empty());
    assert_eq!(short(&ledger.handle(Timestamp(1_000_000), LedgerEvent::Tick)), ["beat"]);
    assert_eq!(ledger.next_deadline(), Some(Timestamp(2_000_000)));
    assert_eq!(short(&ledger.handle(Timestamp(1_000_001), LedgerEvent::Leaving)), ["goodbye"]);
    ledger.handle(Timestamp(1_000_002), LedgerEvent::Disconnected);
    assert_eq!(ledger.next_deadline(), None);
    let refuse = ToWorker::Refuse { reason: Error::new(ErrorKind::Version, "speak version 2") };
    ledger.handle(Timestamp(1_000_003), LedgerEvent::Connected);
    assert_eq!(
        short(&ledger.handle(Timestamp(1_000_004), LedgerEvent::Message(refuse))),
        ["turned away: speak version 2"]
    );
}

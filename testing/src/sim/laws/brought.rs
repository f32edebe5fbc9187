//! Whatever a worker brings with it when it connects is let go at once, or counts: every attempt it still runs is told to
//! stop, and every output it holds is freed or is the accepted one of its task.

use std::collections::BTreeSet;

use windrow_common::AttemptId;
use windrow_control::scheduler::TaskPhase;
use windrow_control::{Action, Event, ToWorker};

use super::{Law, Seen};

#[derive(Default)]
pub struct Brought {
    stopped: u64,
    let_go: u64,
    taken_over: u64,
}

/// Attempts that are cancelled or freed by these actions.
fn let_go(actions: &[Action]) -> BTreeSet<AttemptId> {
    let mut all = BTreeSet::new();
    for action in actions {
        match action {
            Action::Send { message, .. } => match message {
                ToWorker::Cancel { attempt, .. } => {
                    all.insert(*attempt);
                }
                ToWorker::Free { attempts, .. } => all.extend(attempts),
                ToWorker::Welcome { .. }
                | ToWorker::Start(_)
                | ToWorker::Acknowledge { .. }
                | ToWorker::ForgetJob { .. }
                | ToWorker::Refuse { .. } => {}
            },
            Action::Disconnect { .. }
            | Action::ResultReady { .. }
            | Action::Commit { .. }
            | Action::JobEnded { .. }
            | Action::Progress { .. } => {}
        }
    }
    all
}

impl Law for Brought {
    fn name(&self) -> &'static str {
        "what a worker brings is taken over or let go"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Handled { event: Event::WorkerConnected { worker, running, held, .. }, actions, tasks, scheduler } =
            seen
        else {
            return Ok(());
        };
        let gone = let_go(actions);
        for attempt in running {
            self.stopped += 1;
            if !gone.contains(attempt) {
                return Err(format!("{worker} still runs {attempt} and is not told to stop"));
            }
        }
        for attempt in held {
            let view = tasks.get(attempt).and_then(|task| scheduler.task(*task));
            let counts = view.is_some_and(|v| v.phase == TaskPhase::Done && v.attempt == Some(*attempt));
            self.taken_over += u64::from(counts);
            self.let_go += u64::from(!counts);
            if counts == gone.contains(attempt) {
                return Err(format!(
                    "{worker} holds {attempt}; it counts is {counts}, and it is the other way to free it"
                ));
            }
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("attempts stopped after a reconnect", self.stopped),
            ("outputs let go after a reconnect", self.let_go),
            ("outputs that count after a reconnect", self.taken_over),
        ]
    }
}

//! When all jobs have ended and every message has arrived, nothing is left of them: no attempt, output, report or taken
//! slot on any worker, and nothing in the scheduler.

use super::{Law, Seen};

#[derive(Default)]
pub struct Leaks {
    workers: u64,
}

impl Law for Leaks {
    fn name(&self) -> &'static str {
        "nothing leaks"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Quiet { left, workers } => {
                self.workers += workers;
                if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
            }
            Seen::Submitted { .. }
            | Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handles { .. }
            | Seen::Handled { .. }
            | Seen::CoordinatorRestarted
            | Seen::Starts { .. }
            | Seen::Frees { .. }
            | Seen::Executes { .. }
            | Seen::Delivered { .. }
            | Seen::Ended { .. }
            | Seen::AllWorkersGone => Ok(()),
        }
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("workers found clean at the end", self.workers)]
    }
}

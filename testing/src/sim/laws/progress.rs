//! Once nothing goes wrong any more, every job comes to its end.

use std::collections::BTreeSet;

use windrow_common::JobId;

use super::{Law, Seen};

#[derive(Default)]
pub struct Progress {
    open: BTreeSet<JobId>,
    ended: u64,
}

impl Law for Progress {
    fn name(&self) -> &'static str {
        "every job ends after healing"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Submitted { job, .. } => {
                self.open.insert(*job);
            }
            Seen::Ended { job, .. } => {
                self.open.remove(job);
            }
            Seen::Quiet { .. } => {
                if let Some(job) = self.open.first() {
                    return Err(format!("{job} has not ended, nor have {} others", self.open.len() - 1));
                }
                self.ended += 1;
            }
            Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handles { .. }
            | Seen::Handled { .. }
            | Seen::CoordinatorRestarted
            | Seen::Starts { .. }
            | Seen::Frees { .. }
            | Seen::Executes { .. }
            | Seen::Delivered { .. }
            | Seen::AllWorkersGone => {}
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("runs in which all jobs ended", self.ended)]
    }
}

//! A submitted job ends exactly once, and nothing is delivered for it afterwards.

use std::collections::BTreeMap;

use windrow_common::JobId;

use super::{Law, Seen};

#[derive(Default)]
pub struct Once {
    ends: BTreeMap<JobId, u32>,
    ended: u64,
}

impl Law for Once {
    fn name(&self) -> &'static str {
        "a job ends once"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Submitted { job, .. } => {
                self.ends.insert(*job, 0);
            }
            Seen::Ended { job, .. } => {
                self.ended += 1;
                let ends = self.ends.get_mut(job).ok_or(format!("{job} ended and was never submitted"))?;
                *ends += 1;
                if *ends > 1 {
                    return Err(format!("{job} ended {ends} times"));
                }
            }
            Seen::Starts { assignment, .. } => {
                let job = assignment.task.job;
                if self.ends.get(&job) != Some(&0) {
                    return Err(format!("{} was started after its job's end", assignment.task));
                }
            }
            Seen::Delivered { job, .. } => {
                if self.ends.get(job) != Some(&0) {
                    return Err(format!("{job} delivered something after its end"));
                }
            }
            Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handles { .. }
            | Seen::Handled { .. }
            | Seen::CoordinatorRestarted
            | Seen::Frees { .. }
            | Seen::Executes { .. }
            | Seen::AllWorkersGone
            | Seen::Quiet { .. } => {}
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("jobs that ended", self.ended)]
    }
}

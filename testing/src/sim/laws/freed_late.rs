//! An output that counts is freed only when nobody needs it: all tasks that read its exchange are done, and so is the
//! client if it is the result.

use windrow_common::TaskId;
use windrow_control::scheduler::TaskPhase;

use super::{Law, Seen};

#[derive(Default)]
pub struct FreedLate {
    freed: u64,
}

impl Law for FreedLate {
    fn name(&self) -> &'static str {
        "outputs are freed with their last reader"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Frees { attempt, task, scheduler, graph } => {
                let Some(view) = scheduler.task(*task) else { return Ok(()) };
                self.freed += 1;
                match view.phase {
                    TaskPhase::Done if view.attempt == Some(*attempt) => {
                        Err(format!("{attempt} of {task} is freed, and it is the one that counts"))
                    }
                    // Replaced, or lost and to be made again.
                    TaskPhase::Done | TaskPhase::Running | TaskPhase::Waiting => Ok(()),
                    TaskPhase::Spent => {
                        let consumers = graph
                            .stages
                            .iter()
                            .filter(|stage| stage.inputs.iter().any(|input| input.exchange.producer() == task.stage));
                        for stage in consumers {
                            for index in 0..stage.tasks.len() as u32 {
                                let reader = TaskId { job: task.job, stage: stage.id, index };
                                let phase = scheduler.task(reader).map(|view| view.phase);
                                if let Some(TaskPhase::Waiting | TaskPhase::Running) = phase {
                                    return Err(format!("{attempt} of {task} is freed, and {reader} still reads it"));
                                }
                            }
                        }
                        Ok(())
                    }
                }
            }
            Seen::Submitted { .. }
            | Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handles { .. }
            | Seen::Handled { .. }
            | Seen::CoordinatorRestarted
            | Seen::Starts { .. }
            | Seen::Executes { .. }
            | Seen::Delivered { .. }
            | Seen::Ended { .. }
            | Seen::AllWorkersGone
            | Seen::Quiet { .. } => Ok(()),
        }
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("outputs freed while their job went on", self.freed)]
    }
}

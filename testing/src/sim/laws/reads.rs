//! An attempt is started only when everything it reads is there, and it is told to read exactly what was accepted: one
//! output of every producer task, in task order.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow_common::{JobId, StageGraph, TaskId};
use windrow_control::scheduler::TaskPhase;

use super::{Law, Seen};

#[derive(Default)]
pub struct Reads {
    graphs: BTreeMap<JobId, Arc<StageGraph>>,
    locations: u64,
}

impl Law for Reads {
    fn name(&self) -> &'static str {
        "consumers read accepted versions"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Submitted { job, graph } => {
                self.graphs.insert(*job, Arc::clone(graph));
            }
            Seen::Starts { assignment, scheduler, .. } => {
                let task = assignment.task;
                let graph = self.graphs.get(&task.job).ok_or(format!("{task} is of no submitted job"))?;
                let inputs = &graph.stages[task.stage.0 as usize].inputs;
                if inputs.len() != assignment.inputs.len() {
                    return Err(format!("{task} was given {} inputs", assignment.inputs.len()));
                }
                for (input, slice) in inputs.iter().zip(&assignment.inputs) {
                    let stage = input.exchange.producer();
                    let producers = graph.stages[stage.0 as usize].tasks.len();
                    if slice.exchange != input.exchange || slice.producers.len() != producers {
                        return Err(format!("{task} was given {} of {producers} locations", slice.producers.len()));
                    }
                    for (index, location) in slice.producers.iter().enumerate() {
                        self.locations += 1;
                        let producer = TaskId { job: task.job, stage, index: index as u32 };
                        let view = scheduler.task(producer).ok_or(format!("{producer} is unknown"))?;
                        // The task may have been started and its job undone in one event; its producers cannot be.
                        if location.task != index as u32
                            || view.phase != TaskPhase::Done
                            || view.attempt != Some(location.attempt)
                        {
                            return Err(format!("{task} is to read {producer} from {location:?}, but it is {view:?}"));
                        }
                    }
                }
            }
            Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handles { .. }
            | Seen::Handled { .. }
            | Seen::CoordinatorRestarted
            | Seen::Frees { .. }
            | Seen::Executes { .. }
            | Seen::Delivered { .. }
            | Seen::Ended { .. }
            | Seen::AllWorkersGone
            | Seen::Quiet { .. } => {}
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("locations given to readers", self.locations)]
    }
}

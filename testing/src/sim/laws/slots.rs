//! No worker is given more than its slots hold, and none runs more than that.

use std::collections::BTreeMap;

use windrow_common::{AttemptId, Incarnation, WorkerId};
use windrow_control::{AttemptStatus, Event};

use super::{Law, Seen};

#[derive(Default)]
struct Given {
    slots: u32,
    out: BTreeMap<AttemptId, u32>,
}

#[derive(Default)]
pub struct Slots {
    given: BTreeMap<(WorkerId, Incarnation), Given>,
    full: u64,
    busy: u64,
}

impl Slots {
    fn handles(&mut self, event: &Event) {
        match event {
            Event::WorkerConnected { worker, incarnation, slots, running, .. } => {
                self.given.retain(|(id, _), _| id != worker);
                let out = running.iter().map(|attempt| (*attempt, 1)).collect();
                self.given.insert((*worker, *incarnation), Given { slots: *slots, out });
            }
            Event::WorkerDisconnected { worker, incarnation } => {
                self.given.remove(&(*worker, *incarnation));
            }
            Event::Report { worker, incarnation, attempt, status, .. } => match status {
                AttemptStatus::Running => {}
                AttemptStatus::Finished(_) | AttemptStatus::Failed(_) | AttemptStatus::Cancelled => {
                    if let Some(given) = self.given.get_mut(&(*worker, *incarnation)) {
                        given.out.remove(attempt);
                    }
                }
            },
            Event::Submit { .. }
            | Event::Cancel { .. }
            | Event::Heartbeat { .. }
            | Event::OutputsLost { .. }
            | Event::ResultReleased { .. }
            | Event::Committed { .. }
            | Event::Tick => {}
        }
    }
}

impl Law for Slots {
    fn name(&self) -> &'static str {
        "slots are never over-committed"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Handles { event, .. } => self.handles(event),
            Seen::CoordinatorRestarted => self.given.clear(),
            Seen::Starts { worker, assignment, .. } => {
                let Some(given) = self.given.get_mut(worker) else {
                    return Err(format!("{} was started on {}, which is not connected", assignment.task, worker.0));
                };
                if given.out.insert(assignment.attempt, assignment.slots).is_some() {
                    return Err(format!("{} was started twice", assignment.attempt));
                }
                let out: u32 = given.out.values().sum();
                self.full += u64::from(out == given.slots);
                if out > given.slots {
                    return Err(format!("{} has {} slots and was given {out}", worker.0, given.slots));
                }
            }
            Seen::Executes { worker, used, slots } => {
                self.busy += u64::from(used == slots);
                if used > slots {
                    return Err(format!("{worker} has {slots} slots and runs {used}"));
                }
            }
            Seen::Submitted { .. }
            | Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handled { .. }
            | Seen::Frees { .. }
            | Seen::Delivered { .. }
            | Seen::Ended { .. }
            | Seen::AllWorkersGone
            | Seen::Quiet { .. } => {}
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("workers given all their slots", self.full), ("workers running on all their slots", self.busy)]
    }
}

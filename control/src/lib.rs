//! The control core: pure state machines, `(now, event) -> [action]`.
//!
//! It owns every decision about jobs, tasks, attempts, workers, outputs and commits, on both sides of the wire. It does
//! no I/O, reads no clock and no randomness, spawns nothing, and iterates only over ordered collections, so that a log of
//! `(now, event)` replays exactly. The shells (`coordinator`, `worker`) carry out its actions and bring back events; the
//! simulator in `testing` does the same in virtual time.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod attempt_id;
pub mod attempts;
pub mod commit;
pub mod event;
pub use windrow_common::protocol;
pub mod scheduler;

pub use attempts::{AttemptLedger, LedgerAction, LedgerConfig, LedgerEvent};
pub use commit::{Commit, CommitAction, CommitEvent, CommitOutcome};
pub use event::{Action, Event, Outcome};
pub use protocol::{Assignment, AttemptStatus, InputSlice, ToCoordinator, ToWorker};
pub use scheduler::{Scheduler, SchedulerConfig, TaskView, WorkerView};

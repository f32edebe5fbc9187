//! The I/O shell of the control core on the coordinator's side: one driver loop, workers' connections, journal, blobs,
//! commits, results, and the services through which workers and clients come in.
//!
//! ```text
//!   clients ─► front (sessions) ─► execution (plan, submit, read results) ─┐
//!                                                                  ├─► driver: owns control::Scheduler, no lock around it
//!   workers ◄─► links (one stream each) ──────────────────────────-┘        └─► journal, commits
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod blobs;
pub mod connections;
mod counting;
pub mod direct;
mod driver;
pub mod execution;
pub mod front;
mod jobs;
pub mod journal;
mod links;
mod results;
mod rpc;
pub mod service;
pub mod sessions;
mod submission;

pub use connections::Connection;
pub use direct::{DirectResult, PartRead};
pub use execution::{ExecutionUpdate, Statement, StatementText};
pub use front::Front;
pub use service::{Coordinator, CoordinatorHandle, ResultSource, Services, WorkerInfo};
pub use sessions::{Session, Sessions};

//! The I/O shell that runs attempts: runtimes, one memory budget, the shuffle store with its server, and the loop that
//! carries out what the worker's side of the attempt protocol (`control::attempts`) asks for.
//!
//! ```text
//!   coordinator ◄─ link ─► service (owns the attempt ledger) ─► runner ─► engine's instance of the stage
//!                                                                 │ rows
//!   other workers ◄─ server ──── store (memory first, spills) ◄───┘      fetch ─► store, other workers' servers
//!   clients       ◄─ direct ───────┘
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod budget;
mod counting;
pub mod direct;
mod eviction;
pub mod fetch;
pub mod link;
pub mod output;
mod plans;
pub mod pool;
mod reading;
mod reads;
mod runner;
mod scratch;
pub mod server;
mod service;
mod spill;
pub mod store;
mod threads;
mod writer;

pub use budget::Budget;
pub use service::{Worker, WorkerHandle};
pub use store::ShuffleStore;

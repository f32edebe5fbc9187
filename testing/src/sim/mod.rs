//! The simulator: the real scheduler and a real attempt ledger for each worker, in virtual time, over a network that
//! delays, reorders between streams and breaks, on workers that crash, freeze, lose outputs and fail attempts.
//!
//! ```text
//!   clients ─► Coordinator (Scheduler) ◄═ links ═► SimWorker (AttemptLedger) × n
//!                    │        ▲                          │
//!                    └────────┴── World: one queue of happenings in order of time ──► Laws
//! ```
//!
//! A run has two halves: first faults, with only safety demanded; then it heals, and every job must come to its end and
//! leave nothing behind. The same seed gives the same run, to the last bit of its trace.

mod contents;
mod coordinator;
mod dice;
mod faults;
mod graphs;
pub mod laws;
mod link;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_control::SchedulerConfig;

pub use world::World;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct SimConfig {
    /// Settings of the scheduler, and with the feature `known-bugs` of `windrow-control` a bug to put back.
    pub scheduler: SchedulerConfig,
    /// Check the scheduler's and the ledgers' own invariants after every event, too.
    pub invariants: bool,
    /// Print every happening.
    pub verbose: bool,
}

/// What a run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimReport {
    /// Its seed.
    pub seed: u64,
    /// A hash of everything that happened.
    pub trace: u64,
    /// Events that the scheduler took in.
    pub events: u64,
    /// Attempts that it started.
    pub starts: u64,
    /// Virtual time that passed.
    pub passed: Duration,
    /// How often the premise of each law was met.
    pub exercised: BTreeMap<&'static str, u64>,
    /// How laws were broken.
    pub violations: Vec<String>,
}

/// Runs one seed from start to end.
pub fn run(seed: u64, config: &SimConfig) -> SimReport {
    World::new(seed, config.clone()).run()
}

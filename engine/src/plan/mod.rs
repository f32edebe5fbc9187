//! From an optimised DataFusion plan to a stage graph.
//!
//! ```text
//!   logical plan ─physical─► operators ─local─► shippable operators ─cut─► stages ─graph─► StageGraph + blobs
//!                                                  (rules: what each operator may be)      (verify: what must hold)
//! ```
//!
//! The first duty is never to be wrong: `rules` denies by default, `verify` checks the finished stages.

pub mod cost;
pub mod cut;
pub mod determinism;
pub mod explain;
pub mod graph;
pub mod leaves;
pub mod local;
pub mod multiset;
mod overclaims;
pub mod physical;
pub mod rules;
pub mod set_comparison;
pub mod subquery_value;
pub mod verify;
pub mod window_filter;

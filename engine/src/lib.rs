//! The only crate that makes or rewrites DataFusion plans: session, catalog, planner (optimise, cut, decide), codec, our
//! own Arrow operators, readers and writers.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod around;
pub mod codec;
pub mod error;
pub mod exchange;
mod expression_depth;
mod files;
mod forgetting;
pub mod formats;
pub mod frame;
mod operator;
pub mod plan;
mod rejects;
pub mod runtime;
pub mod scalar;
mod scanned_files;
pub mod session;
pub mod sink;
mod stopping;
pub mod stores;
mod yielding;

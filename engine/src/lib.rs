//! The only crate that makes or rewrites DataFusion plans: session, catalog, planner (optimise, cut, decide), codec, our
//! own Arrow operators, readers and writers.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod exchange;
pub mod plan;
pub mod runtime;
pub mod scalar;
pub mod session;
pub mod sink;
pub mod yielding;

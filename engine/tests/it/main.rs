//! The engine's integration tests: one binary, so that DataFusion is linked once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod formats;
mod sink;

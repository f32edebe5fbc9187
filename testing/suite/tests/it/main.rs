//! The heavy tests, in one binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod counters;
mod data;
mod failures;
mod files;
mod frames;
mod joins;
mod law;
mod slt;
mod stores;
mod written;

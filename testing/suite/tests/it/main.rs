//! The heavy tests, in one binary.

mod cluster;
mod data;
mod failures;
mod joins;
mod law;

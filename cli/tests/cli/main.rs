//! The `windrow` binary as a person or a script sees it: real processes, exit codes, what they print and what they leave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arguments;
mod at_rest;
mod bad_input;
mod clean;
mod cluster;
mod cluster_of_processes;
mod copied;
mod copy;
mod equality;
mod interop;
mod interrupted;
mod jobs;
mod killed;
mod moto;
mod numbers;
mod place;
mod python;
mod shell;
mod sql;
mod tagged;
mod terminal;
mod tpch;
mod two_writers;
mod windrow;
mod written_once;

//! Flight SQL as the clients of others see it, over a coordinator and a worker in this process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod at_rest;
mod cancel;
mod catalog;
mod direct;
mod house;
mod ingest;
mod prepared;
mod sessions;
mod statements;

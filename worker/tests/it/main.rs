//! The data plane from outside: store, spill, codec and exchange, in one process and over a real loopback connection.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks;
mod budget;
mod exchange;
mod random;
mod spill;
mod store;
mod world;

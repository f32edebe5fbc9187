//! Tests of the whole. One binary, so that everything is compiled once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sim;

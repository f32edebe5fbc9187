//! Tests of the control core. One binary, so that everything is compiled once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod commit;
mod ledger;
mod properties;
mod script;

//! Tests of the control core. One binary, so that everything is compiled once.

mod bounds;
mod commit;
mod ledger;
mod properties;
mod script;

//! What tests of the whole need: the simulator of the control core, and (to come) the cluster harness and the suites that
//! every deployment must pass. Not published; nothing depends on it outside tests.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod sim;

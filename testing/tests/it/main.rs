//! Tests of the whole. One binary, so that everything is compiled once.

mod sim;

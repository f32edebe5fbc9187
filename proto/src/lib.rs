//! The wire: generated messages, clients and servers, and total conversions between them and `windrow_common`.
//!
//! Each package of `proto/` is a module named by it: `windrow.exchange.v1` is [`exchange`]. Protobuf types stay in this
//! crate and in the shells that speak gRPC; nothing else sees them.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod status;

/// Generated from `exchange.proto`: blocks of finished outputs between workers.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod exchange {
    tonic::include_proto!("windrow.exchange.v1");
}

/// Generated from `control.proto`: workers and clients with the coordinator.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod control {
    tonic::include_proto!("windrow.control.v1");
}

/// Generated from `flight_session.proto`: sessions and their options, as Flight clients see them.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod flight_session {
    tonic::include_proto!("arrow.flight.protocol");
}

pub mod counters;
pub mod job;
mod operators;
pub mod protocol;
pub mod report;

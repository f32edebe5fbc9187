//! The servers as clients see them: those of `object_store`, and bytes on a socket where these would hide something.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binary;
mod clients;
mod conformance;
mod faults;
mod http;
mod listings;
mod plain;
mod signatures;
mod uploads;

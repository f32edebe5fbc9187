//! The servers as clients see them: those of `object_store`, and bytes on a socket where these would hide something.

mod binary;
mod clients;
mod conformance;
mod faults;
mod http;
mod listings;
mod plain;
mod signatures;
mod uploads;

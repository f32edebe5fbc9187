//! Object stores for tests: servers of this process that speak the protocols of S3, GCS, Azure's blobs and plain HTTP, and
//! that misbehave when told to.
//!
//! Each server listens on a port of 127.0.0.1 that the system chose, on threads of its own, so that tests with and without a
//! runtime start one alike, and it is gone when dropped. What it holds is in memory.
//!
//! ```text
//! request ─► front: counters, faults ─► protocol: signature, then objects in memory ─► front: faults of the answer ─► client
//! ```
//!
//! It owns no client and no opinion about Windrow.
#![allow(clippy::unwrap_used, reason = "a lock is poisoned only when a test has failed already")]

mod answer;
mod azure;
mod clock;
mod conditions;
mod connection;
mod counters;
mod faults;
mod front;
mod gcs;
mod head;
mod http_server;
mod listing;
mod objects;
mod ranges;
mod reading;
mod s3;
mod seen;
mod synthetic;
mod uploads;
mod xml;

pub use azure::AzureServer;
pub use counters::{Counted, Counters};
pub use faults::{Fault, Faults, Hits, Rule};
pub use gcs::GcsServer;
pub use http_server::{HttpConfig, HttpServer};
pub use s3::{Config, S3Server};
pub use seen::{Operation, Seen};
pub use synthetic::Synthetic;

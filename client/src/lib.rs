//! The Rust door to Windrow: open a [`Session`] on a [`Deployment`], run SQL, read Arrow batches.
//!
//! A deployment is a value: the same program runs embedded in this process, on a cluster of worker processes that it
//! starts here, or against a coordinator somewhere else.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod cluster;
mod connection;
pub mod deployment;
pub mod embedded;
pub mod execution;
pub mod session;

pub use cluster::Cluster;
pub use deployment::Deployment;
pub use execution::Execution;
pub use session::{Session, WorkerInfo};
pub use windrow_common::{ByteSize, Error, ErrorKind, JobInfo, JobReport, JobStatus, Result};

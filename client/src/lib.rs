//! The Rust door to Windrow: open a [`Session`] on a [`Deployment`], run SQL, read Arrow batches.
//!
//! A deployment is a value: the same program runs embedded in this process, on a cluster of worker processes that it
//! starts here, or against a coordinator somewhere else.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod clean;
pub mod cluster;
mod connection;
pub mod dataframe;
pub mod deployment;
pub mod embedded;
pub mod execution;
pub mod local_cluster;
pub mod session;

pub use arrow;
pub use clean::{abandon, clean};
pub use cluster::Cluster;
pub use dataframe::DataFrame;
pub use deployment::Deployment;
pub use execution::Execution;
pub use local_cluster::LocalCluster;
pub use session::{Session, WorkerInfo};
pub use windrow_common::{ByteSize, ClusterCounters, Error, ErrorKind, JobId, JobInfo, JobReport, JobStatus, Result};

/// What programs name all the time.
pub mod prelude {
    pub use futures::{StreamExt, TryStreamExt};
    pub use windrow_engine::frame::expr::{Expr, avg, cast, col, count, ident, lit, max, min, sum, when};
    pub use windrow_engine::frame::{Join, only_where};

    pub use crate::{DataFrame, Deployment, Error, Execution, Result, Session};
}

/// All functions that expressions can name.
pub use windrow_engine::frame::expr;
pub use windrow_engine::sink::{AbandonReport, CleanReport};

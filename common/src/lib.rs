//! The vocabulary of Windrow: ids, the stage graph, task inputs and outputs, errors, sizes, time and limits.
//!
//! This crate owns words, not behaviour: nothing here is async, touches a wire format or knows DataFusion. Every other
//! crate may depend on it; it depends on none of them.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod bytesize;
pub mod config;
pub mod counters;
pub mod error;
pub mod gauge;
pub mod graph;
pub mod ids;
pub mod job;
pub mod limits;
pub mod output;
pub mod principal;
pub mod protocol;
pub mod report;
pub mod status;
pub mod time;

pub use bytesize::ByteSize;
pub use counters::{ClusterCounters, CoordinatorCounters, CountedWorker, MemoryCounters, WorkerCounters};
pub use error::{Error, ErrorKind, Result};
pub use gauge::{Counted, Gauge};
pub use graph::{Determinism, ExchangeKind, ReadMode, Stage, StageGraph, StageInput, TaskSpec};
pub use ids::{
    AttemptId, BlobHash, Epoch, ExchangeId, Incarnation, JobId, RequestId, SessionId, StageId, TaskId, WorkerId,
};
pub use job::{JobInfo, JobStatus, check_script_bytes};
pub use output::{Location, OperatorMetrics, OutputReport, PartitionSize, SinkMode};
pub use principal::Principal;
pub use report::{JobReport, StageReport};
pub use time::Timestamp;

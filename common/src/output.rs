//! What an attempt leaves behind: sizes of its output's partitions, where they can be read, and small contents inline.

use crate::ids::{AttemptId, Incarnation, WorkerId};

/// Rows and bytes of one partition of one attempt's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionSize {
    /// Rows.
    pub rows: u64,
    /// Bytes as held in memory (Arrow buffers, without padding).
    pub bytes: u64,
}

/// What a finished attempt reports of its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputReport {
    /// One entry for each output partition.
    pub partitions: Vec<PartitionSize>,
    /// The whole output as an Arrow IPC stream, when it is at most [`crate::limits::INLINE_OUTPUT_BYTES`] and the
    /// exchange is `Scalar`, or the rows name written files.
    pub inline: Option<Vec<u8>>,
    /// Bytes this attempt fetched from other processes.
    pub fetched_bytes: u64,
    /// Bytes this attempt wrote to disk because memory was short.
    pub spilled_bytes: u64,
    /// Wall time from start to report, in microseconds.
    pub elapsed_micros: u64,
    /// Malformed rows of its input files that it left out, as it was told to.
    pub rejected_rows: u64,
    /// What each operator of the plan did, each before its inputs.
    pub operators: Vec<OperatorMetrics>,
}

/// What one operator did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorMetrics {
    /// Rows that came out of it, if it counts them.
    pub rows: Option<u64>,
    /// Time spent computing, on all cores together.
    pub compute_nanos: u64,
    /// Bytes that it wrote to disk because memory was short.
    pub spilled_bytes: u64,
    /// Bytes that it read from files.
    pub scanned_bytes: u64,
}

impl OperatorMetrics {
    /// Takes in what the same operator did elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.rows = match (self.rows, other.rows) {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.compute_nanos = self.compute_nanos.saturating_add(other.compute_nanos);
        self.spilled_bytes = self.spilled_bytes.saturating_add(other.spilled_bytes);
        self.scanned_bytes = self.scanned_bytes.saturating_add(other.scanned_bytes);
    }
}

impl OutputReport {
    /// Rows over all partitions.
    pub fn rows(&self) -> u64 {
        self.partitions.iter().map(|p| p.rows).sum()
    }

    /// Bytes over all partitions.
    pub fn bytes(&self) -> u64 {
        self.partitions.iter().map(|p| p.bytes).sum()
    }
}

/// Where one attempt's output can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The task of the producing stage whose output this is.
    pub task: u32,
    /// The attempt that counts.
    pub attempt: AttemptId,
    /// The worker that holds it.
    pub worker: WorkerId,
    /// The life of that worker in which it was made.
    pub incarnation: Incarnation,
    /// `host:port` of the worker's shuffle server.
    pub endpoint: String,
    /// Contents that rode in the report.
    pub inline: Option<Vec<u8>>,
}

/// What a write does with what is already at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkMode {
    /// Adds to it.
    Append,
    /// Replaces it.
    Overwrite,
    /// Refuses to write if anything is there.
    ErrorIfExists,
}

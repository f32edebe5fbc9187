//! The stage graph: a plan cut at its exchanges. To the control core a plan is opaque bytes with tasks, inputs,
//! estimates and requirements; only `engine` knows what the bytes mean.
//!
//! ```text
//!   stage 0 (scan, partial agg)  ──exchange 0: Shuffle(n)──►  stage 1 (final agg)  ──exchange 1: Gather──►  result
//! ```

use std::ops::Range;

use crate::ids::{BlobHash, ExchangeId, StageId};

/// A plan cut at its exchanges. Stages are numbered so that every stage reads only exchanges of lower numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageGraph {
    /// Grows by one with every decision that changes the graph.
    pub revision: u32,
    /// All stages; `stages[i].id == StageId(i)`.
    pub stages: Vec<Stage>,
    /// The exchange whose contents are the job's result: the last stage's.
    pub result: ExchangeId,
    /// True when the rows of the result are a list of written files to be published by a commit (DESIGN §9) before the
    /// job may succeed.
    pub commits: bool,
}

/// A piece of plan without an exchange inside; runs as one or more tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its place in the graph.
    pub id: StageId,
    /// The encoded plan, shared by all of the stage's tasks.
    pub plan: BlobHash,
    /// The exchanges it reads, in the order in which the plan's leaves name them.
    pub inputs: Vec<StageInput>,
    /// How its rows are handed over.
    pub output: ExchangeKind,
    /// How many partitions every task's output has.
    pub output_partitions: u32,
    /// Its shares. Never empty.
    pub tasks: Vec<TaskSpec>,
    /// What a second run of a task may change.
    pub determinism: Determinism,
    /// Estimated bytes of memory one task needs.
    pub memory_estimate: u64,
}

impl Stage {
    /// The exchange that this stage feeds.
    pub fn exchange(&self) -> ExchangeId {
        ExchangeId(self.id.0)
    }
}

/// One exchange read by a stage, and how its contents are shared out to the stage's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// The exchange.
    pub exchange: ExchangeId,
    /// How its contents are shared out.
    pub mode: ReadMode,
}

/// How the contents of an exchange are shared out to the tasks that read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// A task reads the range of output partitions named in its [`TaskSpec::reads`], from every producer task.
    Partitions,
    /// Every task reads everything.
    All,
    /// Every task reads one value: the single row of the exchange, or NULL if there is no row.
    Scalar,
}

/// How a stage's output is divided into partitions. The keys of a shuffle are part of the encoded plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// Rows go to the partition that the hash of their keys names.
    Shuffle,
    /// Partition `i` of the stage is partition `i` of the output; a task fills only its own.
    Forward,
    /// Like `Forward`, read as a whole by one task (which merges, coalesces or limits it).
    Gather,
    /// One partition a task, read as a whole by every reading task.
    Broadcast,
    /// A single row, carried in the report.
    Scalar,
}

/// One share of a stage: the data it works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// The partitions of the stage's plan that this task runs.
    pub partitions: Range<u32>,
    /// For each of [`Stage::inputs`], in the same order: the range of the exchange's partitions that this task reads.
    /// Ignored unless the input's mode is [`ReadMode::Partitions`].
    pub reads: Vec<Range<u32>>,
    /// The file splits of this task, encoded by `engine`; empty when the stage reads no files.
    pub splits: Vec<u8>,
    /// How many slots of one worker the task takes while it runs. At least 1; capped at what the largest worker has.
    pub slots: u32,
}

/// What a second run of the same task on the same inputs may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Determinism {
    /// Nothing: same rows, same order, same partitions.
    Exact,
    /// The order of rows within a partition, or the last bits of a floating point sum.
    SameMultiset,
    /// Anything: consumers must not mix two versions.
    Indeterminate,
}

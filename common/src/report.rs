//! The job's own report: what ran where and moved how much. Tests, `EXPLAIN ANALYZE` and the demo's table read it.

use crate::ids::{JobId, StageId, WorkerId};
use crate::output::OperatorMetrics;

/// What a job did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobReport {
    /// The job, or none for statements that need no tasks.
    pub job: Option<JobId>,
    /// One entry a stage.
    pub stages: Vec<StageReport>,
    /// Wall time from acceptance to end, in microseconds.
    pub elapsed_micros: u64,
}

/// What one stage did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageReport {
    /// The stage.
    pub stage: StageId,
    /// Number of tasks.
    pub tasks: u32,
    /// Attempts started, of all tasks; more than `tasks` when something was tried again.
    pub attempts: u32,
    /// Attempts that failed or were lost.
    pub failed_attempts: u32,
    /// Workers whose attempts were accepted, each once.
    pub workers: Vec<WorkerId>,
    /// Rows of the accepted outputs.
    pub rows: u64,
    /// Bytes of the accepted outputs.
    pub output_bytes: u64,
    /// Bytes that accepted attempts fetched from other processes.
    pub fetched_bytes: u64,
    /// Bytes that accepted attempts spilled to disk.
    pub spilled_bytes: u64,
    /// Sum of the accepted attempts' wall times, in microseconds.
    pub busy_micros: u64,
    /// Malformed rows of input files that the accepted outputs leave out, as they were told to.
    pub rejected_rows: u64,
    /// What each operator of the stage's plan did in all accepted attempts, each before its inputs.
    pub operators: Vec<OperatorMetrics>,
}

impl JobReport {
    /// Tasks over all stages.
    pub fn tasks(&self) -> u64 {
        self.stages.iter().map(|s| u64::from(s.tasks)).sum()
    }

    /// Malformed rows of input files that were left out.
    pub fn rejected_rows(&self) -> u64 {
        self.stages.iter().map(|s| s.rejected_rows).sum()
    }

    /// Bytes moved between processes over all stages.
    pub fn fetched_bytes(&self) -> u64 {
        self.stages.iter().map(|s| s.fetched_bytes).sum()
    }

    /// Bytes handed over through exchanges, in the same process or between processes.
    pub fn exchanged_bytes(&self) -> u64 {
        self.stages.iter().map(|s| s.output_bytes).sum()
    }

    /// Every worker that ran an accepted attempt, each once.
    pub fn workers(&self) -> Vec<WorkerId> {
        let mut all: Vec<WorkerId> = self.stages.iter().flat_map(|s| s.workers.iter().copied()).collect();
        all.sort();
        all.dedup();
        all
    }
}

//! What the scheduler remembers of one stage and of the exchange it feeds: tasks, counters that make every event cheap,
//! and sparse maps for what is rare.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use windrow_common::{
    AttemptId, Error, ExchangeKind, Location, OperatorMetrics, OutputReport, ReadMode, Stage, StageReport, WorkerId,
};

use super::task::TaskState;

/// What is remembered of a task that has failed.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// The first cause, already saying which attempt met it.
    pub(crate) first: Error,
    /// Workers on which it failed; others are preferred.
    pub(crate) workers: Vec<WorkerId>,
}

/// A stage and its exchange.
#[derive(Clone, Debug)]
pub(crate) struct StageState {
    pub(crate) tasks: Vec<TaskState>,
    /// Pending tasks in the order in which they will run. May hold tasks that are not pending any more.
    pub(crate) queue: VecDeque<u32>,
    /// Tasks whose output cannot be read now.
    pub(crate) missing: u32,
    /// Tasks that run.
    pub(crate) running: u32,
    /// Tasks with [`TaskState::has_contents`].
    pub(crate) contents: u32,
    /// Consumer tasks, over all inputs that name this exchange, which still need it; and one for the client that has not
    /// released the result.
    pub(crate) readers: u64,
    /// Inputs of this stage that are not complete.
    pub(crate) incomplete_inputs: u32,
    /// Stages that read the exchange, and as which of their inputs.
    pub(crate) consumers: Vec<(u32, usize)>,
    pub(crate) troubles: BTreeMap<u32, Trouble>,
    /// Outputs lost with their worker's connection, by task: should the worker come back with them, they count again.
    pub(crate) adoptable: BTreeMap<u32, AttemptId>,
    /// Contents that rode in accepted reports: they cannot be lost.
    pub(crate) inline: BTreeMap<u32, Vec<u8>>,
    /// Accepted reports of the stage whose rows name written files.
    pub(crate) sink_reports: BTreeMap<u32, OutputReport>,
    /// Malformed rows that accepted outputs leave out, by task; only of tasks that have some.
    pub(crate) rejected: BTreeMap<u32, u64>,
    /// Locations of all outputs, shared by every task that reads them; made anew when one changes.
    pub(crate) locations: Option<Arc<[Location]>>,
    pub(crate) attempts: u32,
    pub(crate) failed_attempts: u32,
    pub(crate) workers: BTreeSet<WorkerId>,
    pub(crate) rows: u64,
    pub(crate) output_bytes: u64,
    pub(crate) fetched_bytes: u64,
    pub(crate) spilled_bytes: u64,
    pub(crate) busy_micros: u64,
    pub(crate) operators: Vec<OperatorMetrics>,
}

impl StageState {
    pub(crate) fn new(stage: &Stage) -> Self {
        let tasks = stage.tasks.len() as u32;
        Self {
            tasks: vec![TaskState::new(); stage.tasks.len()],
            queue: (0..tasks).collect(),
            missing: tasks,
            running: 0,
            contents: 0,
            readers: 0,
            incomplete_inputs: stage.inputs.len() as u32,
            consumers: Vec::new(),
            troubles: BTreeMap::new(),
            adoptable: BTreeMap::new(),
            inline: BTreeMap::new(),
            sink_reports: BTreeMap::new(),
            rejected: BTreeMap::new(),
            locations: None,
            attempts: 0,
            failed_attempts: 0,
            workers: BTreeSet::new(),
            rows: 0,
            output_bytes: 0,
            fetched_bytes: 0,
            spilled_bytes: 0,
            busy_micros: 0,
            operators: Vec::new(),
        }
    }

    /// Takes an accepted attempt's figures into the stage's; an earlier accepted output of the task no longer counts.
    pub(crate) fn count_output(&mut self, task: u32, worker: WorkerId, output: &OutputReport) {
        let state = &mut self.tasks[task as usize];
        let (rows, bytes) = (output.rows(), output.bytes());
        self.rows = self.rows.saturating_sub(state.rows).saturating_add(rows);
        self.output_bytes = self.output_bytes.saturating_sub(state.bytes).saturating_add(bytes);
        state.rows = rows;
        state.bytes = bytes;
        self.fetched_bytes = self.fetched_bytes.saturating_add(output.fetched_bytes);
        self.spilled_bytes = self.spilled_bytes.saturating_add(output.spilled_bytes);
        self.busy_micros = self.busy_micros.saturating_add(output.elapsed_micros);
        match output.rejected_rows {
            0 => self.rejected.remove(&task),
            rejected => self.rejected.insert(task, rejected),
        };
        self.workers.insert(worker);
        if self.operators.len() < output.operators.len() {
            self.operators.resize(output.operators.len(), OperatorMetrics::default());
        }
        for (sum, operator) in self.operators.iter_mut().zip(&output.operators) {
            sum.add(operator);
        }
    }

    /// Whether everything that anybody will need of the task's accepted output is here, so that it outlives its worker.
    /// Files that a sink wrote are where they are; only their list must be known.
    pub(crate) fn rode_in_report(&self, task: u32) -> bool {
        self.inline.contains_key(&task) || self.sink_reports.get(&task).is_some_and(|report| report.inline.is_some())
    }

    /// The stage's part of the job's report.
    pub(crate) fn report(&self, stage: &Stage) -> StageReport {
        StageReport {
            stage: stage.id,
            tasks: self.tasks.len() as u32,
            attempts: self.attempts,
            failed_attempts: self.failed_attempts,
            workers: self.workers.iter().copied().collect(),
            rows: self.rows,
            output_bytes: self.output_bytes,
            fetched_bytes: self.fetched_bytes,
            spilled_bytes: self.spilled_bytes,
            busy_micros: self.busy_micros,
            rejected_rows: self.rejected.values().sum(),
            operators: self.operators.clone(),
        }
    }
}

/// Whether a consumer's task reads anything of a producer's task. Where a producer's task fills only its own partitions,
/// a reader of other partitions does not depend on it.
pub(crate) fn depends(consumer: &Stage, input: usize, reader: u32, producer: &Stage, task: u32) -> bool {
    match consumer.inputs[input].mode {
        ReadMode::All | ReadMode::Scalar => true,
        ReadMode::Partitions => match producer.output {
            ExchangeKind::Shuffle | ExchangeKind::Broadcast | ExchangeKind::Scalar => true,
            ExchangeKind::Forward | ExchangeKind::Gather => {
                let own = &producer.tasks[task as usize].partitions;
                consumer.tasks[reader as usize]
                    .reads
                    .get(input)
                    .is_none_or(|read| read.start < own.end && own.start < read.end)
            }
        },
    }
}

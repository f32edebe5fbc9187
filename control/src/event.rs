//! What the scheduler hears and what it asks for. Both enums are closed, and each variant says why it exists.

use std::sync::Arc;

use windrow_common::{
    AttemptId, Error, Incarnation, JobId, JobReport, Location, OutputReport, StageGraph, TaskId, WorkerId,
};

use crate::protocol::{AttemptStatus, ToWorker};

/// Something that happened outside. Late, duplicate and stale events are absorbed by rule, never by luck.
#[derive(Clone, Debug)]
pub enum Event {
    /// A planned job was accepted (its graph and blobs are durable). `seed` is entropy from which attempt ids are made.
    Submit {
        /// The new job.
        job: JobId,
        /// 128 random bits.
        seed: u128,
        /// Its stages.
        graph: Arc<StageGraph>,
    },
    /// Somebody wants the job to stop. Unknown and ended jobs are ignored.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// A worker's connection opened and said who it is. `running` and `held` let it be adopted after a broken stream.
    WorkerConnected {
        /// Who.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
        /// Cores it offers.
        slots: u32,
        /// Its byte budget.
        memory: u64,
        /// `host:port` of its shuffle server.
        endpoint: String,
        /// Attempts it still runs.
        running: Vec<AttemptId>,
        /// Attempts whose output it still holds.
        held: Vec<AttemptId>,
    },
    /// A worker said that it is alive.
    Heartbeat {
        /// Who.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
    },
    /// A worker's stream broke or was closed. A broken stream counts as the loss of the worker at once; should the same
    /// incarnation come back, what it still holds is adopted again. Streams have no names here, so the shell says this
    /// only of the stream that is the worker's latest: the end of one that a newer stream of the same incarnation has
    /// replaced must not be told, or the newer one would be taken for broken.
    WorkerDisconnected {
        /// Who.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
    },
    /// An attempt has come this far.
    Report {
        /// Who says so.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
        /// The epoch in which it was assigned.
        epoch: windrow_common::Epoch,
        /// Its task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
        /// How it stands.
        status: AttemptStatus,
    },
    /// Somebody outside the scheduler (the reader of a job's result) could not read these outputs.
    OutputsLost {
        /// The job.
        job: JobId,
        /// The attempts whose outputs are gone.
        attempts: Vec<AttemptId>,
    },
    /// The client has taken the whole result, or has gone away: the result's outputs may be freed and the job forgotten.
    ResultReleased {
        /// The job.
        job: JobId,
    },
    /// The shell has carried out [`Action::Commit`]. An error ends the job with it.
    Committed {
        /// The job.
        job: JobId,
        /// Whether the output is published.
        result: Result<(), Error>,
    },
    /// Time passed up to a deadline that [`crate::scheduler::Scheduler::next_deadline`] named.
    Tick,
}

/// Something the shell must do, in the order given.
#[derive(Clone, Debug)]
pub enum Action {
    /// Tell a worker. Dropped by the shell if that incarnation is not connected any more.
    Send {
        /// Whom.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
        /// What.
        message: ToWorker,
    },
    /// Close a worker's connection: it is taken for dead, or superseded by a newer incarnation.
    Disconnect {
        /// Whom.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
        /// Why, for the log.
        reason: String,
    },
    /// All tasks of the job's last stage are accepted and its rows can be read here, in task order. Comes again, with
    /// new locations, if outputs were lost before they were released.
    ResultReady {
        /// The job.
        job: JobId,
        /// One location for each task of the last stage.
        locations: Vec<Location>,
        /// What the job did.
        report: Box<JobReport>,
    },
    /// All sink tasks are accepted: decide and publish what they wrote (DESIGN §9), then say [`Event::Committed`].
    /// `outputs` are the accepted reports of the last stage, in task order; their inline bytes list the written files.
    Commit {
        /// The job.
        job: JobId,
        /// Accepted reports.
        outputs: Vec<OutputReport>,
    },
    /// The job has come to its end. Sent exactly once for each submitted job, after everything it held was freed
    /// (for a completed job: after `ResultReleased`).
    JobEnded {
        /// The job.
        job: JobId,
        /// How.
        outcome: Outcome,
        /// What it did.
        report: Box<JobReport>,
    },
    /// Tasks done of all, for progress bars. At most one for each handled event and job.
    Progress {
        /// The job.
        job: JobId,
        /// Tasks accepted.
        done: u32,
        /// Tasks running.
        running: u32,
        /// All tasks.
        total: u32,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Complete and right.
    Completed,
    /// The first cause.
    Failed(Error),
    /// Somebody asked for it.
    Cancelled,
}

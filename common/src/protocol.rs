//! What coordinator and worker say to each other over their one long-lived stream. Plain values: `proto` knows how they
//! travel, the embedded deployment passes them as they are.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::graph::ExchangeKind;
use crate::{
    AttemptId, BlobHash, Epoch, Error, ExchangeId, Incarnation, JobId, Location, OutputReport, ReadMode, TaskId,
    WorkerId,
};

/// From a worker to its coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum ToCoordinator {
    /// First message of every connection: who this is, what it offers, and what it still runs and holds.
    Hello {
        /// Who.
        worker: WorkerId,
        /// In which life.
        incarnation: Incarnation,
        /// The version of the protocol it speaks ([`crate::limits::PROTOCOL_VERSION`]).
        version: u32,
        /// Cores it offers.
        slots: u32,
        /// Its byte budget.
        memory: u64,
        /// `host:port` of its shuffle server.
        endpoint: String,
        /// Its process id, for people and tests.
        pid: u32,
        /// Attempts that run.
        running: Vec<AttemptId>,
        /// Attempts whose output it holds.
        held: Vec<AttemptId>,
    },
    /// I am alive.
    Heartbeat {
        /// In which life.
        incarnation: Incarnation,
    },
    /// An attempt has come this far. Sent again after a reconnect until it is acknowledged.
    Report {
        /// In which life.
        incarnation: Incarnation,
        /// The epoch in which the attempt was assigned.
        epoch: Epoch,
        /// Its task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
        /// How it stands.
        status: AttemptStatus,
    },
    /// It leaves in good order; nothing more will come.
    Goodbye {
        /// In which life.
        incarnation: Incarnation,
    },
    /// Clients read an output of a job's result by themselves. Says how that stands, not what has changed: the latest
    /// counts, and it comes again with each connection.
    DirectReads {
        /// In which life.
        incarnation: Incarnation,
        /// The job.
        job: JobId,
        /// Whose output.
        attempt: AttemptId,
        /// How its reading stands.
        reads: DirectReads,
    },
}

/// How clients' own reading of one output stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectReads {
    /// Reads under way.
    pub running: u32,
    /// Whether some client has read it to its end.
    pub complete: bool,
}

/// How an attempt stands. Joining two of one attempt is monotone: an end wins over `Running`, and the first end stays.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptStatus {
    /// It has started.
    Running,
    /// Its output is complete and can be read.
    Finished(OutputReport),
    /// It ended without output. `LostInput` blames the named producers and not this attempt.
    Failed(Error),
    /// It was told to stop and did.
    Cancelled,
}

/// From the coordinator to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// Answer to `Hello`.
    Welcome {
        /// The coordinator's term; messages of lower ones are refused from now on.
        epoch: Epoch,
        /// How often to send heartbeats.
        heartbeat: Duration,
    },
    /// Run this attempt. A worker that already has it does nothing.
    Start(Box<Assignment>),
    /// Stop this attempt, if it runs, and drop its output.
    Cancel {
        /// The sender's term.
        epoch: Epoch,
        /// The attempt.
        attempt: AttemptId,
    },
    /// The report that ended this attempt has been taken in; no need to send it again.
    Acknowledge {
        /// The sender's term.
        epoch: Epoch,
        /// The attempt.
        attempt: AttemptId,
    },
    /// These outputs have no reader left: free them.
    Free {
        /// The sender's term.
        epoch: Epoch,
        /// The attempts whose outputs are free.
        attempts: Vec<AttemptId>,
    },
    /// The job has ended: stop all of its attempts, free all of its outputs and plans.
    ForgetJob {
        /// The sender's term.
        epoch: Epoch,
        /// The job.
        job: JobId,
    },
    /// The connection is refused (wrong version, a newer incarnation is connected): the reason is for people.
    Refuse {
        /// Why.
        reason: Error,
    },
}

/// One attempt to run. Its input is data, not plan: the plan is named by hash and fetched once by each worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The sender's term.
    pub epoch: Epoch,
    /// Which task.
    pub task: TaskId,
    /// Which run of it.
    pub attempt: AttemptId,
    /// How many runs came before this one.
    pub number: u32,
    /// The encoded plan of the stage.
    pub plan: BlobHash,
    /// The partitions of the plan to run.
    pub partitions: Range<u32>,
    /// Slots of the worker that it takes.
    pub slots: u32,
    /// Bytes of memory reserved for it; grows when an earlier run was out of memory.
    pub memory: u64,
    /// File splits, encoded by `engine`.
    pub splits: Arc<[u8]>,
    /// The exchanges to read.
    pub inputs: Vec<InputSlice>,
    /// How the output is divided.
    pub output: ExchangeKind,
    /// Into how many partitions.
    pub output_partitions: u32,
    /// True when the output should ride in the report if it is small.
    pub inline: bool,
}

/// What an attempt reads of one exchange: exactly these versions, no others.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSlice {
    /// The exchange.
    pub exchange: ExchangeId,
    /// How it is shared out.
    pub mode: ReadMode,
    /// Which of its partitions, with [`ReadMode::Partitions`].
    pub partitions: Range<u32>,
    /// The accepted output of every producer task, in task order. Shared between the attempts that read it.
    pub producers: Arc<[Location]>,
}

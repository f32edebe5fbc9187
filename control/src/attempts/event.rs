//! What the worker's side of the attempt protocol hears and asks for.

use windrow_common::{AttemptId, Epoch, Error, JobId, OutputReport};

use crate::protocol::{Assignment, ToCoordinator, ToWorker};

/// Something that happened to the worker.
#[derive(Clone, Debug)]
pub enum LedgerEvent {
    /// A stream to the coordinator is open; `Hello` must be the first message on it.
    Connected,
    /// The stream is gone. What runs goes on; ends are kept and said again.
    Disconnected,
    /// The coordinator said this.
    Message(ToWorker),
    /// A running attempt's output is complete.
    Finished {
        /// Which.
        attempt: AttemptId,
        /// Its output.
        output: OutputReport,
    },
    /// A running attempt failed. Its half-made output is already dropped.
    Failed {
        /// Which.
        attempt: AttemptId,
        /// Why.
        error: Error,
    },
    /// An attempt that was told to stop has; nothing of it is left.
    Stopped {
        /// Which.
        attempt: AttemptId,
    },
    /// A held output is lost (disk, checksum): it must not be promised again.
    OutputGone {
        /// Whose.
        attempt: AttemptId,
    },
    /// The worker leaves in good order.
    Leaving,
    /// Time passed up to the deadline that the ledger named.
    Tick,
}

/// Something the worker's shell must do, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerAction {
    /// Run this attempt now: there are slots for it.
    Run(Box<Assignment>),
    /// Stop this running attempt, drop what it made, then say [`LedgerEvent::Stopped`] (or, if it was faster,
    /// [`LedgerEvent::Finished`] or [`LedgerEvent::Failed`]).
    Stop(AttemptId),
    /// Drop this output.
    FreeOutput(AttemptId),
    /// Drop the plans and whatever else of this job is left, after its attempts were stopped and its outputs freed.
    ForgetJob(JobId),
    /// Say this to the coordinator on the stream that is open.
    Send(ToCoordinator),
    /// A message of an old term was dropped, for the log: that coordinator leads no more.
    Refused {
        /// The sender's term.
        epoch: Epoch,
        /// The highest term heard of.
        known: Epoch,
    },
    /// The coordinator refused the connection: close it, and try again only if the reason may pass.
    TurnedAway(Error),
}

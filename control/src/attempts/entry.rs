//! One attempt as its worker knows it.

use windrow_common::{Epoch, TaskId};

use crate::protocol::{Assignment, AttemptStatus};

/// How far an attempt has come.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Waits for slots.
    Queued(Box<Assignment>),
    /// Runs.
    Running,
    /// Was told to stop and has not yet.
    Stopping,
    /// Has ended, and the coordinator has not acknowledged it. `held`: its output is there.
    Ended { status: AttemptStatus, held: bool },
    /// Has ended well and is acknowledged; its output is there.
    Held,
}

/// One attempt.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) task: TaskId,
    /// The term in which it was assigned.
    pub(super) epoch: Epoch,
    pub(super) slots: u32,
    pub(super) state: State,
}

impl Entry {
    /// It waits, runs or is being stopped.
    pub(super) fn is_running(&self) -> bool {
        match self.state {
            State::Queued(_) | State::Running | State::Stopping => true,
            State::Ended { .. } | State::Held => false,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        match self.state {
            State::Held | State::Ended { held: true, .. } => true,
            State::Ended { held: false, .. } | State::Queued(_) | State::Running | State::Stopping => false,
        }
    }

    /// Slots that it takes now.
    pub(super) fn taken(&self) -> u32 {
        match self.state {
            State::Running | State::Stopping => self.slots,
            State::Queued(_) | State::Ended { .. } | State::Held => 0,
        }
    }
}

//! What must be looked at when, in order of time. Alarms are never taken back: whoever is woken checks whether the
//! reason still stands.

use std::collections::BTreeSet;

use windrow_common::{Incarnation, JobId, Timestamp};

use super::pool::WorkerIndex;
use super::task::TaskAt;

/// A reason to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// A failed task's pause ends.
    Retry { job: JobId, at: TaskAt },
    /// A job may have waited too long for a worker.
    Starved(JobId),
    /// A worker may have been silent too long.
    Silence { worker: WorkerIndex, incarnation: Incarnation },
}

/// All alarms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    alarms: BTreeSet<(Timestamp, Alarm)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, alarm: Alarm) {
        self.alarms.insert((at, alarm));
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// The next alarm whose time has come.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<Alarm> {
        if self.next()? > now {
            return None;
        }
        self.alarms.pop_first().map(|(_, alarm)| alarm)
    }
}

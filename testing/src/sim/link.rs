//! One stream between a worker and the coordinator: in order in each direction, delayed, and broken at some point, at
//! which each end has heard only what had arrived, and notices in its own time.

use std::time::Duration;

use windrow_common::{Incarnation, Timestamp, WorkerId};

/// Names a stream. Every reconnect is a new one.
pub type LinkId = u64;

/// One direction of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    /// When the latest message arrives.
    latest: Timestamp,
    /// After this, nothing arrives any more.
    cut: Option<Timestamp>,
}

impl Direction {
    fn arrival(&mut self, now: Timestamp, delay: Duration) -> Timestamp {
        self.latest = self.latest.max(now + delay);
        self.latest
    }
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Link {
    /// Index of the worker.
    pub worker: usize,
    /// In which of its lives.
    pub incarnation: Incarnation,
    /// Who said `Hello` on it.
    pub greeted: Option<WorkerId>,
    /// The coordinator has closed it or seen its end.
    pub over_at_coordinator: bool,
    to_coordinator: Direction,
    to_worker: Direction,
    /// It is broken.
    pub broken: bool,
}

impl Link {
    /// A new stream of this worker.
    pub fn new(worker: usize, incarnation: Incarnation) -> Self {
        Self {
            worker,
            incarnation,
            greeted: None,
            over_at_coordinator: false,
            to_coordinator: Direction::default(),
            to_worker: Direction::default(),
            broken: false,
        }
    }

    /// When a message sent now arrives at the coordinator.
    pub fn arrival_at_coordinator(&mut self, now: Timestamp, delay: Duration) -> Timestamp {
        self.to_coordinator.arrival(now, delay)
    }

    /// When a message sent now arrives at the worker.
    pub fn arrival_at_worker(&mut self, now: Timestamp, delay: Duration) -> Timestamp {
        self.to_worker.arrival(now, delay)
    }

    /// Breaks it: of what is under way, only what arrives before the two cuts still does.
    pub fn cut(&mut self, coordinator: Timestamp, worker: Timestamp) {
        self.broken = true;
        self.to_coordinator.cut.get_or_insert(coordinator);
        self.to_worker.cut.get_or_insert(worker);
    }

    /// Whether a message arrives at the coordinator at this time.
    pub fn reaches_coordinator(&self, at: Timestamp) -> bool {
        !self.over_at_coordinator && self.to_coordinator.cut.is_none_or(|cut| at <= cut)
    }

    /// Whether a message arrives at the worker at this time.
    pub fn reaches_worker(&self, at: Timestamp) -> bool {
        self.to_worker.cut.is_none_or(|cut| at <= cut)
    }
}

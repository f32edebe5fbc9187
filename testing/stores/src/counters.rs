//! What a server counts: requests, bytes and how many were in flight at once, for each operation; and the last requests
//! themselves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::seen::{Operation, Seen};

/// So many of the last requests are remembered.
const REMEMBERED: usize = 20_000;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counted {
    /// Requests that have come.
    pub requests: u64,
    /// Bytes of their bodies.
    pub received: u64,
    /// Bytes of the bodies of answers, as far as they were handed to the network.
    pub sent: u64,
    /// Requests that are being answered. An answer counts until the last of it has left or its client has gone.
    pub in_flight: u64,
    /// The most of these that there were at one time.
    pub peak: u64,
}

#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<Operation, Counted>,
    total: Counted,
    last: VecDeque<Seen>,
}

impl State {
    fn change(&mut self, operation: Operation, change: impl Fn(&mut Counted)) {
        change(self.operations.entry(operation).or_default());
        change(&mut self.total);
    }
}

/// The counters of a server; clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    state: Arc<Mutex<State>>,
}

impl Counters {
    /// What was counted of one operation.
    pub fn of(&self, operation: Operation) -> Counted {
        self.state.lock().unwrap().operations.get(&operation).copied().unwrap_or_default()
    }

    /// What was counted of all.
    pub fn total(&self) -> Counted {
        self.state.lock().unwrap().total
    }

    /// The last requests in the order in which they came, at most 20,000.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.lock().unwrap().last.iter().cloned().collect()
    }

    /// Counts from zero again; what is in flight stays so.
    pub fn reset(&self) {
        let mut state = self.state.lock().unwrap();
        state.last.clear();
        let State { operations, total, .. } = &mut *state;
        for counted in operations.values_mut().chain([total]) {
            let in_flight = counted.in_flight;
            *counted = Counted { in_flight, peak: in_flight, ..Counted::default() };
        }
    }

    /// Counts a request that has come, until what is returned is dropped.
    pub(crate) fn enter(&self, seen: &Seen) -> Passing {
        let operation = seen.operation;
        let mut state = self.state.lock().unwrap();
        state.change(operation, |counted| {
            counted.requests += 1;
            counted.in_flight += 1;
            counted.peak = counted.peak.max(counted.in_flight);
        });
        if state.last.len() == REMEMBERED {
            state.last.pop_front();
        }
        state.last.push_back(seen.clone());
        drop(state);
        Passing { counters: self.clone(), operation }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Passing {
    counters: Counters,
    operation: Operation,
}

impl Passing {
    pub(crate) fn received(&self, bytes: usize) {
        self.counters.state.lock().unwrap().change(self.operation, |counted| counted.received += bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.counters.state.lock().unwrap().change(self.operation, |counted| counted.sent += bytes as u64);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.counters.state.lock().unwrap().change(self.operation, |counted| counted.in_flight -= 1);
    }
}

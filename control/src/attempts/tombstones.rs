//! Attempts that have come and gone, so that a late message cannot bring one back. Bounded: the oldest are forgotten.

use std::collections::{BTreeSet, VecDeque};

use windrow_common::AttemptId;

/// The latest attempts that are no more.
#[derive(Clone, Debug)]
pub(super) struct Tombstones {
    limit: usize,
    order: VecDeque<AttemptId>,
    set: BTreeSet<AttemptId>,
}

impl Tombstones {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, order: VecDeque::new(), set: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, attempt: AttemptId) {
        if !self.set.insert(attempt) {
            return;
        }
        self.order.push_back(attempt);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, attempt: AttemptId) -> bool {
        self.set.contains(&attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut all = Tombstones::new(2);
        for attempt in [1, 2, 2, 3] {
            all.add(AttemptId(attempt));
        }
        assert_eq!([1, 2, 3].map(|a| all.contains(AttemptId(a))), [false, true, true]);
    }
}

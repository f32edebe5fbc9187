//! Counts what there is at the moment: whatever is to be counted holds a [`Counted`] for as long as it lives, so that no
//! path out of it can be forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many there are. Cheap to clone; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// One of those that are counted; its drop is its end.
#[derive(Debug)]
pub struct Counted(Arc<AtomicU64>);

impl Gauge {
    /// One more, until what is given is dropped.
    #[must_use]
    pub fn enter(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.0))
    }

    /// How many there are now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_what_lives() {
        let gauge = Gauge::default();
        let (one, two) = (gauge.enter(), gauge.clone().enter());
        assert_eq!(gauge.get(), 2);
        drop(one);
        assert_eq!(gauge.get(), 1);
        drop(two);
        assert_eq!(gauge.get(), 0);
    }
}

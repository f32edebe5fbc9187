//! DataFusion's view of the budget: one pool for each attempt, a child of the worker's one [`Budget`].

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

use crate::budget::{Budget, Share};

/// The operators of one attempt. Grants as long as the worker's budget does.
#[derive(Debug)]
pub struct AttemptPool {
    name: String,
    budget: Budget,
    reserved: AtomicUsize,
    peak: AtomicUsize,
}

impl AttemptPool {
    pub(crate) fn new(name: String, budget: Budget) -> Self {
        Self { name, budget, reserved: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// The most bytes that the attempt ever held.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn count(&self, bytes: usize) {
        let now = self.reserved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }
}

impl MemoryPool for AttemptPool {
    fn name(&self) -> &str {
        "windrow-attempt"
    }

    fn grow(&self, _reservation: &MemoryReservation, additional: usize) {
        self.budget.take(Share::Operators, additional as u64);
        self.count(additional);
    }

    fn shrink(&self, _reservation: &MemoryReservation, shrink: usize) {
        self.reserved.fetch_sub(shrink, Ordering::Relaxed);
        self.budget.give_back(Share::Operators, shrink as u64);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let who =
            || format!("{} of {} (which holds {} bytes)", reservation.consumer().name(), self.name, self.reserved());
        self.budget
            .try_take(Share::Operators, additional as u64, who)
            .map_err(|error| DataFusionError::ResourcesExhausted(error.message))?;
        self.count(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(usize::try_from(self.budget.limit()).unwrap_or(usize::MAX))
    }
}

impl fmt::Display for AttemptPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes of the worker's {})", self.name, self.reserved(), self.budget.limit())
    }
}

impl Drop for AttemptPool {
    fn drop(&mut self) {
        let left = *self.reserved.get_mut();
        debug_assert!(left == 0 || std::thread::panicking(), "{} bytes are left in the pool of {}", left, self.name);
        self.budget.give_back(Share::Operators, left as u64);
    }
}

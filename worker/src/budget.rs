//! The one hard byte budget of a worker, over operators, shuffle store and fetched blocks.
//!
//! Owned here: counting, peaks, and the rule by which bytes are granted. Not here: what is evicted when bytes run short
//! (`store`), and how DataFusion asks (`pool`).
//!
//! ```text
//!   0 ───────────── used ─────────── high water ───── limit ── limit + overdraft
//!                                        │              └ granted only against store bytes that can be evicted
//!                                        └ from here on the spiller is awake
//! ```
//!
//! Growing is synchronous and cannot wait for a disk. So bytes that the store can evict count as available, up to a
//! bounded overdraft, and the spiller is woken to make it good.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::execution::memory_pool::MemoryPool;
use tokio::sync::Notify;
use windrow_common::{ByteSize, Error, ErrorKind};

use crate::pool::AttemptPool;

/// Share of the limit above which outputs are spilled, in percent.
const HIGH_WATER_PERCENT: u64 = 80;
/// Share of the limit that may be granted above it against evictable bytes, in percent.
const OVERDRAFT_PERCENT: u64 = 12;

/// Who uses bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Operators of running attempts, through their pools.
    Operators,
    /// Outputs held in memory.
    Store,
    /// Blocks on their way between processes.
    Fetch,
}

/// Bytes in use and the most there ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Now.
    pub used: u64,
    /// At most.
    pub peak: u64,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetStats {
    /// The limit.
    pub limit: u64,
    /// All shares together.
    pub total: Usage,
    /// Operators of running attempts.
    pub operators: Usage,
    /// Outputs held in memory.
    pub store: Usage,
    /// Blocks on their way between processes.
    pub fetch: Usage,
    /// Bytes of the store that can be written to disk.
    pub evictable: u64,
}

/// A worker's byte budget. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: u64,
    counts: Mutex<BudgetStats>,
    pressure: Notify,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn new(limit: ByteSize) -> Self {
        let counts = BudgetStats { limit: limit.0, ..BudgetStats::default() };
        Self { inner: Arc::new(Inner { limit: limit.0, counts: Mutex::new(counts), pressure: Notify::new() }) }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.inner.limit
    }

    /// How it stands.
    pub fn stats(&self) -> BudgetStats {
        *self.counts()
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.counts().total.used
    }

    /// A pool for the operators of one attempt, named so in messages. It grants against this budget and gives back what
    /// it still holds when it is dropped.
    pub fn attempt_pool(&self, name: impl Into<String>) -> Arc<dyn MemoryPool> {
        Arc::new(AttemptPool::new(name.into(), self.clone()))
    }

    /// Counts bytes that exist already, whether there is room or not.
    pub fn charge(&self, share: Share, bytes: u64) -> Charge {
        self.take(share, bytes);
        Charge { budget: self.clone(), share, bytes }
    }

    /// Counts bytes if there is room for them. The error says what was asked, by whom, and how the budget stands.
    pub fn try_charge(&self, share: Share, bytes: u64, who: &str) -> Result<Charge, Error> {
        self.try_take(share, bytes, || who.to_owned())?;
        Ok(Charge { budget: self.clone(), share, bytes })
    }

    /// Bytes above the high-water mark: what the spiller should evict.
    pub fn above_high_water(&self) -> u64 {
        self.used().saturating_sub(self.high_water())
    }

    /// Bytes above the limit: what a writer must evict before it goes on.
    pub fn above_limit(&self) -> u64 {
        self.used().saturating_sub(self.inner.limit)
    }

    /// Completes when there may be something to evict. Spurious wake-ups happen.
    pub async fn pressure(&self) {
        self.inner.pressure.notified().await;
    }

    pub(crate) fn take(&self, share: Share, bytes: u64) {
        let mut counts = self.counts();
        self.add(&mut counts, share, bytes);
    }

    pub(crate) fn try_take(&self, share: Share, bytes: u64, who: impl FnOnce() -> String) -> Result<(), Error> {
        let mut counts = self.counts();
        let overdraft = counts.evictable.min(self.inner.limit / 100 * OVERDRAFT_PERCENT);
        if counts.total.used.saturating_add(bytes) > self.inner.limit.saturating_add(overdraft) {
            let counts = *counts;
            self.inner.pressure.notify_one();
            return Err(refused(&counts, &who(), bytes));
        }
        self.add(&mut counts, share, bytes);
        Ok(())
    }

    fn add(&self, counts: &mut BudgetStats, share: Share, bytes: u64) {
        for usage in [share_of(share), |counts: &mut BudgetStats| &mut counts.total] {
            let usage = usage(counts);
            usage.used += bytes;
            usage.peak = usage.peak.max(usage.used);
        }
        if counts.total.used > self.high_water() && counts.evictable > 0 {
            self.inner.pressure.notify_one();
        }
    }

    pub(crate) fn give_back(&self, share: Share, bytes: u64) {
        let mut counts = self.counts();
        let usage = share_of(share)(&mut counts);
        debug_assert!(usage.used >= bytes, "{share:?} gives back {bytes} of {} bytes", usage.used);
        usage.used = usage.used.saturating_sub(bytes);
        counts.total.used = counts.total.used.saturating_sub(bytes);
    }

    /// More bytes of the store can be evicted. Called after they are charged.
    pub(crate) fn add_evictable(&self, bytes: u64) {
        let mut counts = self.counts();
        counts.evictable += bytes;
        if counts.total.used > self.high_water() {
            self.inner.pressure.notify_one();
        }
    }

    /// Bytes of the store can no longer be evicted. Called before they are given back.
    pub(crate) fn sub_evictable(&self, bytes: u64) {
        let mut counts = self.counts();
        debug_assert!(counts.evictable >= bytes);
        counts.evictable = counts.evictable.saturating_sub(bytes);
    }

    fn high_water(&self) -> u64 {
        self.inner.limit / 100 * HIGH_WATER_PERCENT
    }

    fn counts(&self) -> MutexGuard<'_, BudgetStats> {
        self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn share_of(share: Share) -> fn(&mut BudgetStats) -> &mut Usage {
    match share {
        Share::Operators => |counts| &mut counts.operators,
        Share::Store => |counts| &mut counts.store,
        Share::Fetch => |counts| &mut counts.fetch,
    }
}

fn refused(counts: &BudgetStats, who: &str, bytes: u64) -> Error {
    let size = ByteSize;
    let message = format!(
        "out of memory: {who} asked for {} more, and {} of the worker's {} are in use (operators {}, outputs {} of \
         which {} can go to disk, blocks in transit {}). Give the worker more memory (--memory) or fewer slots",
        size(bytes),
        size(counts.total.used),
        size(counts.limit),
        size(counts.operators.used),
        size(counts.store.used),
        size(counts.evictable),
        size(counts.fetch.used),
    );
    Error::new(ErrorKind::OutOfMemory, message)
}

/// Bytes counted against a budget; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    share: Share,
    bytes: u64,
}

impl Charge {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts this many instead, whether there is room or not.
    pub fn resize(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.budget.take(self.share, bytes - self.bytes);
        } else {
            self.budget.give_back(self.share, self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.share, self.bytes);
    }
}

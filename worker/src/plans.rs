//! Encoded plans that the worker has: each is fetched once, whoever asks first, and kept while there is room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use windrow_common::{BlobHash, Error, ErrorKind, Result, limits};
use windrow_engine::plan::graph::hash_of;

use crate::link::CoordinatorLink;

type Slot = Arc<OnceCell<Arc<[u8]>>>;

/// Somebody who waits for a plan. The last one who waited in vain takes its place away.
struct Wanted<'a> {
    plans: &'a Plans,
    hash: BlobHash,
    slot: Slot,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.slot.initialized() {
            return;
        }
        let mut inner = self.plans.lock();
        // Given back under the lock: of several who waited in vain exactly one is the last.
        drop(std::mem::take(&mut self.slot));
        let empty = |(slot, _): &(Slot, u64)| !slot.initialized() && Arc::strong_count(slot) == 1;
        if inner.slots.get(&self.hash).is_some_and(empty) {
            inner.slots.remove(&self.hash);
        }
    }
}

/// The plans.
#[derive(Debug)]
pub struct Plans {
    link: Arc<dyn CoordinatorLink>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: BTreeMap<BlobHash, (Slot, u64)>,
    clock: u64,
    bytes: u64,
}

impl Plans {
    /// No plans yet; missing ones are fetched over `link`.
    pub fn new(link: Arc<dyn CoordinatorLink>) -> Self {
        Self { link, inner: Mutex::default() }
    }

    /// The bytes of a plan. Many attempts of a stage that start at once fetch it once.
    pub async fn get(&self, hash: BlobHash) -> Result<Arc<[u8]>> {
        let wanted = Wanted { plans: self, hash, slot: self.slot(hash) };
        let bytes = wanted.slot.get_or_try_init(|| self.fetch(hash)).await?;
        Ok(Arc::clone(bytes))
    }

    /// How many are kept, and their bytes.
    pub fn kept(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.slots.len() as u64, inner.bytes)
    }

    async fn fetch(&self, hash: BlobHash) -> Result<Arc<[u8]>> {
        let bytes = self.link.blob(hash).await.map_err(|error| match error.kind {
            // The attempt cannot go on, but the job can: it is tried again.
            ErrorKind::Unavailable | ErrorKind::Cancelled => Error::io(error.message),
            _ => error,
        })?;
        if hash_of(&bytes) != hash {
            return Err(Error::io(format!("the plan {hash} arrived damaged")));
        }
        self.make_room(hash, bytes.len() as u64);
        Ok(bytes)
    }

    fn slot(&self, hash: BlobHash) -> Slot {
        let mut inner = self.lock();
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.slots.entry(hash).or_default();
        entry.1 = now;
        Arc::clone(&entry.0)
    }

    /// Drops the plans used longest ago until what is kept fits its limit.
    fn make_room(&self, newest: BlobHash, bytes: u64) {
        let mut inner = self.lock();
        inner.bytes += bytes;
        while inner.bytes > limits::PLAN_CACHE_BYTES {
            let oldest = inner
                .slots
                .iter()
                .filter(|(hash, (slot, _))| **hash != newest && slot.initialized())
                .min_by_key(|(_, (_, used))| *used)
                .map(|(hash, _)| *hash);
            let Some((slot, _)) = oldest.and_then(|hash| inner.slots.remove(&hash)) else { break };
            inner.bytes -= slot.get().map_or(0, |plan| plan.len() as u64);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

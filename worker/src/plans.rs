//! Encoded plans that the worker has: each is fetched once, whoever asks first, and kept while there is room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use windrow_common::{BlobHash, Error, ErrorKind, Result, limits};
use windrow_engine::plan::graph::hash_of;

use crate::link::CoordinatorLink;

type Slot = Arc<OnceCell<Arc<[u8]>>>;

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
        let slot = self.slot(hash);
        let bytes = slot.get_or_try_init(|| self.fetch(hash)).await?;
        Ok(Arc::clone(bytes))
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

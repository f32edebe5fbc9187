//! Blobs: bytes named by their SHA-256. Plans and artifacts go here and never into messages or records, so that no message
//! limit bounds the size of a plan.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use windrow_common::{BlobHash, Error, ErrorKind, JobId, Result};

/// Keeps blobs for as long as a job names them.
pub trait BlobStore: std::fmt::Debug + Send + Sync {
    /// Stores a blob for a job. Storing the same bytes again is no error.
    fn put(&self, job: JobId, hash: BlobHash, bytes: Arc<[u8]>) -> Result<()>;
    /// The bytes of a blob.
    fn get(&self, hash: BlobHash) -> Result<Arc<[u8]>>;
    /// The job names no blob any more; those that no other job names are dropped.
    fn release(&self, job: JobId);
    /// How many blobs are kept.
    fn len(&self) -> usize;
    /// Their bytes.
    fn bytes(&self) -> u64;
    /// Whether none is kept.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    blobs: BTreeMap<BlobHash, (Arc<[u8]>, usize)>,
    jobs: BTreeMap<JobId, Vec<BlobHash>>,
}

impl MemoryBlobs {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobs {
    fn put(&self, job: JobId, hash: BlobHash, bytes: Arc<[u8]>) -> Result<()> {
        let mut inner = self.lock();
        inner.blobs.entry(hash).or_insert((bytes, 0)).1 += 1;
        inner.jobs.entry(job).or_default().push(hash);
        Ok(())
    }

    fn get(&self, hash: BlobHash) -> Result<Arc<[u8]>> {
        self.lock()
            .blobs
            .get(&hash)
            .map(|(bytes, _)| Arc::clone(bytes))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no blob {hash}; its job has ended")))
    }

    fn release(&self, job: JobId) {
        let mut inner = self.lock();
        for hash in inner.jobs.remove(&job).unwrap_or_default() {
            if let Some((_, users)) = inner.blobs.get_mut(&hash) {
                *users -= 1;
                if *users == 0 {
                    inner.blobs.remove(&hash);
                }
            }
        }
    }

    fn len(&self) -> usize {
        self.lock().blobs.len()
    }

    fn bytes(&self) -> u64 {
        self.lock().blobs.values().map(|(bytes, _)| bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_lives_as_long_as_a_job_names_it() {
        let store = MemoryBlobs::default();
        let (one, two, hash) = (JobId(1), JobId(2), BlobHash([1; 32]));
        store.put(one, hash, Arc::from([1_u8])).unwrap();
        store.put(two, hash, Arc::from([1_u8])).unwrap();
        assert_eq!((store.len(), store.bytes()), (1, 1));
        store.release(one);
        assert!(store.get(hash).is_ok());
        store.release(two);
        assert_eq!(store.get(hash).unwrap_err().kind, ErrorKind::NotFound);
        assert!(store.is_empty());
    }
}

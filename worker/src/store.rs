//! The outputs that a worker holds for readers: in memory as Arrow batches, counted against its one budget; the coldest
//! on disk when memory is short.
//!
//! Owned here: which outputs there are, and which of them goes to disk. The states of one output's blocks are `output`'s,
//! writing is `writer`'s, reading `reading`'s.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use windrow_common::{AttemptId, Counted, Error, ErrorKind, Gauge, JobId, limits};

use crate::budget::Budget;
use crate::eviction;
use crate::output::Output;
use crate::reading::OutputStream;
use crate::reads::ReadNews;
use crate::scratch::Scratch;
use crate::writer::OutputWriter;

/// How a store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Outputs, finished or not.
    pub outputs: u64,
    /// Bytes in memory.
    pub mem_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes ever written to disk.
    pub spilled_bytes: u64,
}

/// The outputs of a worker. Cheap to clone; clones share it. The last one removes the scratch directory, unless somebody
/// has done so before with [`ShuffleStore::remove_files`].
#[derive(Clone, Debug)]
pub struct ShuffleStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    outputs: Mutex<HashMap<AttemptId, Arc<Output>>>,
    /// Outputs that are gone and perhaps still read. Those that nobody reads any more leave with the next.
    leaving: Mutex<Vec<Weak<Output>>>,
    scratch: Arc<Scratch>,
    pub(crate) budget: Budget,
    pub(crate) io: Handle,
    clock: AtomicU64,
    spilled: AtomicU64,
    /// How clients read, for the coordinator.
    read_news: ReadNews,
    /// One eviction at a time: writers wait here, which is what slows them down.
    evicting: tokio::sync::Mutex<()>,
    spiller: Mutex<Option<AbortHandle>>,
    readers: Gauge,
    streams: Gauge,
}

impl ShuffleStore {
    /// A store with a fresh directory inside `scratch`. Disk work runs on the blocking threads of `io`, and so does the
    /// spiller, a task that evicts above the budget's high-water mark; it ends with the store.
    pub fn open(scratch: &Path, budget: Budget, io: Handle) -> Result<Self, Error> {
        let inner = Arc::new(Inner {
            outputs: Mutex::default(),
            leaving: Mutex::default(),
            scratch: Arc::new(Scratch::create(scratch)?),
            budget: budget.clone(),
            io: io.clone(),
            clock: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            read_news: ReadNews::default(),
            evicting: tokio::sync::Mutex::new(()),
            spiller: Mutex::new(None),
            readers: Gauge::default(),
            streams: Gauge::default(),
        });
        let task = io.spawn(spill_under_pressure(Arc::downgrade(&inner), budget));
        *inner.spiller.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(Self { inner })
    }

    /// The budget that its bytes count against.
    pub fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// Where spilled blocks go.
    pub fn scratch(&self) -> &Path {
        self.inner.scratch.path()
    }

    /// How many files lie in the scratch directory, and their bytes. Blocks the thread.
    pub fn files(&self) -> (u64, u64) {
        self.inner.scratch.files()
    }

    /// Removes the scratch directory now: a process that ends does not wait for every last clone.
    pub fn remove_files(&self) {
        if let Err(error) = std::fs::remove_dir_all(self.scratch())
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove {}", self.scratch().display());
        }
    }

    /// Begins the output of an attempt.
    pub fn writer(&self, job: JobId, attempt: AttemptId, partitions: u32) -> Result<OutputWriter, Error> {
        if partitions as usize > limits::MAX_PARTITIONS {
            let limit = limits::MAX_PARTITIONS;
            return Err(Error::new(
                ErrorKind::Limit,
                format!("{partitions} partitions exceed MAX_PARTITIONS ({limit})"),
            ));
        }
        let output = Arc::new(Output::new(job, attempt, partitions, self.inner.budget.clone(), self.inner.tick()));
        let mut outputs = self.inner.outputs();
        if outputs.contains_key(&attempt) {
            return Err(Error::internal(format!("{attempt} has an output already")));
        }
        outputs.insert(attempt, Arc::clone(&output));
        Ok(OutputWriter::new(Arc::clone(&self.inner), output))
    }

    /// The batches of these partitions, in order. A missing or unfinished output is a lost input.
    pub fn read(&self, attempt: AttemptId, partitions: Range<u32>) -> Result<OutputStream, Error> {
        let lost =
            |why: &str| Error::new(ErrorKind::LostInput(vec![attempt]), format!("the output of {attempt} {why}"));
        let output = self.inner.outputs().get(&attempt).map(Arc::clone);
        let output = output.ok_or_else(|| lost("is not held by this worker"))?;
        if !output.is_finished() {
            return Err(lost("is not finished"));
        }
        let count = output.partitions();
        if partitions.end > count {
            return Err(Error::internal(format!(
                "partitions {partitions:?} of {attempt} were asked for; it has {count}"
            )));
        }
        output.touch(self.inner.tick());
        let counted = self.inner.readers.enter();
        Ok(OutputStream::new(output, partitions, self.inner.budget.clone(), self.inner.io.clone(), counted))
    }

    /// A stream to another process begins; it is counted until what is given is dropped.
    pub fn serving(&self) -> Counted {
        self.inner.streams.enter()
    }

    /// Outputs being read, by this process and for others.
    pub fn readers(&self) -> u64 {
        self.inner.readers.get()
    }

    /// Streams to other processes.
    pub fn streams(&self) -> u64 {
        self.inner.streams.get()
    }

    /// Forgets these outputs. Readers that have begun go on; the bytes are given back with the last of them.
    pub fn free(&self, attempts: &[AttemptId]) {
        for attempt in attempts {
            self.inner.free(*attempt);
        }
    }

    /// Forgets all outputs of a job. Clients' own streams of them end, also of those that were forgotten before.
    pub fn forget_job(&self, job: JobId) {
        let attempts: Vec<AttemptId> =
            self.inner.outputs().values().filter(|output| output.job == job).map(|output| output.attempt).collect();
        self.free(&attempts);
        let leaving = self.inner.leaving();
        leaving.iter().filter(|output| output.job == job).for_each(|output| output.forgotten.cancel());
    }

    /// The attempts whose outputs are finished and held, in order.
    pub fn held(&self) -> Vec<AttemptId> {
        let outputs: Vec<Arc<Output>> = self.inner.outputs().values().map(Arc::clone).collect();
        let mut held: Vec<_> = outputs.iter().filter(|output| output.is_finished()).map(|o| o.attempt).collect();
        held.sort();
        held
    }

    /// News of how clients read outputs by themselves.
    pub(crate) fn read_news(&self) -> &ReadNews {
        &self.inner.read_news
    }

    /// Makes news of all reading once more, for a coordinator that may have missed some.
    pub(crate) fn tell_reads_again(&self) {
        let mut outputs: Vec<Arc<Output>> = self.inner.outputs().values().map(Arc::clone).collect();
        outputs.extend(self.inner.leaving());
        outputs.iter().for_each(|output| output.reads.tell_again(&self.inner.read_news));
    }

    /// How it stands.
    pub fn stats(&self) -> StoreStats {
        let outputs: Vec<Arc<Output>> = self.inner.outputs().values().map(Arc::clone).collect();
        let mut stats =
            StoreStats { spilled_bytes: self.inner.spilled.load(Ordering::Relaxed), ..StoreStats::default() };
        for output in outputs {
            let weight = output.weight();
            stats.outputs += 1;
            stats.mem_bytes += weight.memory;
            stats.disk_bytes += weight.spilled;
        }
        stats
    }
}

impl Inner {
    fn outputs(&self) -> MutexGuard<'_, HashMap<AttemptId, Arc<Output>>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next reading of the logical clock by which outputs are cold or warm.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn free(&self, attempt: AttemptId) {
        let output = self.outputs().remove(&attempt);
        if let Some(output) = output {
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            leaving.retain(|output| output.strong_count() > 0);
            leaving.push(Arc::downgrade(&output));
            drop(leaving);
            output.free();
        }
    }

    /// Outputs that are gone and still read.
    fn leaving(&self) -> Vec<Arc<Output>> {
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.iter().filter_map(Weak::upgrade).collect()
    }

    /// Moves the coldest outputs to disk until `excess` says that nothing is too much, or nothing is left to move.
    pub(crate) async fn evict_while(&self, excess: impl Fn(&Budget) -> u64) -> Result<(), Error> {
        let _turn = self.evicting.lock().await;
        loop {
            let want = excess(&self.budget);
            if want == 0 {
                return Ok(());
            }
            let Some((output, evictable)) = self.coldest() else { return Ok(()) };
            self.evict(output, want.min(evictable)).await?;
        }
    }

    fn coldest(&self) -> Option<(Arc<Output>, u64)> {
        let outputs: Vec<Arc<Output>> = self.outputs().values().map(Arc::clone).collect();
        outputs
            .into_iter()
            .map(|output| (output.weight(), output))
            .filter(|(weight, _)| weight.evictable > 0)
            .min_by_key(|(weight, output)| (weight.touched, output.attempt))
            .map(|(weight, output)| (output, weight.evictable))
    }

    async fn evict(&self, output: Arc<Output>, want: u64) -> Result<(), Error> {
        let scratch = Arc::clone(&self.scratch);
        let work = self.io.spawn_blocking(move || {
            let before = output.weight().spilled;
            let result = eviction::evict(&output, &scratch, want);
            (output.weight().spilled.saturating_sub(before), result)
        });
        match work.await {
            Ok((bytes, result)) => {
                self.spilled.fetch_add(bytes, Ordering::Relaxed);
                result
            }
            Err(error) if error.is_cancelled() => Err(Error::cancelled()),
            Err(error) => Err(Error::internal(format!("spilling failed: {error}"))),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.spiller.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// Evicts above the high-water mark whenever the budget says so.
async fn spill_under_pressure(store: Weak<Inner>, budget: Budget) {
    loop {
        budget.pressure().await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.evict_while(Budget::above_high_water).await {
            tracing::warn!(%error, "outputs could not be spilled; trying again later");
            drop(store);
            tokio::time::sleep(limits::RETRY_BACKOFF_MAX).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use windrow_common::ByteSize;

    use super::*;

    #[tokio::test]
    async fn clients_streams_outlive_a_freed_output_unless_strict_and_never_its_job() {
        let scratch = tempfile::tempdir().unwrap();
        let store = ShuffleStore::open(scratch.path(), Budget::new(ByteSize::mib(16)), Handle::current()).unwrap();
        store.writer(JobId(1), AttemptId(2), 1).unwrap().finish().await.unwrap();
        let rows = store.read(AttemptId(2), 0..1).unwrap();
        let (strict, lenient) = (rows.over(true), rows.over(false));
        store.free(&[AttemptId(2)]);
        assert!(strict.is_cancelled() && !lenient.is_cancelled());
        store.forget_job(JobId(9));
        assert!(!lenient.is_cancelled());
        store.forget_job(JobId(1));
        assert!(lenient.is_cancelled());
    }
}

//! A large result that clients read from the workers themselves, part by part. Owned here: which parts there are, how the
//! reading of each stands, and reading a part on behalf of a client that cannot reach its worker.
//!
//! ```text
//!   offered ─► a part is begun ⇄ broken off ─► read to its end ─┐ all parts: the job is released
//!        └────────── nobody reads for TICKET_PATIENCE ──────────┘
//! ```
//!
//! A part is the output of one task of the last stage. Workers say how reading there stands, through the driver; what is
//! read here is counted here. Not here: tickets, and how rows leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use windrow_common::protocol::DirectReads;
use windrow_common::{AttemptId, Determinism, Error, ErrorKind, Gauge, JobId, Location, Result, WorkerId, limits};
use windrow_control::Outcome;
use windrow_engine::exchange::ExchangeSource;

use crate::driver::{Input, JobState, Ready};
use crate::results::{Ended, ResultReader, ResultShape};

/// Batches that wait for a slow client.
const BATCH_QUEUE: usize = 4;

/// A result that is offered to be read part by part. Cheap to clone.
#[derive(Clone)]
pub struct DirectResult {
    inner: Arc<Inner>,
}

struct Inner {
    job: JobId,
    shape: ResultShape,
    /// Where the parts were when they were offered: what tickets name.
    offered: Arc<Vec<Location>>,
    parts: watch::Sender<Vec<Part>>,
    circumstances: Circumstances,
}

/// What reading needs of a coordinator.
pub(crate) struct Circumstances {
    pub source: Arc<dyn ExchangeSource>,
    pub inputs: mpsc::Sender<Input>,
    pub state: watch::Receiver<JobState>,
    pub tasks: TaskTracker,
    /// Counts the reads by this coordinator.
    pub reads: Gauge,
}

/// How workers say that clients read outputs there.
type Told = BTreeMap<AttemptId, (WorkerId, DirectReads)>;

/// How the reading of one part stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    /// Reads by this coordinator under way.
    running: u32,
    /// Somebody has read it to its end.
    complete: bool,
    /// The attempt whose rows somebody has begun to read.
    begun: Option<AttemptId>,
}

/// How reading stands, all parts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Parts are left, and nobody reads.
    Idle,
    /// Somebody reads.
    Busy,
    /// Every part was read to its end.
    Complete,
}

impl std::fmt::Debug for DirectResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DirectResult({} parts of {})", self.inner.offered.len(), self.inner.job)
    }
}

impl DirectResult {
    pub(crate) fn new(job: JobId, shape: ResultShape, ready: &Ready, circumstances: Circumstances) -> Self {
        let parts = watch::Sender::new(vec![Part::default(); ready.locations.len()]);
        let offered = Arc::clone(&ready.locations);
        Self { inner: Arc::new(Inner { job, shape, offered, parts, circumstances }) }
    }

    /// The job that made it.
    pub fn job(&self) -> JobId {
        self.inner.job
    }

    /// The columns, as the engine makes them.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.shape.schema
    }

    /// Partitions of each part.
    pub fn partitions(&self) -> u32 {
        self.inner.shape.partitions
    }

    /// Whether a part that was made again must not stand beside what was read of others, or of itself, before.
    pub fn is_strict(&self) -> bool {
        self.inner.shape.determinism == Determinism::Indeterminate
    }

    /// Where the parts were when they were offered, in the order of the rows.
    pub fn locations(&self) -> &[Location] {
        &self.inner.offered
    }

    /// Reads one part from wherever it is by now; if it is lost, it is made again. Dropping the read ends it.
    pub fn read(&self, part: usize) -> Result<PartRead> {
        let mut answer = Err(Error::user(format!("the result has no part {part}")));
        self.change(part, |state| {
            answer = match state.running {
                _ if state.complete => Err(fetched()),
                running if running >= limits::DIRECT_READS_PER_PART => Err(crowded(running)),
                _ => Ok(()),
            };
            state.running += u32::from(answer.is_ok());
        });
        answer?;
        let reading = Reading { result: self.clone(), part };
        let (sender, batches) = mpsc::channel(BATCH_QUEUE);
        let (result, counted) = (self.clone(), self.inner.circumstances.reads.enter());
        let task = self.inner.circumstances.tasks.spawn(async move {
            // A client that takes nothing is not counted any more when its job has ended.
            let last = result.run(part, &sender).await;
            drop(counted);
            // A client that has gone away needs no answer.
            let _ = sender.send(last).await;
        });
        Ok(PartRead { batches, reading, _task: AbortOnDropHandle::new(task) })
    }

    /// For those who wait for news of what [`Self::standing`] says.
    pub(crate) fn watch(&self) -> watch::Receiver<Vec<Part>> {
        self.inner.parts.subscribe()
    }

    /// Takes in what workers say, and says how reading stands.
    pub(crate) fn standing(&self, told: &Told) -> Standing {
        let reads = |location: &Location| told.get(&location.attempt).map(|(_, reads)| *reads);
        self.inner.parts.send_if_modified(|parts| {
            let mut changed = false;
            for (part, location) in parts.iter_mut().zip(self.inner.offered.iter()) {
                let Some(reads) = reads(location) else { continue };
                changed |= (reads.complete && !part.complete) || part.begun.is_none();
                part.complete |= reads.complete;
                part.begun.get_or_insert(location.attempt);
            }
            changed
        });
        let parts = self.inner.parts.borrow();
        if parts.iter().all(|part| part.complete) {
            return Standing::Complete;
        }
        let elsewhere = self.inner.offered.iter().filter_map(reads).any(|reads| reads.running > 0);
        if elsewhere || parts.iter().any(|part| part.running > 0) { Standing::Busy } else { Standing::Idle }
    }

    fn change(&self, part: usize, change: impl FnOnce(&mut Part)) {
        self.inner.parts.send_modify(|parts| {
            if let Some(part) = parts.get_mut(part) {
                change(part);
            }
        });
    }

    async fn run(self, part: usize, sender: &mpsc::Sender<Result<Option<RecordBatch>>>) -> Result<Option<RecordBatch>> {
        let read = tokio::select! {
            biased;
            // With the job its outputs go. A reader that has begun would find them all the same.
            error = self.ended() => Err(error),
            read = self.read_through(part, sender) => read,
        };
        read.map(|()| None)
    }

    async fn read_through(&self, part: usize, sender: &mpsc::Sender<Result<Option<RecordBatch>>>) -> Result<()> {
        let Circumstances { source, inputs, .. } = &self.inner.circumstances;
        let mut reader = ResultReader::new(Arc::clone(source), self.inner.shape.clone());
        let (mut seen, mut attempt) = (None, None);
        loop {
            let (ready, reads) = self.ready(seen).await?;
            seen = Some(ready.number);
            let location = ready.locations.get(part);
            let location = location.ok_or_else(|| Error::internal("a result has fewer parts than were offered"))?;
            // What clients read from workers meanwhile counts too, whoever looks first.
            self.standing(&reads);
            self.begin(part, attempt, &ready.locations)?;
            attempt = Some(location.attempt);
            match reader.read(std::slice::from_ref(location), sender).await? {
                Ended::Complete => return Ok(()),
                Ended::Lost(attempts) => {
                    let lost = Input::OutputsLost { job: self.inner.job, attempts };
                    inputs.send(lost).await.map_err(|_| gone())?;
                }
                Ended::Unwanted => return Err(Error::cancelled()),
            }
        }
    }

    /// Notes which attempt is read from now on. Rows of an `Indeterminate` result that were made again must not stand
    /// beside those that they replace: neither those of other parts that were begun, nor those of this part that others
    /// read or have read. `mine` is what this read had begun before; it has handed on nothing of it.
    fn begin(&self, part: usize, mine: Option<AttemptId>, locations: &[Location]) -> Result<()> {
        let strict = self.is_strict();
        let mut mixed = false;
        self.inner.parts.send_modify(|parts| {
            mixed = strict
                && parts.iter().zip(locations).enumerate().any(|(other, (state, now))| {
                    // Nobody but this read has rows of the part: it may begin anew.
                    let alone = other == part && !state.complete && state.running <= 1 && state.begun == mine;
                    state.begun.is_some_and(|attempt| attempt != now.attempt) && !alone
                });
            // What was begun stays so for those who ask next: they get the same error.
            if let Some(state) = parts.get_mut(part).filter(|_| !mixed) {
                state.begun = locations.get(part).map(|location| location.attempt);
            }
        });
        if !mixed {
            return Ok(());
        }
        Err(Error::io(
            "a part of the result was lost after other parts were read, and running it again could give rows that do \
             not belong to them; run the statement again",
        ))
    }

    /// The places of the parts, once they are others than those with this number, and what workers say of reads there.
    async fn ready(&self, seen: Option<u64>) -> Result<(Ready, Arc<Told>)> {
        let mut state = self.inner.circumstances.state.clone();
        let news = |state: &JobState| state.ready.as_ref().is_some_and(|ready| Some(ready.number) != seen);
        let state = state.wait_for(news).await.map_err(|_| gone())?;
        let ready = state.ready.clone().ok_or_else(|| Error::internal("a result is ready and lies nowhere"))?;
        Ok((ready, Arc::clone(&state.reads)))
    }

    /// Returns when the job has ended.
    async fn ended(&self) -> Error {
        let mut state = self.inner.circumstances.state.clone();
        let Ok(state) = state.wait_for(|state| state.ended.is_some()).await else { return gone() };
        match &state.ended {
            Some((Outcome::Failed(error), _)) => error.clone(),
            Some((Outcome::Completed, _)) => fetched(),
            Some((Outcome::Cancelled, _)) | None => Error::cancelled(),
        }
    }
}

/// A part that is being read by this coordinator. Dropping it breaks the read off; it may be tried again.
#[derive(Debug)]
pub struct PartRead {
    batches: mpsc::Receiver<Result<Option<RecordBatch>>>,
    reading: Reading,
    _task: AbortOnDropHandle<()>,
}

impl PartRead {
    /// The next rows; none after the last.
    #[expect(clippy::should_implement_trait, reason = "it is awaited, and no iterator")]
    pub fn next(&mut self) -> BoxFuture<'_, Result<Option<RecordBatch>>> {
        Box::pin(async {
            let crashed = || Err(Error::internal("the task that reads a part of a result has failed"));
            self.batches.recv().await.unwrap_or_else(crashed)
        })
    }

    /// The client has every row: nobody will ask for the part again.
    pub fn complete(self) {
        self.reading.result.change(self.reading.part, |part| part.complete = true);
    }
}

/// Counts a read for as long as it is under way.
#[derive(Debug)]
struct Reading {
    result: DirectResult,
    part: usize,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.result.change(self.part, |part| part.running -= 1);
    }
}

fn fetched() -> Error {
    let text = "this part of the answer was fetched, and a ticket is good for one fetch to its end";
    Error::new(ErrorKind::NotFound, text)
}

fn crowded(running: u32) -> Error {
    let text =
        format!("{running} readers fetch this part of the answer already, which is the limit (DIRECT_READS_PER_PART)");
    Error::new(ErrorKind::Limit, text)
}

fn gone() -> Error {
    Error::unavailable("the coordinator is shutting down")
}

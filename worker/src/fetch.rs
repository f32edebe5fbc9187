//! What a running attempt reads: outputs of this very worker from the store, the same buffers; small contents that rode
//! in reports; everything else from other workers, one call each, its bytes counted against the budget.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use windrow_common::{AttemptId, Error, ErrorKind, Incarnation, Location, WorkerId};
use windrow_engine::exchange::block;
use windrow_engine::exchange::client::{Admitted, Credit, Producers, RemoteExchange, inline_batches, into_sendable};
use windrow_engine::exchange::{ExchangeSource, ReadRequest};

use crate::budget::{Budget, Share};
use crate::store::ShuffleStore;

/// The exchanges as a worker reads them, or one of its attempts. Clones share connections.
#[derive(Clone, Debug)]
pub struct WorkerExchange {
    worker: WorkerId,
    incarnation: Incarnation,
    store: ShuffleStore,
    remote: RemoteExchange,
    meter: Arc<Meter>,
}

impl WorkerExchange {
    /// For a worker in one of its lives: its own outputs come from `store`, others' over connections that live on `io`.
    pub fn new(worker: WorkerId, incarnation: Incarnation, store: ShuffleStore, budget: Budget, io: Handle) -> Self {
        let meter = Arc::new(Meter { budget, fetched: Arc::default() });
        Self { worker, incarnation, store, remote: RemoteExchange::new(io), meter }
    }

    /// For one attempt: `fetched` grows by every byte that it gets from another process.
    #[must_use]
    pub fn for_attempt(&self, fetched: Arc<AtomicU64>) -> Self {
        let meter = Arc::new(Meter { budget: self.meter.budget.clone(), fetched });
        Self { meter, ..self.clone() }
    }

    /// How many calls to other workers are being read.
    pub fn calls(&self) -> u64 {
        self.remote.calls()
    }

    fn is_here(&self, location: &Location) -> bool {
        location.worker == self.worker && location.incarnation == self.incarnation
    }
}

impl ExchangeSource for WorkerExchange {
    fn read(&self, request: ReadRequest) -> SendableRecordBatchStream {
        let ReadRequest { producers, partitions, schema } = request;
        let (inline, held): (Vec<_>, Vec<_>) = producers.into_iter().partition(|l| l.inline.is_some());
        let (here, elsewhere): (Vec<_>, Vec<_>) = held.into_iter().partition(|l| self.is_here(l));
        let attempts: Vec<AttemptId> = here.iter().map(|l| l.attempt).collect();
        let local = local_batches(&self.store, &attempts, &partitions, Arc::clone(&schema));
        let groups = Producers::group(&elsewhere);
        let credit = Arc::clone(&self.meter) as Arc<dyn Credit>;
        let remote = self.remote.fetch_all(groups, partitions, Arc::clone(&schema), credit);
        let own = inline_batches(Arc::clone(&schema), inline).chain(local);
        into_sendable(schema, stream::select(own, remote))
    }
}

/// The batches of these outputs of this worker. Opened at once, so that a later free does not take them away; every one
/// that is missing is named.
fn local_batches(
    store: &ShuffleStore,
    attempts: &[AttemptId],
    partitions: &Range<u32>,
    schema: SchemaRef,
) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + use<> {
    let mut opened = VecDeque::new();
    let mut failed: Option<Error> = None;
    for attempt in attempts {
        match (store.read(*attempt, partitions.clone()), &mut failed) {
            (Ok(stream), _) => opened.push_back(stream),
            (Err(error), None) => failed = Some(error),
            (Err(error), Some(first)) => {
                if let (ErrorKind::LostInput(all), ErrorKind::LostInput(more)) = (&mut first.kind, error.kind) {
                    all.extend(more);
                }
            }
        }
    }
    if failed.is_some() {
        opened.clear();
    }
    let batches = stream::iter(opened).flatten();
    stream::iter(failed.map(Err)).chain(batches.map(move |item| {
        let (_, batch) = item?;
        Ok(block::conform(batch, &schema)?)
    }))
}

/// Counts what is fetched, and charges it while it waits.
#[derive(Debug)]
struct Meter {
    budget: Budget,
    fetched: Arc<AtomicU64>,
}

impl Credit for Meter {
    fn try_admit(&self, bytes: u64) -> Option<Admitted> {
        let charge = self.budget.try_charge(Share::Fetch, bytes, "a block that arrived").ok()?;
        self.fetched.fetch_add(bytes, Ordering::Relaxed);
        Some(Admitted::new(charge))
    }

    fn admit(&self, bytes: u64) -> Admitted {
        self.fetched.fetch_add(bytes, Ordering::Relaxed);
        Admitted::new(self.budget.charge(Share::Fetch, bytes))
    }
}

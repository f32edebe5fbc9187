//! Reads blocks from other processes.
//!
//! ```text
//!   io runtime                                            whoever polls (a CPU runtime)
//!   driver ─┬─ fetch endpoint A ─┐
//!           ├─ fetch endpoint B ─┼─► bounded channel ──►  RemoteStream: checks, decodes
//!           └─ …FETCH_STREAMS    ┘                        dropping it stops everything left of here
//! ```
//!
//! Owned here: what is fetched from where, how many at once, that a stream is whole or an error. `channels` owns the
//! connections, `fetch` a single call and its retries. Not here: memory budgets; their owner lends a [`Credit`].

mod channels;
mod fetch;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use windrow_common::{AttemptId, Error, ErrorKind, Gauge, Location, limits};

use self::channels::Channels;
use self::fetch::Fetch;
use super::block::{self, Block, Compression};
use super::{ExchangeSource, ReadRequest};
use crate::error::external;

/// Lends memory to blocks that have arrived and wait to be read.
pub trait Credit: fmt::Debug + Send + Sync {
    /// Room for a block of this size, if there is any; also counts it as fetched.
    fn try_admit(&self, bytes: u64) -> Option<Admitted>;
    /// Room for a block of this size at any rate. Asked for only when nothing else of the same stream waits, so that
    /// every stream makes progress; also counts it as fetched.
    fn admit(&self, bytes: u64) -> Admitted;
}

/// Room lent to one block; given back when dropped.
#[derive(Default)]
pub struct Admitted(Option<Box<dyn Any + Send>>);

impl Admitted {
    /// Room that is given back by dropping `charge`.
    pub fn new(charge: impl Any + Send) -> Self {
        Self(Some(Box::new(charge)))
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admitted").field(&self.0.is_some()).finish()
    }
}

/// Credit of those who keep no budget: only the bounded queues hold blocks back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmetered;

impl Credit for Unmetered {
    fn try_admit(&self, _bytes: u64) -> Option<Admitted> {
        Some(Admitted::default())
    }

    fn admit(&self, _bytes: u64) -> Admitted {
        Admitted::default()
    }
}

/// Outputs that are read from one endpoint, in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producers {
    /// `host:port`.
    pub endpoint: String,
    /// The outputs: attempt, and the task that people know it by.
    pub outputs: Vec<(AttemptId, u32)>,
}

impl Producers {
    /// The locations grouped by endpoint.
    pub fn group<'a>(locations: impl IntoIterator<Item = &'a Location>) -> Vec<Producers> {
        let mut groups: BTreeMap<&str, Vec<(AttemptId, u32)>> = BTreeMap::new();
        for location in locations {
            groups.entry(&location.endpoint).or_default().push((location.attempt, location.task));
        }
        let group = |(endpoint, outputs): (&str, _)| Producers { endpoint: endpoint.to_owned(), outputs };
        groups.into_iter().map(group).collect()
    }

    fn attempts(&self) -> Vec<AttemptId> {
        self.outputs.iter().map(|(attempt, _)| *attempt).collect()
    }
}

/// Reads from other processes, over one kept connection to each.
#[derive(Clone, Debug)]
pub struct RemoteExchange {
    io: Handle,
    channels: Channels,
    compression: Compression,
    calls: Gauge,
}

impl RemoteExchange {
    /// Connections and fetching tasks live on the runtime behind `io`.
    pub fn new(io: Handle) -> Self {
        Self { channels: Channels::new(io.clone()), io, compression: Compression::None, calls: Gauge::default() }
    }

    /// How many calls to others are being read, by this and all of its clones.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// The same with blocks compressed by the sender. Off by default: it pays only on slow networks.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// All batches of these partitions of these outputs of one endpoint.
    pub fn fetch(
        &self,
        endpoint: &str,
        outputs: Vec<(AttemptId, u32)>,
        partitions: Range<u32>,
        schema: SchemaRef,
    ) -> SendableRecordBatchStream {
        let groups = vec![Producers { endpoint: endpoint.to_owned(), outputs }];
        let stream = self.fetch_all(groups, partitions, Arc::clone(&schema), Arc::new(Unmetered));
        into_sendable(schema, stream)
    }

    /// All batches of these partitions of these outputs, at most [`limits::FETCH_STREAMS`] endpoints at once. Nothing
    /// is fetched before the stream is first polled.
    pub fn fetch_all(
        &self,
        mut groups: Vec<Producers>,
        partitions: Range<u32>,
        schema: SchemaRef,
        credit: Arc<dyn Credit>,
    ) -> RemoteStream {
        if !groups.is_empty() {
            // Readers of different partitions begin with different workers.
            let first = partitions.start as usize % groups.len();
            groups.rotate_left(first);
        }
        let layout = block::layout(&schema);
        let start = Start { remote: self.clone(), groups, partitions, layout, credit };
        RemoteStream { schema, state: State::Idle(Box::new(start)) }
    }
}

/// What crosses the channel.
#[derive(Debug)]
enum Arrival {
    Block {
        attempt: AttemptId,
        task: u32,
        block: Block,
        admitted: Admitted,
    },
    /// Every endpoint has sent everything. A channel that closes without it was cut.
    Done,
}

/// Batches from other processes: every one of them, or an error.
#[derive(Debug)]
pub struct RemoteStream {
    schema: SchemaRef,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Start>),
    Running { arrivals: mpsc::Receiver<Result<Arrival, Error>>, driver: AbortHandle },
    Ended,
}

#[derive(Debug)]
struct Start {
    remote: RemoteExchange,
    groups: Vec<Producers>,
    partitions: Range<u32>,
    layout: u32,
    credit: Arc<dyn Credit>,
}

impl RemoteStream {
    fn end(&mut self) {
        if let State::Running { driver, .. } = std::mem::replace(&mut self.state, State::Ended) {
            driver.abort();
        }
    }

    fn take(&mut self, arrival: Option<Result<Arrival, Error>>) -> Option<Result<RecordBatch, Error>> {
        match arrival {
            Some(Ok(Arrival::Block { attempt, task, block, admitted })) => {
                let decoded = block::decode(&self.schema, &block);
                drop(admitted);
                if decoded.is_err() {
                    self.end();
                }
                Some(decoded.map_err(|e| damaged(attempt, task, &e)))
            }
            Some(Ok(Arrival::Done)) => {
                self.end();
                None
            }
            Some(Err(error)) => {
                self.end();
                Some(Err(error))
            }
            None => {
                self.end();
                Some(Err(Error::internal("the tasks that fetch an exchange ended before all of it was there")))
            }
        }
    }
}

fn damaged(attempt: AttemptId, task: u32, error: &block::BlockError) -> Error {
    let message = format!("a block of task {task} ({attempt}) arrived damaged: {error}");
    Error::new(ErrorKind::LostInput(vec![attempt]), message)
}

impl Stream for RemoteStream {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let State::Idle(_) = this.state
            && let State::Idle(start) = std::mem::replace(&mut this.state, State::Ended)
        {
            this.state = start.run();
        }
        match &mut this.state {
            State::Idle(_) | State::Ended => Poll::Ready(None),
            State::Running { arrivals, .. } => {
                let arrival = std::task::ready!(arrivals.poll_recv(context));
                Poll::Ready(this.take(arrival))
            }
        }
    }
}

impl Drop for RemoteStream {
    fn drop(&mut self) {
        self.end();
    }
}

impl Start {
    fn run(self: Box<Self>) -> State {
        if self.groups.is_empty() || self.partitions.is_empty() {
            return State::Ended;
        }
        let (sender, arrivals) = mpsc::channel(limits::FETCH_QUEUE);
        let io = self.remote.io.clone();
        State::Running { arrivals, driver: io.spawn(self.drive(sender)).abort_handle() }
    }

    /// Runs the calls, some at once, and says when all are done. Dropping it (an abort) drops the set and its tasks.
    async fn drive(self: Box<Self>, sender: mpsc::Sender<Result<Arrival, Error>>) {
        let mut waiting = self.groups.iter();
        let mut calls = JoinSet::new();
        let end = loop {
            while calls.len() < limits::FETCH_STREAMS
                && let Some(group) = waiting.next()
            {
                calls.spawn(self.call(group.clone()).run(sender.clone()));
            }
            match calls.join_next().await {
                None => break Ok(Arrival::Done),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => break Err(error),
                Some(Err(error)) => break Err(Error::internal(format!("a fetching task failed: {error}"))),
            }
        };
        // A reader that is gone needs no answer.
        let _ = sender.send(end).await;
    }

    fn call(&self, producers: Producers) -> Fetch {
        Fetch {
            channels: self.remote.channels.clone(),
            producers,
            partitions: self.partitions.clone(),
            layout: self.layout,
            compression: self.remote.compression,
            credit: Arc::clone(&self.credit),
            _counted: self.remote.calls.enter(),
        }
    }
}

/// A stream of ours as DataFusion wants it.
pub fn into_sendable(
    schema: SchemaRef,
    stream: impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, stream.map_err(external)))
}

/// The batches of outputs that rode in their producers' reports. Such outputs are always read whole.
pub fn inline_batches(
    schema: SchemaRef,
    locations: Vec<Location>,
) -> impl Stream<Item = Result<RecordBatch, Error>> + Send {
    stream::iter(locations).flat_map(move |location| {
        let contents = location.inline.unwrap_or_default();
        let batches = block::decode_inline(&schema, &contents);
        stream::iter(match batches {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(damaged(location.attempt, location.task, &error))],
        })
    })
}

/// The source of those who hold no outputs themselves: reads contents that rode in reports, and other processes.
#[derive(Clone, Debug)]
pub struct RemoteOnly {
    remote: RemoteExchange,
}

impl RemoteOnly {
    /// A source over these connections.
    pub fn new(remote: RemoteExchange) -> Self {
        Self { remote }
    }
}

impl ExchangeSource for RemoteOnly {
    fn read(&self, request: ReadRequest) -> SendableRecordBatchStream {
        let ReadRequest { producers, partitions, schema } = request;
        let (inline, remote): (Vec<_>, Vec<_>) = producers.into_iter().partition(|l| l.inline.is_some());
        let groups = Producers::group(&remote);
        let fetched = self.remote.fetch_all(groups, partitions, Arc::clone(&schema), Arc::new(Unmetered));
        into_sendable(Arc::clone(&schema), inline_batches(schema, inline).chain(fetched))
    }
}

//! A store, a server and a reader in one process, and a fake server that says what it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use windrow_common::time::{Clock, Timestamp};
use windrow_common::{AttemptId, ByteSize, Error, Incarnation, JobId, Location, WorkerId};
use windrow_engine::exchange::{ExchangeSource, ReadRequest};
use windrow_proto::exchange as wire;
use windrow_worker::budget::Budget;
use windrow_worker::fetch::WorkerExchange;
use windrow_worker::server;
use windrow_worker::store::ShuffleStore;

pub const JOB: JobId = JobId(7);

/// A store with its own budget and scratch directory.
pub struct World {
    pub store: ShuffleStore,
    pub budget: Budget,
    pub parent: TempDir,
}

impl World {
    pub fn new(bytes: u64) -> Self {
        let parent = TempDir::new().unwrap();
        let budget = Budget::new(ByteSize(bytes));
        let store = ShuffleStore::open(parent.path(), budget.clone(), Handle::current()).unwrap();
        Self { store, budget, parent }
    }

    /// Writes an output with these batches and finishes it.
    pub async fn output(&self, attempt: u128, partitions: u32, batches: &[(u32, RecordBatch)]) -> AttemptId {
        let attempt = AttemptId(attempt);
        let mut writer = self.store.writer(JOB, attempt, partitions).unwrap();
        for (partition, batch) in batches {
            writer.push(*partition, batch.clone()).await.unwrap();
        }
        writer.finish().await.unwrap();
        attempt
    }

    /// Serves the store on loopback.
    pub async fn serve(&self) -> Server {
        let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server::serve(listener, self.store.clone(), Handle::current(), stop));
        Server { endpoint, task: task.abort_handle() }
    }

    /// A reader that is worker 1 in its first life.
    pub fn exchange(&self) -> WorkerExchange {
        WorkerExchange::new(WorkerId(1), Incarnation(1), self.store.clone(), self.budget.clone(), Handle::current())
    }

    pub async fn read(
        &self,
        attempt: AttemptId,
        partitions: std::ops::Range<u32>,
    ) -> Result<Vec<(u32, RecordBatch)>, Error> {
        self.store.read(attempt, partitions)?.try_collect().await
    }

    /// Waits until nothing is charged any more.
    pub async fn drained(&self) {
        until(|| self.budget.used() == 0, || format!("{:?}", self.budget.stats())).await;
    }
}

pub struct Server {
    pub endpoint: String,
    task: tokio::task::AbortHandle,
}

impl Server {
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for a condition, with a deadline.
pub async fn until(condition: impl Fn() -> bool, say: impl Fn() -> String) {
    let clock = Clock::start();
    while !condition() {
        assert!(clock.now().since(Timestamp(0)) < Duration::from_secs(20), "waited too long: {}", say());
        tokio::task::yield_now().await;
    }
}

/// An output on another worker.
pub fn remote(attempt: AttemptId, endpoint: &str) -> Location {
    Location {
        task: 3,
        attempt,
        worker: WorkerId(2),
        incarnation: Incarnation(2),
        endpoint: endpoint.to_owned(),
        inline: None,
    }
}

/// An output on the reading worker itself.
pub fn here(attempt: AttemptId) -> Location {
    Location { worker: WorkerId(1), incarnation: Incarnation(1), ..remote(attempt, "127.0.0.1:1") }
}

/// Everything a source gives, or the typed error at its end.
pub async fn read(
    source: &dyn ExchangeSource,
    producers: Vec<Location>,
    partitions: std::ops::Range<u32>,
    schema: SchemaRef,
) -> Result<Vec<RecordBatch>, Error> {
    let mut stream = source.read(ReadRequest { producers, partitions, schema });
    let mut batches = vec![];
    while let Some(item) = stream.next().await {
        match item {
            Ok(batch) => batches.push(batch),
            Err(error) => {
                assert!(stream.next().await.is_none(), "a stream goes on after its error");
                return Err(typed(&error));
            }
        }
    }
    Ok(batches)
}

/// The error of ours inside DataFusion's.
pub fn typed(error: &datafusion::error::DataFusionError) -> Error {
    match error {
        datafusion::error::DataFusionError::External(inner) => {
            inner.downcast_ref::<Error>().expect("an error of ours").clone()
        }
        other => panic!("not an external error: {other}"),
    }
}

/// A server that answers every call with the next of its scripts.
#[derive(Clone)]
pub struct Fake {
    scripts: Arc<Vec<Vec<Result<wire::FetchResponse, Status>>>>,
    pub calls: Arc<AtomicU32>,
}

impl Fake {
    pub fn new(scripts: Vec<Vec<Result<wire::FetchResponse, Status>>>) -> Self {
        Self { scripts: Arc::new(scripts), calls: Arc::default() }
    }

    pub async fn serve(&self) -> Server {
        let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let service = wire::exchange_server::ExchangeServer::new(self.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let task = tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Server { endpoint, task: task.abort_handle() }
    }
}

#[tonic::async_trait]
impl wire::exchange_server::Exchange for Fake {
    type FetchStream = stream::Iter<std::vec::IntoIter<Result<wire::FetchResponse, Status>>>;

    async fn fetch(&self, _: Request<wire::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) as usize;
        let script = self.scripts[call.min(self.scripts.len() - 1)].clone();
        Ok(Response::new(stream::iter(script)))
    }
}

//! The coordinator as a service: start it, open sessions on it, connect workers to it, stop it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use windrow_common::config::CoordinatorConfig;
use windrow_common::protocol::{ToCoordinator, ToWorker};
use windrow_common::{BlobHash, Epoch, Error, ErrorKind, Result, WorkerId, limits};
use windrow_control::SchedulerConfig;
use windrow_engine::exchange::ExchangeSource;
use windrow_engine::exchange::client::{RemoteExchange, RemoteOnly};
use windrow_engine::plan::cost::ClusterShape;
use windrow_engine::session::Engine;
use windrow_engine::stores::Stores;

use crate::blobs::{BlobStore, MemoryBlobs};
use crate::counting::Gauges;
use crate::driver::{Driver, Input};
use crate::front::Front;
use crate::jobs::Jobs;
use crate::journal::MemoryJournal;
use crate::rpc;
use crate::sessions::Sessions;

/// Inputs that wait for the driver.
const INPUT_QUEUE: usize = 4096;

/// How long a stopping coordinator waits for its statements to end.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// Where results are read from: other processes, unless somebody in this process says otherwise.
pub type ResultSource = Arc<OnceLock<Arc<dyn ExchangeSource>>>;

/// A connected worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Who.
    pub id: WorkerId,
    /// Its process.
    pub pid: u32,
    /// Slots it offers.
    pub slots: u32,
    /// `host:port` of its shuffle server.
    pub endpoint: String,
}

/// What the coordinator's tasks share. Nothing in it is a lock around the scheduler: that belongs to the driver alone.
#[derive(Debug)]
pub(crate) struct Shared {
    pub engine: Arc<Engine>,
    pub blobs: Arc<dyn BlobStore>,
    pub inputs: mpsc::Sender<Input>,
    pub shape: watch::Receiver<ClusterShape>,
    pub planning: tokio::runtime::Handle,
    pub results: ResultSource,
    pub tasks: TaskTracker,
    pub sessions: Arc<Sessions>,
    pub jobs: Jobs,
    pub gauges: Gauges,
    pub shutdown: CancellationToken,
    connections: AtomicU64,
}

impl Shared {
    pub fn result_source(&self) -> Result<Arc<dyn ExchangeSource>> {
        self.results.get().cloned().ok_or_else(|| Error::internal("results are read before there is a way to"))
    }
}

/// Starts coordinators.
#[derive(Debug)]
pub struct Coordinator;

/// Further services on the coordinator's port, made when it starts.
pub type Services = Box<dyn FnOnce(Front) -> tonic::service::Routes + Send>;

/// A running coordinator. It stops when it is shut down or dropped.
#[derive(Debug)]
pub struct CoordinatorHandle {
    shared: Arc<Shared>,
    addr: Option<SocketAddr>,
    shutdown: CancellationToken,
    planning: Option<tokio::runtime::Runtime>,
    driver: Option<tokio::task::JoinHandle<()>>,
    server: Option<tokio::task::JoinHandle<()>>,
    /// Removed with the coordinator, unless the operator named one.
    _warehouse: Option<tempfile::TempDir>,
}

impl Coordinator {
    /// Starts a coordinator that listens for workers and clients.
    pub fn start(config: CoordinatorConfig) -> BoxFuture<'static, Result<CoordinatorHandle>> {
        Box::pin(Self::listen(config, None))
    }

    /// Starts a coordinator with further services beside its own.
    pub fn start_with(config: CoordinatorConfig, services: Services) -> BoxFuture<'static, Result<CoordinatorHandle>> {
        Box::pin(Self::listen(config, Some(services)))
    }

    async fn listen(config: CoordinatorConfig, services: Option<Services>) -> Result<CoordinatorHandle> {
        let listener = tokio::net::TcpListener::bind(config.listen).await.map_err(|e| {
            let hint = if e.kind() == std::io::ErrorKind::AddrInUse {
                "; another process listens there: stop it, or choose another address with --listen"
            } else {
                ""
            };
            Error::new(ErrorKind::Unavailable, format!("cannot listen on {}: {e}{hint}", config.listen))
        })?;
        let addr = listener.local_addr().map_err(|e| Error::io(format!("the listener has no address: {e}")))?;
        let results: ResultSource = Arc::new(OnceLock::new());
        // Results are read from the workers over the network.
        let _ = results.set(Arc::new(RemoteOnly::new(RemoteExchange::new(tokio::runtime::Handle::current()))));
        let mut handle = Self::start_local(config, results)?;
        handle.addr = Some(addr);
        let services = services.map(|services| services(handle.front())).unwrap_or_default();
        let server = rpc::serve(listener, services, Arc::clone(&handle.shared), handle.shutdown.clone());
        handle.server = Some(tokio::spawn(server));
        Ok(handle)
    }

    /// Starts a coordinator that nobody outside of this process can reach. `results` must be set before the first query.
    pub fn start_local(config: CoordinatorConfig, results: ResultSource) -> Result<CoordinatorHandle> {
        let (warehouse, temporary) = match config.warehouse {
            Some(path) => (path, None),
            None => {
                let dir = tempfile::Builder::new()
                    .prefix("windrow-warehouse-")
                    .tempdir()
                    .map_err(|e| Error::io(format!("cannot make a directory for tables: {e}")))?;
                (dir.path().to_owned(), Some(dir))
            }
        };
        let cluster = format!("{:08x}", (Uuid::new_v4().as_u128() >> 96) as u32);
        let stores = Stores::open(&config.stores, config.listen.ip().is_loopback(), None)?;
        let engine = Engine::new(warehouse, cluster, stores)?;
        let planning = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("windrow-plan")
            .thread_stack_size(limits::THREAD_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|e| Error::io(format!("cannot start threads: {e}")))?;
        let blobs: Arc<dyn BlobStore> = Arc::new(MemoryBlobs::default());
        let (inputs, receiver) = mpsc::channel(INPUT_QUEUE);
        let (shape_sender, shape) = watch::channel(ClusterShape { slots: 0, largest: 0 });
        let scheduler = SchedulerConfig {
            epoch: Epoch(1),
            heartbeat_timeout: config.heartbeat_timeout,
            no_worker_patience: config.no_worker_patience,
            ..SchedulerConfig::default()
        };
        let journal = Arc::new(MemoryJournal::default());
        let driver = Driver::new(scheduler, journal, Arc::clone(&blobs), (inputs.clone(), receiver), shape_sender);
        let shutdown = CancellationToken::new();
        let driver = tokio::spawn(driver.run(shutdown.clone()));
        let shared = Arc::new(Shared {
            engine,
            blobs,
            inputs,
            shape,
            planning: planning.handle().clone(),
            results,
            tasks: TaskTracker::new(),
            jobs: Jobs::default(),
            gauges: Gauges::default(),
            sessions: Sessions::new(limits::MAX_SESSIONS, limits::SESSION_IDLE),
            shutdown: shutdown.clone(),
            connections: AtomicU64::new(1),
        });
        shared.tasks.spawn(Arc::clone(&shared.sessions).watch(shutdown.clone()));
        Ok(CoordinatorHandle {
            shared,
            addr: None,
            shutdown,
            planning: Some(planning),
            driver: Some(driver),
            server: None,
            _warehouse: temporary,
        })
    }
}

impl Shared {
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::new(ErrorKind::Unavailable, "the coordinator is shutting down");
        self.inputs.send(Input::Workers { reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Connects a worker: forwards what it says to the driver until its stream or the coordinator ends.
    pub async fn connect_worker<S>(&self, mut messages: S, sender: mpsc::Sender<ToWorker>)
    where
        S: futures::Stream<Item = Result<ToCoordinator>> + Unpin,
    {
        use futures::StreamExt;
        let Some(Ok(hello)) = messages.next().await else { return };
        let ToCoordinator::Hello { worker, incarnation, version, .. } = hello else { return };
        if version != limits::PROTOCOL_VERSION {
            let reason = Error::new(
                ErrorKind::Version,
                format!(
                    "the worker speaks protocol version {version} and the coordinator {}; use the same release for both",
                    limits::PROTOCOL_VERSION
                ),
            );
            let _ = sender.send(ToWorker::Refuse { reason }).await;
            return;
        }
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        if self.inputs.send(Input::Connected { connection, hello, sender: sender.clone() }).await.is_err() {
            return;
        }
        drop(sender);
        while let Some(message) = messages.next().await {
            let message = match message {
                Ok(message) => message,
                Err(error) => {
                    tracing::info!(%worker, %error, "a worker's stream broke");
                    break;
                }
            };
            if self.inputs.send(Input::Message { connection, worker, message }).await.is_err() {
                return;
            }
        }
        let _ = self.inputs.send(Input::Gone { connection, worker, incarnation }).await;
    }
}

impl CoordinatorHandle {
    /// Where it listens; loopback with port 0 for one that does not.
    pub fn addr(&self) -> SocketAddr {
        self.addr.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// What clients may ask of it.
    pub fn front(&self) -> Front {
        Front::new(Arc::clone(&self.shared))
    }

    /// The connected workers.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.shared.workers().await
    }

    /// Waits until at least so many workers are connected.
    pub async fn wait_for_workers(&self, count: usize) -> Result<Vec<WorkerInfo>> {
        let mut shape = self.shared.shape.clone();
        loop {
            shape.borrow_and_update();
            let workers = self.workers().await?;
            if workers.len() >= count {
                return Ok(workers);
            }
            shape.changed().await.map_err(|_| Error::unavailable("the coordinator is shutting down"))?;
        }
    }

    /// A handle through which a worker of this process connects again and again.
    pub fn local_link(&self) -> LocalLink {
        LocalLink { shared: Arc::clone(&self.shared) }
    }

    /// Stops: running statements end, workers are disconnected, temporary tables are removed.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(self.stop())
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.shared.sessions.close_all();
        self.shared.tasks.close();
        if let Some(mut server) = self.server.take() {
            // A client that does not read its answer would keep its connection open for ever.
            if tokio::time::timeout(SHUTDOWN_PATIENCE, &mut server).await.is_err() {
                server.abort();
            }
        }
        if let Some(driver) = self.driver.take() {
            let _ = driver.await;
        }
        // Statements whose rows nobody reads end with their client.
        let _ = tokio::time::timeout(SHUTDOWN_PATIENCE, self.shared.tasks.wait()).await;
        if let Some(planning) = self.planning.take() {
            planning.shutdown_background();
        }
    }
}

impl Drop for CoordinatorHandle {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.shared.sessions.close_all();
        if let Some(planning) = self.planning.take() {
            planning.shutdown_background();
        }
    }
}

/// How workers of this process reach the coordinator.
#[derive(Clone, Debug)]
pub struct LocalLink {
    shared: Arc<Shared>,
}

impl LocalLink {
    /// Connects; returns when the connection has ended.
    pub fn serve(
        self,
        messages: mpsc::Receiver<ToCoordinator>,
        sender: mpsc::Sender<ToWorker>,
    ) -> BoxFuture<'static, ()> {
        let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
        Box::pin(async move { self.shared.connect_worker(futures::StreamExt::map(messages, Ok), sender).await })
    }

    /// The bytes of a blob.
    pub fn blob(&self, hash: BlobHash) -> Result<Arc<[u8]>> {
        self.shared.blobs.get(hash)
    }
}

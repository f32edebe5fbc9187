//! The worker as a service: its shuffle server, its connection to the coordinator, and the loop that carries out what the
//! attempt ledger asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;
use windrow_common::config::{StoreAccess, WorkerConfig};
use windrow_common::protocol::{DirectReads, ToCoordinator};
use windrow_common::time::Clock;
use windrow_common::{AttemptId, Error, Incarnation, JobId, Result, WorkerCounters, WorkerId};
use windrow_control::{AttemptLedger, LedgerAction, LedgerConfig, LedgerEvent};
use windrow_engine::exchange::ExchangeSource;
use windrow_engine::stores::Stores;

use crate::budget::Budget;
use crate::counting::Counting;
use crate::fetch::WorkerExchange;
use crate::link::{Connection, CoordinatorLink, GrpcLink};
use crate::plans::Plans;
use crate::runner::{Ended, Runner};
use crate::server;
use crate::store::ShuffleStore;
use crate::threads::Threads;

/// Ends of attempts that wait for the loop.
const ENDED_QUEUE: usize = 1024;
/// First pause before a lost coordinator is called again; doubles up to the longest.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause before a lost coordinator is called again.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a worker that starts waits for a coordinator that starts at the same time.
const FIRST_CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Starts workers.
#[derive(Debug)]
pub struct Worker;

/// A running worker. Dropping it stops everything it runs.
#[derive(Debug)]
pub struct WorkerHandle {
    id: WorkerId,
    incarnation: Incarnation,
    endpoint: String,
    shutdown: CancellationToken,
    done: Option<oneshot::Receiver<Result<()>>>,
    exchange: WorkerExchange,
    budget: Budget,
    store: ShuffleStore,
    counting: Counting,
    _threads: Threads,
}

impl Worker {
    /// Starts a worker that reaches its coordinator over the network. Fails when no coordinator answers.
    pub fn start(config: WorkerConfig, coordinator: &str) -> BoxFuture<'static, Result<WorkerHandle>> {
        match GrpcLink::new(coordinator) {
            Ok(link) => Self::start_with(config, Arc::new(link)),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    /// Starts a worker over any link.
    pub fn start_with(
        config: WorkerConfig,
        link: Arc<dyn CoordinatorLink>,
    ) -> BoxFuture<'static, Result<WorkerHandle>> {
        Box::pin(Self::start_parts(config, link))
    }

    async fn start_parts(config: WorkerConfig, link: Arc<dyn CoordinatorLink>) -> Result<WorkerHandle> {
        let threads = Threads::start(config.slots)?;
        let (Some(io), Some(cpu)) = (threads.io(), threads.cpu()) else {
            return Err(Error::internal("the worker's threads are gone"));
        };
        let id = WorkerId(Uuid::new_v4().as_u128());
        let incarnation = Incarnation(Uuid::new_v4().as_u128());
        let budget = Budget::new(config.memory);
        let store = ShuffleStore::open(&config.scratch, budget.clone(), io.clone())?;
        let shutdown = CancellationToken::new();
        let listener = server::bind(config.listen).await?;
        let endpoint =
            listener.local_addr().map_err(|e| Error::io(format!("the listener has no address: {e}")))?.to_string();
        let exchange = WorkerExchange::new(id, incarnation, store.clone(), budget.clone(), io.clone());
        let plans = Plans::new(Arc::clone(&link));
        // What statements may name was judged when they were planned.
        let stores = Stores::open(&StoreAccess { allow: vec![], ..config.stores }, true, Some(io.clone()))?;
        let runner = Runner::new(cpu.clone(), plans, store.clone(), budget.clone(), exchange.clone(), stores)?;
        let runner = Arc::new(runner);
        let counting = Counting::new(Arc::clone(&runner), store.clone(), exchange.clone());
        io.spawn(server::serve_beside(counting.routes(), listener, store.clone(), cpu, shutdown.clone()));
        let ledger = AttemptLedger::new(LedgerConfig {
            worker: id,
            incarnation,
            slots: config.slots.max(1),
            memory: config.memory.0,
            endpoint: endpoint.clone(),
            pid: std::process::id(),
        });
        let (ended_sender, ended) = mpsc::channel(ENDED_QUEUE);
        let service = Service {
            incarnation,
            ledger,
            clock: Clock::start(),
            link,
            store: store.clone(),
            runner,
            running: BTreeMap::new(),
            connection: None,
            ended,
            ended_sender,
            turned_away: None,
        };
        let (done_sender, done) = oneshot::channel();
        let (up_sender, up) = oneshot::channel();
        let stop = shutdown.clone();
        io.spawn(async move {
            let _ = done_sender.send(service.run(stop, up_sender).await);
        });
        let stopped = |_| Error::internal("the worker stopped while it was starting");
        up.await.map_err(stopped).and_then(|started| started).inspect_err(|_| store.remove_files())?;
        Ok(WorkerHandle {
            id,
            incarnation,
            endpoint,
            shutdown,
            done: Some(done),
            exchange,
            budget,
            store,
            counting,
            _threads: threads,
        })
    }
}

impl WorkerHandle {
    /// Its identity.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// This life of it.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// `host:port` of its shuffle server.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Reads outputs as this worker would: its own without copying, others' over the network.
    pub fn exchange_source(&self) -> Arc<dyn ExchangeSource> {
        Arc::new(self.exchange.clone())
    }

    /// Its memory.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What it holds for others to read.
    pub fn store(&self) -> &ShuffleStore {
        &self.store
    }

    /// What it runs and holds now. Looks into its scratch directory, and so blocks the thread for a moment.
    pub fn counters(&self) -> WorkerCounters {
        self.counting.now()
    }

    /// Runs until it is shut down or its coordinator turns it away.
    pub async fn run_until_shutdown(&mut self) -> Result<()> {
        match &mut self.done {
            Some(done) => {
                let result = done.await.unwrap_or_else(|_| Err(Error::internal("the worker's loop crashed")));
                self.done = None;
                result
            }
            None => Ok(()),
        }
    }

    /// Stops what runs, says goodbye, removes its files.
    pub async fn shutdown(mut self) {
        self.shutdown.cancel();
        let _ = self.run_until_shutdown().await;
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.store.remove_files();
    }
}

struct Service {
    incarnation: Incarnation,
    ledger: AttemptLedger,
    clock: Clock,
    link: Arc<dyn CoordinatorLink>,
    store: ShuffleStore,
    runner: Arc<Runner>,
    running: BTreeMap<AttemptId, CancellationToken>,
    connection: Option<Connection>,
    ended: mpsc::Receiver<Ended>,
    ended_sender: mpsc::Sender<Ended>,
    turned_away: Option<Error>,
}

enum Next {
    Stop,
    Connection(Connection),
    Event(LedgerEvent),
    Ended(Ended),
    Reads(BTreeMap<AttemptId, (JobId, DirectReads)>),
}

impl Service {
    async fn run(mut self, shutdown: CancellationToken, up: oneshot::Sender<Result<()>>) -> Result<()> {
        match tokio::time::timeout(FIRST_CONNECT_PATIENCE, connect(Arc::clone(&self.link), true)).await {
            Ok(Ok(connection)) => self.connected(connection),
            Ok(Err(error)) => {
                let _ = up.send(Err(error.clone()));
                return Err(error);
            }
            Err(_) => {
                let error = match self.link.connect().await {
                    Ok(_) => Error::unavailable("the coordinator answers too slowly"),
                    Err(error) => error,
                };
                let _ = up.send(Err(error.clone()));
                return Err(error);
            }
        }
        let _ = up.send(Ok(()));
        let mut reconnect = None;
        loop {
            match self.next(&shutdown, &mut reconnect).await {
                Next::Stop => break,
                Next::Connection(connection) => {
                    reconnect = None;
                    self.connected(connection);
                }
                Next::Event(event) => self.handle(event),
                Next::Ended(ended) => self.attempt_ended(ended),
                Next::Reads(news) => self.tell_reads(news),
            }
            if let Some(error) = self.turned_away.take() {
                self.stop_all().await;
                return Err(error);
            }
        }
        self.handle(LedgerEvent::Leaving);
        self.stop_all().await;
        Ok(())
    }

    async fn next(
        &mut self,
        shutdown: &CancellationToken,
        reconnect: &mut Option<tokio::task::JoinHandle<Result<Connection>>>,
    ) -> Next {
        let wait = self.ledger.next_deadline().map(|at| at.since(self.clock.now()));
        if self.connection.is_none() && reconnect.is_none() {
            *reconnect = Some(tokio::spawn(connect(Arc::clone(&self.link), false)));
        }
        let places = self.places_for_news();
        tokio::select! {
            () = shutdown.cancelled() => Next::Stop,
            Some(ended) = self.ended.recv() => Next::Ended(ended),
            // With the next beat it is looked again whether there is a place for them.
            news = self.store.read_news().next(places), if places > 0 => Next::Reads(news),
            message = receive(&mut self.connection) => match message {
                Some(message) => Next::Event(LedgerEvent::Message(message)),
                None => {
                    warn!("the connection to the coordinator is lost");
                    self.connection = None;
                    Next::Event(LedgerEvent::Disconnected)
                }
            },
            connection = joined(reconnect) => match connection {
                Some(connection) => Next::Connection(connection),
                None => {
                    *reconnect = None;
                    Next::Event(LedgerEvent::Tick)
                }
            },
            () = sleep_or_never(wait) => Next::Event(LedgerEvent::Tick),
        }
    }

    fn connected(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.handle(LedgerEvent::Connected);
        self.store.tell_reads_again();
    }

    /// How many news of reads may be said now. They come in any number, above all with a new connection: they leave a part
    /// of its queue to what cannot wait, for want of which the connection is given up.
    fn places_for_news(&self) -> usize {
        let Some(connection) = &self.connection else { return 0 };
        let quarter = (connection.outgoing.max_capacity() / 4).max(1);
        connection.outgoing.capacity().saturating_sub(quarter).min(quarter)
    }

    fn tell_reads(&mut self, news: BTreeMap<AttemptId, (JobId, DirectReads)>) {
        let incarnation = self.incarnation;
        for (attempt, (job, reads)) in news {
            self.carry_out(LedgerAction::Send(ToCoordinator::DirectReads { incarnation, job, attempt, reads }));
        }
    }

    fn attempt_ended(&mut self, ended: Ended) {
        self.running.remove(&ended.attempt());
        self.handle(match ended {
            Ended::Finished { attempt, output } => LedgerEvent::Finished { attempt, output },
            Ended::Failed { attempt, error } => LedgerEvent::Failed { attempt, error },
            Ended::Stopped { attempt } => LedgerEvent::Stopped { attempt },
        });
    }

    fn handle(&mut self, event: LedgerEvent) {
        for action in self.ledger.handle(self.clock.now(), event) {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: LedgerAction) {
        match action {
            LedgerAction::Run(assignment) => {
                let stop = CancellationToken::new();
                self.running.insert(assignment.attempt, stop.clone());
                self.runner.start(*assignment, stop, self.ended_sender.clone());
            }
            LedgerAction::Stop(attempt) => {
                if let Some(stop) = self.running.get(&attempt) {
                    stop.cancel();
                }
            }
            LedgerAction::FreeOutput(attempt) => self.store.free(&[attempt]),
            LedgerAction::ForgetJob(job) => self.store.forget_job(job),
            LedgerAction::Send(message) => {
                let sent = self.connection.as_ref().is_some_and(|c| c.outgoing.try_send(message).is_ok());
                if !sent && self.connection.take().is_some() {
                    // Its end is seen by the coordinator; what was not said is said again on the next connection.
                    warn!("the coordinator does not take messages; connecting again");
                    let _ = self.ledger.handle(self.clock.now(), LedgerEvent::Disconnected);
                }
            }
            LedgerAction::Refused { epoch, known } => info!(%epoch, %known, "refused a message of an old term"),
            LedgerAction::TurnedAway(reason) => self.turned_away = Some(reason),
        }
    }

    async fn stop_all(&mut self) {
        for stop in self.running.values() {
            stop.cancel();
        }
        while !self.running.is_empty() {
            let Some(ended) = self.ended.recv().await else { break };
            self.running.remove(&ended.attempt());
        }
    }
}

/// Opens a connection, calling again until somebody answers. With `first`, a refusal other than silence is final.
async fn connect(link: Arc<dyn CoordinatorLink>, first: bool) -> Result<Connection> {
    let mut pause = RECONNECT_PAUSE;
    loop {
        match link.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if first && error.kind != windrow_common::ErrorKind::Unavailable => return Err(error),
            Err(error) => tracing::debug!(%error, "the coordinator cannot be reached"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
    }
}

async fn receive(connection: &mut Option<Connection>) -> Option<windrow_common::protocol::ToWorker> {
    match connection {
        Some(connection) => connection.incoming.recv().await,
        None => std::future::pending().await,
    }
}

async fn joined(task: &mut Option<tokio::task::JoinHandle<Result<Connection>>>) -> Option<Connection> {
    match task {
        Some(task) => task.await.ok().and_then(Result::ok),
        None => std::future::pending().await,
    }
}

async fn sleep_or_never(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

//! A coordinator with the gateway and workers, clients of it, and what all of them say that they run and hold.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::FlightInfo;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_common::{ByteSize, ClusterCounters};
use windrow_coordinator::{Coordinator, CoordinatorHandle, Services};
use windrow_gateway::Gateway;
use windrow_worker::{Worker, WorkerHandle};

/// A hang is a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The promise: "After a cancel, a dropped client or a Ctrl-C: within 1 s no task, charge, file or stream of that job is
/// left (asserted from the engine's own counters)."
pub const AT_REST_WITHIN: Duration = Duration::from_secs(1);

/// How often it is looked whether something has happened of which nobody is told.
const LOOK: Duration = Duration::from_millis(5);

pub type Client = FlightSqlServiceClient<Channel>;

pub struct House {
    pub coordinator: CoordinatorHandle,
    pub workers: Vec<WorkerHandle>,
    pub warehouse: tempfile::TempDir,
    gateway: Arc<OnceLock<Gateway>>,
}

impl House {
    /// One worker of two cores.
    pub async fn start() -> Self {
        Self::with_workers(1, 2).await
    }

    /// So many workers of so many cores each.
    pub async fn with_workers(workers: usize, cores: u32) -> Self {
        let warehouse = tempfile::tempdir().unwrap();
        let config = CoordinatorConfig { warehouse: Some(warehouse.path().to_owned()), ..CoordinatorConfig::default() };
        let gateway = Arc::new(OnceLock::new());
        let kept = Arc::clone(&gateway);
        let services: Services = Box::new(move |front| {
            let gateway = Gateway::new(Arc::new(front));
            kept.set(gateway.clone()).unwrap();
            gateway.routes()
        });
        let coordinator = Coordinator::start_with(config, services).await.unwrap();
        let mut started = vec![];
        for _ in 0..workers {
            let config = WorkerConfig { memory: ByteSize::gib(1), ..WorkerConfig::with_slots(cores) };
            started.push(Worker::start(config, &format!("grpc://{}", coordinator.addr())).await.unwrap());
        }
        coordinator.wait_for_workers(workers).await.unwrap();
        Self { coordinator, workers: started, warehouse, gateway }
    }

    /// A client over a connection of its own.
    pub async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.coordinator.addr())).unwrap();
        FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// What everybody runs and holds now, as everybody says it.
    pub async fn counters(&self) -> ClusterCounters {
        self.coordinator.front().counters().await.unwrap()
    }

    /// Waits until the counters show this.
    pub async fn wait_until(&self, what: &str, shown: impl Fn(&ClusterCounters) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let counters = self.counters().await;
            if shown(&counters) {
                return;
            }
            assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}; the counters: {counters:#?}");
            looks.tick().await;
        }
    }

    /// Called right after something has ended: nothing of any statement is left within [`AT_REST_WITHIN`].
    pub async fn wait_until_quiet(&self) {
        self.wait_until_gone(|| true).await;
    }

    /// The same, and this too is so by then.
    pub async fn wait_until_gone(&self, gone: impl Fn() -> bool) {
        let deadline = Instant::now() + AT_REST_WITHIN;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let looked = Instant::now();
            let (counters, gone) = (self.counters().await, gone());
            if counters.is_at_rest() && gone {
                return;
            }
            assert!(looked < deadline, "left after {AT_REST_WITHIN:?} (files gone: {gone}): {counters:#?}");
            looks.tick().await;
        }
    }

    /// Connections and sessions that the gateway keeps something for.
    pub fn kept(&self) -> (usize, usize) {
        self.gateway.get().unwrap().kept()
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.coordinator.front().sessions().len()
    }

    pub async fn stop(self) {
        for worker in self.workers {
            worker.shutdown().await;
        }
        tokio::time::timeout(DEADLINE, self.coordinator.shutdown()).await.expect("the coordinator stops");
    }
}

/// Waits for something to become true.
pub async fn wait_for(what: impl Fn() -> bool) {
    let true_at_last = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, true_at_last).await.expect("what is waited for comes true");
}

/// All rows of an answer.
pub async fn fetch(client: &mut Client, info: FlightInfo) -> Vec<RecordBatch> {
    try_fetch(client, info).await.unwrap()
}

pub async fn try_fetch(
    client: &mut Client,
    info: FlightInfo,
) -> Result<Vec<RecordBatch>, arrow_flight::error::FlightError> {
    let mut batches = vec![];
    for endpoint in info.endpoint {
        let rows = client.do_get(endpoint.ticket.unwrap()).await?;
        batches.extend(rows.try_collect::<Vec<_>>().await?);
    }
    Ok(batches)
}

/// Runs a query and gives its rows as text.
pub async fn query(client: &mut Client, sql: &str) -> String {
    let info = client.execute(sql.to_owned(), None).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    text(&fetch(client, info).await)
}

/// Runs an update and gives the number of its rows.
pub async fn update(client: &mut Client, sql: &str) -> i64 {
    client.execute_update(sql.to_owned(), None).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The error of a statement, as `code: message`.
pub async fn error(client: &mut Client, sql: &str) -> String {
    match client.execute(sql.to_owned(), None).await {
        Err(error) => error.to_string(),
        Ok(info) => try_fetch(client, info).await.unwrap_err().to_string(),
    }
}

/// Rows without the lines around them.
pub fn text(batches: &[RecordBatch]) -> String {
    let table = pretty_format_batches(batches).unwrap().to_string();
    let rows = table.lines().skip(3).filter(|line| !line.starts_with('+'));
    let cells = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(","));
    cells.collect::<Vec<_>>().join(";")
}

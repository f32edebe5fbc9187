//! A coordinator with the gateway and workers, and clients of it.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::FlightInfo;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::transport::{Channel, Endpoint};
use windrow_common::ByteSize;
use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_coordinator::{Coordinator, CoordinatorHandle};
use windrow_worker::{Worker, WorkerHandle};

/// A hang is a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub type Client = FlightSqlServiceClient<Channel>;

pub struct House {
    pub coordinator: CoordinatorHandle,
    pub workers: Vec<WorkerHandle>,
    pub warehouse: tempfile::TempDir,
}

impl House {
    pub async fn start() -> Self {
        Self::with_workers(1).await
    }

    pub async fn with_workers(count: usize) -> Self {
        let warehouse = tempfile::tempdir().unwrap();
        let config = CoordinatorConfig { warehouse: Some(warehouse.path().to_owned()), ..CoordinatorConfig::default() };
        let coordinator = Coordinator::start_with(config, windrow_gateway::services()).await.unwrap();
        let mut workers = vec![];
        for _ in 0..count {
            let config = WorkerConfig { memory: ByteSize::gib(1), ..WorkerConfig::with_slots(2) };
            workers.push(Worker::start(config, &format!("grpc://{}", coordinator.addr())).await.unwrap());
        }
        coordinator.wait_for_workers(count).await.unwrap();
        Self { coordinator, workers, warehouse }
    }

    /// A client over a connection of its own.
    pub async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.coordinator.addr())).unwrap();
        FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// Waits until nothing is left of any statement: no use of a session, no output, no byte.
    pub async fn wait_until_quiet(&self) {
        let front = self.coordinator.front();
        let empty = |worker: &WorkerHandle| worker.budget().used() == 0 && worker.store().held().is_empty();
        wait_for(|| front.sessions().running() == 0 && self.workers.iter().all(empty)).await;
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

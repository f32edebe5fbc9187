//! A cluster inside one test: a coordinator and workers that talk to each other over loopback, as processes would.

use std::time::Duration;

use windrow::{Deployment, Session};
use windrow_common::config::{CoordinatorConfig, StoreAccess, WorkerConfig};
use windrow_common::{ByteSize, Error, Result};
use windrow_coordinator::{Coordinator, CoordinatorHandle};
use windrow_worker::{Worker, WorkerHandle};

/// How long what a job left may be held after its end.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);

/// The cluster. Dropping it stops everything.
#[derive(Debug)]
pub struct Cluster {
    /// Its coordinator.
    pub coordinator: CoordinatorHandle,
    /// Its workers.
    pub workers: Vec<WorkerHandle>,
}

impl Cluster {
    /// Starts so many workers with so many cores each.
    pub async fn start(workers: usize, cores: u32) -> Result<Self> {
        Self::start_with(workers, cores, StoreAccess::default()).await
    }

    /// The same, with a say in how object stores are reached and what statements may.
    pub async fn start_with(workers: usize, cores: u32, stores: StoreAccess) -> Result<Self> {
        let config = CoordinatorConfig { stores: stores.clone(), ..CoordinatorConfig::default() };
        let coordinator = Coordinator::start(config).await?;
        let mut started = vec![];
        for _ in 0..workers {
            let memory = ByteSize::gib(2);
            let config = WorkerConfig { memory, stores: stores.clone(), ..WorkerConfig::with_slots(cores) };
            started.push(Worker::start(config, &url_of(&coordinator)).await?);
        }
        coordinator.wait_for_workers(workers).await?;
        Ok(Self { coordinator, workers: started })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        url_of(&self.coordinator)
    }

    /// A new session over the network, with these settings.
    pub async fn session(&self, settings: &[(&str, &str)]) -> Result<Session> {
        let session = Session::open(Deployment::Remote { url: self.url() }).await?;
        for (key, value) in settings {
            session.execute(&format!("SET {key} = '{value}'")).await?.collect().await?;
        }
        Ok(session)
    }

    /// Waits until no worker holds an output or is charged for a byte. What a job leaves is freed soon after its end.
    pub async fn wait_until_empty(&self) -> Result<()> {
        let empty = async {
            for worker in &self.workers {
                while worker.budget().used() > 0 || !worker.store().held().is_empty() {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(EMPTY_WITHIN, empty).await.map_err(|_| {
            let left: Vec<String> =
                self.workers.iter().map(|w| format!("{}: {:?}", w.id(), w.store().stats())).collect();
            Error::internal(format!("outputs or memory are still held: {}", left.join(", ")))
        })
    }

    /// Stops it.
    pub async fn stop(self) {
        for worker in self.workers {
            worker.shutdown().await;
        }
        self.coordinator.shutdown().await;
    }
}

fn url_of(coordinator: &CoordinatorHandle) -> String {
    format!("grpc://{}", coordinator.addr())
}

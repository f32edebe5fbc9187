//! A coordinator and workers in this process, joined by the network as if they were many processes: for trying out, and
//! for tests of programs.

use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_common::{ByteSize, Error, Result};
use windrow_coordinator::{Coordinator, CoordinatorHandle};
use windrow_worker::{Worker, WorkerHandle};

/// The cluster.
#[derive(Debug)]
pub struct LocalCluster {
    coordinator: CoordinatorHandle,
    workers: Vec<WorkerHandle>,
    url: String,
}

impl LocalCluster {
    /// Starts it, with so many workers of so many cores and so much memory each.
    pub async fn start(workers: u32, cores: u32, memory: ByteSize) -> Result<Self> {
        if workers == 0 {
            return Err(Error::user("a cluster needs at least one worker"));
        }
        let coordinator = Coordinator::start(CoordinatorConfig::default()).await?;
        let url = format!("grpc://{}", coordinator.addr());
        let mut started = vec![];
        for _ in 0..workers {
            let config = WorkerConfig { memory, ..WorkerConfig::with_slots(cores) };
            started.push(Worker::start(config, &url).await?);
        }
        coordinator.wait_for_workers(started.len()).await?;
        Ok(Self { coordinator, workers: started, url })
    }

    /// Where clients connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its coordinator.
    pub fn coordinator(&self) -> &CoordinatorHandle {
        &self.coordinator
    }

    /// Its workers.
    pub fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Stops it and removes its files.
    pub async fn stop(self) {
        for worker in self.workers {
            worker.shutdown().await;
        }
        self.coordinator.shutdown().await;
    }
}

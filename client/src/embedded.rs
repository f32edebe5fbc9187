//! The embedded deployment: a coordinator and a worker in this process, joined by channels instead of a network.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_common::{BlobHash, ByteSize, Result, limits};
use windrow_coordinator::service::LocalLink;
use windrow_coordinator::{Coordinator, CoordinatorHandle, ResultSource};
use windrow_worker::link::{Connection, CoordinatorLink};
use windrow_worker::{Worker, WorkerHandle};

/// An engine in this process.
#[derive(Debug)]
pub struct Embedded {
    /// Stops first: it may still be writing below the coordinator's directories.
    worker: WorkerHandle,
    coordinator: CoordinatorHandle,
}

impl Embedded {
    /// Starts it.
    pub fn start(cores: u32, memory: ByteSize) -> BoxFuture<'static, Result<Self>> {
        Box::pin(Self::join(cores, memory))
    }

    async fn join(cores: u32, memory: ByteSize) -> Result<Self> {
        let results: ResultSource = Arc::new(OnceLock::new());
        let coordinator = Coordinator::start_local(CoordinatorConfig::default(), Arc::clone(&results))?;
        let link = Arc::new(ChannelLink { link: coordinator.local_link() });
        let config = WorkerConfig { memory, ..WorkerConfig::with_slots(cores) };
        let worker = Worker::start_with(config, link).await?;
        // Set once, here: nobody has run a query yet.
        let _ = results.set(worker.exchange_source());
        coordinator.wait_for_workers(1).await?;
        Ok(Self { coordinator, worker })
    }

    /// Its coordinator.
    pub fn coordinator(&self) -> &CoordinatorHandle {
        &self.coordinator
    }

    /// Its worker.
    pub fn worker(&self) -> &WorkerHandle {
        &self.worker
    }

    /// Stops it and removes its files.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(async {
            self.worker.shutdown().await;
            self.coordinator.shutdown().await;
        })
    }
}

/// The way from a worker to a coordinator in the same process.
#[derive(Debug)]
struct ChannelLink {
    link: LocalLink,
}

#[async_trait]
impl CoordinatorLink for ChannelLink {
    async fn connect(&self) -> Result<Connection> {
        let (outgoing, messages) = mpsc::channel(limits::LINK_QUEUE);
        let (sender, incoming) = mpsc::channel(limits::LINK_QUEUE);
        let link = self.link.clone();
        // Ends with either side of the connection.
        tokio::spawn(link.serve(messages, sender));
        Ok(Connection { outgoing, incoming })
    }

    async fn blob(&self, hash: BlobHash) -> Result<Arc<[u8]>> {
        self.link.blob(hash)
    }
}

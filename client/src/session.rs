//! A session: settings and tables of one user on one deployment.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{SchemaRef, UInt64Type};
use futures::future::BoxFuture;
use tonic::transport::Channel;
use windrow_common::{ByteSize, Principal, Result, WorkerId, config, limits};
use windrow_coordinator::{self as coordinator, Front};
use windrow_engine::frame::Frame;
use windrow_proto::control as wire;
use windrow_proto::control::jobs_client::JobsClient;

use crate::cluster;
use crate::connection::{self, answered, remote_error};
use crate::dataframe::DataFrame;
use crate::deployment::Deployment;
use crate::embedded::Embedded;
use crate::execution::Execution;
use crate::local_cluster::LocalCluster;

/// A session on a deployment.
#[derive(Debug)]
pub struct Session {
    backend: Backend,
    /// The cluster that was started for it.
    cluster: Option<LocalCluster>,
}

#[derive(Debug)]
enum Backend {
    Embedded { engine: Box<Embedded>, front: Front, session: Arc<coordinator::Session> },
    Remote { client: JobsClient<Channel>, session: bytes::Bytes, url: String },
}

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

impl Session {
    /// Opens a session: starts the embedded engine, or connects.
    pub fn open(deployment: Deployment) -> BoxFuture<'static, Result<Session>> {
        Box::pin(Self::open_on(deployment))
    }

    async fn open_on(deployment: Deployment) -> Result<Session> {
        match deployment {
            Deployment::Embedded { cores, memory } => {
                let engine = Box::new(Embedded::start(cores, memory).await?);
                let front = engine.coordinator().front();
                let session = front.open(Principal::anonymous())?;
                Ok(Session { backend: Backend::Embedded { engine, front, session }, cluster: None })
            }
            Deployment::LocalCluster { workers, cores, memory } => {
                let cluster = LocalCluster::start(workers, cores, memory).await?;
                let mut session = Self::greet(cluster.url()).await?;
                session.cluster = Some(cluster);
                Ok(session)
            }
            Deployment::Remote { url } => Self::greet(&url).await,
        }
    }

    async fn greet(url: &str) -> Result<Session> {
        answered(url, async {
            let mut client = connection::connect(url).await?;
            let request = wire::OpenSessionRequest { version: limits::PROTOCOL_VERSION };
            let reply = client.open_session(request).await.map_err(|s| remote_error(&s, url))?;
            let session = reply.into_inner().session;
            Ok(Session { backend: Backend::Remote { client, session, url: url.to_owned() }, cluster: None })
        })
        .await
    }

    /// A session on an engine in this process, on all of its cores.
    pub fn embedded() -> BoxFuture<'static, Result<Session>> {
        Self::open(Deployment::Embedded { cores: config::default_cores(), memory: config::default_memory() })
    }

    /// A session on a cluster of so many workers in this process, which talk over the network as real ones do.
    pub fn local_cluster(workers: u32, cores: u32) -> BoxFuture<'static, Result<Session>> {
        let memory = ByteSize(config::default_memory().0 / u64::from(workers.max(1)));
        Self::open(Deployment::LocalCluster { workers, cores, memory })
    }

    /// A session at a coordinator that runs, for example at `grpc://127.0.0.1:7070`.
    pub fn connect(url: &str) -> BoxFuture<'static, Result<Session>> {
        Self::open(Deployment::Remote { url: url.to_owned() })
    }

    /// A table of the catalog, for a query in expressions.
    pub async fn table(&self, name: &str) -> Result<DataFrame<'_>> {
        Ok(DataFrame::new(self, Frame::table(name, &self.columns_of(name).await?)?))
    }

    /// A file or a directory, for a query in expressions.
    pub async fn read(&self, path: &str) -> Result<DataFrame<'_>> {
        let quoted = format!("'{}'", path.replace('\'', "''"));
        Ok(DataFrame::new(self, Frame::file(path, &self.columns_of(&quoted).await?)?))
    }

    async fn columns_of(&self, written: &str) -> Result<SchemaRef> {
        Ok(self.execute(&format!("SELECT * FROM {written} LIMIT 0")).await?.schema())
    }

    /// Runs a statement that writes; says how many rows it wrote.
    pub async fn write(&self, sql: &str) -> Result<u64> {
        let (batches, _) = self.execute(sql).await?.collect().await?;
        let count = batches.first().and_then(|batch| batch.columns().first().cloned());
        let count = count.as_ref().and_then(|column| column.as_primitive_opt::<UInt64Type>());
        Ok(count.map_or(0, |counts| counts.values().iter().sum()))
    }

    /// Runs one SQL statement. Planning errors come from here; run-time errors may come from reading the rows.
    pub fn execute<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Execution>> {
        Box::pin(self.start(sql))
    }

    async fn start(&self, sql: &str) -> Result<Execution> {
        match &self.backend {
            Backend::Embedded { front, session, .. } => Execution::local(front.execute(session, sql.into())?).await,
            Backend::Remote { client, session, url } => {
                let request = wire::ExecuteRequest { session: session.clone(), sql: sql.to_owned() };
                let events = client.clone().execute(request).await.map_err(|s| remote_error(&s, url))?;
                Execution::remote(events.into_inner()).await
            }
        }
    }

    /// The connected workers.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        match &self.backend {
            Backend::Embedded { engine, .. } => Ok(engine
                .coordinator()
                .workers()
                .await?
                .into_iter()
                .map(|worker| WorkerInfo {
                    id: worker.id,
                    pid: worker.pid,
                    slots: worker.slots,
                    endpoint: worker.endpoint,
                })
                .collect()),
            Backend::Remote { client, url, .. } => {
                let reply = client.clone().list_workers(wire::ListWorkersRequest {}).await;
                let workers = reply.map_err(|s| remote_error(&s, url))?.into_inner().workers;
                workers.into_iter().map(cluster::worker).collect()
            }
        }
    }

    /// The engine of an embedded session, to look at what it holds.
    pub fn engine(&self) -> Option<&Embedded> {
        match &self.backend {
            Backend::Embedded { engine, .. } => Some(engine),
            Backend::Remote { .. } => None,
        }
    }

    /// The cluster that was started for this session, to look at what it holds.
    pub fn local(&self) -> Option<&LocalCluster> {
        self.cluster.as_ref()
    }

    /// Ends the session; an engine or a cluster that was started for it is stopped and its files are removed.
    pub fn close(self) -> BoxFuture<'static, ()> {
        Box::pin(self.end())
    }

    async fn end(self) {
        match self.backend {
            Backend::Embedded { engine, .. } => engine.shutdown().await,
            Backend::Remote { mut client, session, .. } => {
                // The coordinator drops the session by itself when it stops.
                let _ = client.close_session(wire::CloseSessionRequest { session }).await;
            }
        }
        if let Some(cluster) = self.cluster {
            cluster.stop().await;
        }
    }
}

//! A session: settings and tables of one user on one deployment.

use std::sync::Arc;

use futures::future::BoxFuture;
use tonic::transport::Channel;
use windrow_common::{Principal, Result, WorkerId, limits};
use windrow_coordinator::{self as coordinator, Front};
use windrow_proto::control as wire;
use windrow_proto::control::jobs_client::JobsClient;

use crate::cluster;
use crate::connection::{self, answered, remote_error};
use crate::deployment::Deployment;
use crate::embedded::Embedded;
use crate::execution::Execution;

/// A session on a deployment.
#[derive(Debug)]
pub struct Session {
    backend: Backend,
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
                Ok(Session { backend: Backend::Embedded { engine, front, session } })
            }
            Deployment::Remote { url } => Self::connect(&url).await,
        }
    }

    async fn connect(url: &str) -> Result<Session> {
        answered(url, async {
            let mut client = connection::connect(url).await?;
            let request = wire::OpenSessionRequest { version: limits::PROTOCOL_VERSION };
            let reply = client.open_session(request).await.map_err(|s| remote_error(&s, url))?;
            let session = reply.into_inner().session;
            Ok(Session { backend: Backend::Remote { client, session, url: url.to_owned() } })
        })
        .await
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
    pub fn embedded(&self) -> Option<&Embedded> {
        match &self.backend {
            Backend::Embedded { engine, .. } => Some(engine),
            Backend::Remote { .. } => None,
        }
    }

    /// Ends the session; an embedded engine is stopped and its files are removed.
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
    }
}

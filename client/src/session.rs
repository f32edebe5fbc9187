//! A session: settings and tables of one user on one deployment.

use std::sync::Arc;

use futures::future::BoxFuture;
use tonic::transport::{Channel, Endpoint};
use windrow_common::{Error, ErrorKind, Principal, Result, WorkerId, limits};
use windrow_coordinator::{self as coordinator, Front};
use windrow_proto::control as wire;
use windrow_proto::control::jobs_client::JobsClient;
use windrow_proto::status::{from_status, id_from_bytes};

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
        let address = url.strip_prefix("grpc://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| {
                Error::user(format!("'{url}' is not an address; write for example grpc://127.0.0.1:7070: {e}"))
            })?
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
            .tcp_nodelay(true);
        // Something may take the connection and then never say a word.
        tokio::time::timeout(limits::CONNECT_TIMEOUT, Self::greet(endpoint, url)).await.unwrap_or_else(|_| {
            let seconds = limits::CONNECT_TIMEOUT.as_secs();
            Err(Error::unavailable(format!("what listens at {url} has not answered within {seconds} s")))
        })
    }

    async fn greet(endpoint: Endpoint, url: &str) -> Result<Session> {
        let channel = endpoint
            .connect()
            .await
            .map_err(|e| Error::unavailable(format!("no coordinator answers at {url}: {}", last_cause(&e))))?;
        let mut client = JobsClient::new(channel)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        let request = wire::OpenSessionRequest { version: limits::PROTOCOL_VERSION };
        let session = client.open_session(request).await.map_err(|s| remote_error(&s, url))?.into_inner().session;
        Ok(Session { backend: Backend::Remote { client, session, url: url.to_owned() } })
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
                .map(|worker| WorkerInfo { id: worker.id, pid: worker.pid, slots: worker.slots })
                .collect()),
            Backend::Remote { client, url, .. } => {
                let reply = client.clone().list_workers(wire::ListWorkersRequest {}).await;
                let workers = reply.map_err(|s| remote_error(&s, url))?.into_inner().workers;
                workers
                    .into_iter()
                    .map(|worker| {
                        let id = id_from_bytes(&worker.worker)
                            .ok_or_else(|| Error::new(ErrorKind::Version, "a worker without an id"))?;
                        Ok(WorkerInfo { id: WorkerId(id), pid: worker.pid, slots: worker.slots })
                    })
                    .collect()
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

fn remote_error(status: &tonic::Status, url: &str) -> Error {
    let error = from_status(status);
    match (&error.kind, windrow_proto::status::is_ours(status)) {
        (ErrorKind::Unsupported, false) => {
            Error::new(ErrorKind::Version, format!("what answers at {url} is not a Windrow coordinator"))
        }
        (kind, false) => {
            // A connection that is closed under a call is no wish of the user's.
            let kind = if *kind == ErrorKind::Cancelled { ErrorKind::Unavailable } else { kind.clone() };
            Error::new(kind, format!("the coordinator at {url} does not answer: {}", error.message))
        }
        (_, true) => error,
    }
}

fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

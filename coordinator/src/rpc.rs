//! The gRPC services of the coordinator: workers connect and fetch blobs, clients open sessions and run statements.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use windrow_common::{Error, ErrorKind, JobId, JobInfo, Principal, Result, SessionId, limits};
use windrow_engine::exchange::block::{BlockEncoder, Compression, encode_inline, split};
use windrow_proto::control as wire;
use windrow_proto::control::coordination_server::{Coordination, CoordinationServer};
use windrow_proto::control::jobs_server::{Jobs, JobsServer};
use windrow_proto::counters::cluster_to_wire;
use windrow_proto::job::job_to_wire;
use windrow_proto::protocol::{coordinator_to_wire, hash_from_wire, worker_from_wire};
use windrow_proto::report::report_to_wire;
use windrow_proto::status::{from_status, id_bytes, id_from_bytes, to_status};

use crate::connections::{self, Connection};
use crate::execution::{ExecutionUpdate, Statement, StatementText};
use crate::front::Front;
use crate::service::Shared;
use crate::sessions::{Session, Sessions};
use crate::submission::{self, Script, ScriptStatement};

/// How often a silent connection is asked whether it is alive.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Serves until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    services: tonic::service::Routes,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let open = shared.gauges.connections.clone();
    let service = Rpc { front: Front::new(Arc::clone(&shared)), shared, shutdown: shutdown.clone() };
    let coordination = CoordinationServer::new(service.clone())
        .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
    let jobs = JobsServer::new(service)
        .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
    let served = tonic::transport::Server::builder()
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_routes(services.add_service(coordination).add_service(jobs))
        .serve_with_incoming_shutdown(connections::incoming(listener, open), shutdown.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the coordinator's server has failed");
    }
}

type WireStream<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[derive(Clone)]
struct Rpc {
    front: Front,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
}

impl Rpc {
    fn session(&self, id: &[u8]) -> Result<Arc<Session>> {
        // No session has an id of another length.
        self.front.sessions().get(SessionId(id_from_bytes(id).unwrap_or_default()))
    }
}

#[tonic::async_trait]
impl Coordination for Rpc {
    type ConnectStream = WireStream<wire::CoordinatorMessage>;
    type GetBlobStream = WireStream<wire::BlobChunk>;

    async fn connect(
        &self,
        request: Request<Streaming<wire::WorkerMessage>>,
    ) -> std::result::Result<Response<Self::ConnectStream>, Status> {
        let (sender, receiver) = mpsc::channel(limits::LINK_QUEUE);
        let messages = request.into_inner().map(|message| match message {
            Ok(message) => worker_from_wire(message),
            Err(status) => Err(from_status(&status)),
        });
        let (shared, shutdown) = (Arc::clone(&self.shared), self.shutdown.clone());
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = shared.connect_worker(Box::pin(messages), sender) => {}
                () = shutdown.cancelled() => {}
            }
        });
        let replies = ReceiverStream::new(receiver).map(|message| Ok(coordinator_to_wire(message)));
        let replies = replies.take_until(self.shutdown.clone().cancelled_owned());
        Ok(Response::new(Box::pin(replies)))
    }

    async fn get_blob(
        &self,
        request: Request<wire::GetBlobRequest>,
    ) -> std::result::Result<Response<Self::GetBlobStream>, Status> {
        let blob = hash_from_wire(&request.into_inner().hash)
            .and_then(|hash| self.shared.blobs.get(hash))
            .map_err(|e| to_status(&e))?;
        let chunks = (0..blob.len()).step_by(limits::BLOB_CHUNK_BYTES).map(move |start| {
            let end = (start + limits::BLOB_CHUNK_BYTES).min(blob.len());
            Ok(wire::BlobChunk { data: Bytes::copy_from_slice(&blob[start..end]) })
        });
        Ok(Response::new(Box::pin(futures::stream::iter(chunks))))
    }
}

#[tonic::async_trait]
impl Jobs for Rpc {
    type ExecuteStream = WireStream<wire::ExecuteEvent>;

    async fn open_session(
        &self,
        request: Request<wire::OpenSessionRequest>,
    ) -> std::result::Result<Response<wire::OpenSessionResponse>, Status> {
        let connection = request.extensions().get::<Connection>().cloned();
        check_version(request.into_inner().version).map_err(|e| to_status(&e))?;
        let session = self.front.open(Principal::anonymous()).map_err(|e| to_status(&e))?;
        if let Some(connection) = connection {
            self.shared.tasks.spawn(close_with(connection, Arc::clone(self.front.sessions()), Arc::clone(&session)));
        }
        Ok(Response::new(wire::OpenSessionResponse { session: id_bytes(session.id().0) }))
    }

    async fn close_session(
        &self,
        request: Request<wire::CloseSessionRequest>,
    ) -> std::result::Result<Response<wire::CloseSessionResponse>, Status> {
        if let Some(id) = id_from_bytes(&request.into_inner().session) {
            self.front.sessions().close(SessionId(id));
        }
        Ok(Response::new(wire::CloseSessionResponse {}))
    }

    async fn execute(
        &self,
        request: Request<wire::ExecuteRequest>,
    ) -> std::result::Result<Response<Self::ExecuteStream>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session).map_err(|e| to_status(&e))?;
        let text = StatementText { sql: request.sql, parameters: None };
        let statement = self.front.execute(&session, text).map_err(|e| to_status(&e))?;
        let stopping = Error::unavailable("the coordinator is shutting down");
        let events = events_of(statement)
            .take_until(self.shutdown.clone().cancelled_owned())
            .chain(futures::stream::once(async move { Err(to_status(&stopping)) }));
        // The last event of a statement ends the stream; only one that was cut short gets to the error behind it.
        Ok(Response::new(Box::pin(until_done(events))))
    }

    type WatchJobStream = WireStream<wire::JobInfo>;

    async fn submit(
        &self,
        request: Request<wire::SubmitRequest>,
    ) -> std::result::Result<Response<wire::SubmitResponse>, Status> {
        let request = request.into_inner();
        check_version(request.version).map_err(|e| to_status(&e))?;
        let statements = request.statements.into_iter().map(|s| ScriptStatement { sql: s.sql, line: s.line }).collect();
        let no_id = || to_status(&Error::user("the script came without an id for its job"));
        let id = JobId(id_from_bytes(&request.id).ok_or_else(no_id)?);
        let script = Script { id, key: request.key, statements };
        let (job, known) = submission::submit(&self.shared, script).map_err(|e| to_status(&e))?;
        Ok(Response::new(wire::SubmitResponse { job: Some(job_to_wire(&job)), known }))
    }

    async fn list_jobs(
        &self,
        request: Request<wire::ListJobsRequest>,
    ) -> std::result::Result<Response<wire::ListJobsResponse>, Status> {
        let (jobs, total) = self.shared.jobs.list(request.into_inner().limit as usize);
        let jobs = jobs.iter().map(job_to_wire).collect();
        Ok(Response::new(wire::ListJobsResponse { jobs, total: total as u32 }))
    }

    async fn watch_job(
        &self,
        request: Request<wire::WatchJobRequest>,
    ) -> std::result::Result<Response<Self::WatchJobStream>, Status> {
        let request = request.into_inner();
        let job = self.shared.jobs.find(&request.job).map_err(|e| to_status(&e))?;
        if request.once {
            let now = job_to_wire(&job.borrow());
            return Ok(Response::new(Box::pin(futures::stream::iter([Ok(now)]))));
        }
        let news = news_of(job).take_until(self.shutdown.clone().cancelled_owned());
        Ok(Response::new(Box::pin(news)))
    }

    async fn cancel_job(
        &self,
        request: Request<wire::CancelJobRequest>,
    ) -> std::result::Result<Response<wire::CancelJobResponse>, Status> {
        let job = self.shared.jobs.cancel(&request.into_inner().job).map_err(|e| to_status(&e))?;
        Ok(Response::new(wire::CancelJobResponse { job: Some(job_to_wire(&job)) }))
    }

    async fn list_workers(
        &self,
        _request: Request<wire::ListWorkersRequest>,
    ) -> std::result::Result<Response<wire::ListWorkersResponse>, Status> {
        let workers = self.shared.workers().await.map_err(|e| to_status(&e))?;
        let workers = workers
            .into_iter()
            .map(|worker| wire::WorkerInfo {
                worker: id_bytes(worker.id.0),
                pid: worker.pid,
                slots: worker.slots,
                endpoint: worker.endpoint,
            })
            .collect();
        Ok(Response::new(wire::ListWorkersResponse { workers }))
    }

    async fn count(
        &self,
        _request: Request<wire::CountRequest>,
    ) -> std::result::Result<Response<wire::ClusterCounters>, Status> {
        let counters = self.shared.counters().await.map_err(|e| to_status(&e))?;
        Ok(Response::new(cluster_to_wire(&counters)))
    }
}

/// A client that goes away, however it does, leaves no session with temporary tables behind. Ends with the session.
async fn close_with(connection: Connection, sessions: Arc<Sessions>, session: Arc<Session>) {
    tokio::select! {
        () = connection.ended.cancelled() => sessions.close(session.id()),
        () = session.closed().cancelled() => {}
    }
}

fn check_version(version: u32) -> Result<()> {
    if version == limits::PROTOCOL_VERSION {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Version,
        format!(
            "the client speaks protocol version {version} and the coordinator {}; use the same release for both",
            limits::PROTOCOL_VERSION
        ),
    ))
}

/// The job as it is now and after each change; the last is its end, with its reports.
fn news_of(
    job: watch::Receiver<JobInfo>,
) -> impl Stream<Item = std::result::Result<wire::JobInfo, Status>> + Send + 'static {
    futures::stream::unfold(Some((job, true)), |state| async move {
        let (mut job, first) = state?;
        if !first {
            // Its ticket is gone together with the coordinator.
            job.changed().await.ok()?;
        }
        let (news, over) = {
            let now = job.borrow_and_update();
            let over = now.status.is_end();
            (if over { job_to_wire(&now) } else { job_to_wire(&now.brief()) }, over)
        };
        Some((Ok(news), (!over).then_some((job, false))))
    })
}

type EventResult = std::result::Result<wire::ExecuteEvent, Status>;

/// Ends a stream of events behind the first `Done` or error.
fn until_done(events: impl Stream<Item = EventResult> + Send + 'static) -> impl Stream<Item = EventResult> + Send {
    events.scan(false, |over, event| {
        if *over {
            return futures::future::ready(None);
        }
        *over = match &event {
            Err(_) => true,
            Ok(event) => matches!(event.event, Some(wire::execute_event::Event::Done(_))),
        };
        futures::future::ready(Some(event))
    })
}

/// The news of a statement as messages. A large batch becomes several.
fn events_of(statement: Statement) -> impl Stream<Item = EventResult> + Send {
    let state = (statement, None::<BlockEncoder>);
    let groups = futures::stream::unfold(state, |(mut statement, mut encoder)| async move {
        let update = statement.next().await?;
        let events = match update.and_then(|update| encode(update, &mut encoder)) {
            Ok(events) => events.into_iter().map(Ok).collect::<Vec<EventResult>>(),
            Err(error) => vec![Err(to_status(&error))],
        };
        Some((futures::stream::iter(events), (statement, encoder)))
    });
    groups.flatten()
}

fn encode(update: ExecutionUpdate, encoder: &mut Option<BlockEncoder>) -> Result<Vec<wire::ExecuteEvent>> {
    use wire::execute_event::Event;
    let event = match update {
        ExecutionUpdate::Accepted { job, schema, .. } => {
            *encoder = Some(BlockEncoder::new(&schema, Compression::None).map_err(Error::from)?);
            let schema = encode_inline(&schema, &[]).map_err(Error::from)?;
            Event::Accepted(wire::Accepted { job: job.map(|job| id_bytes(job.0)), schema: schema.into() })
        }
        ExecutionUpdate::Progress { done, running, total } => Event::Progress(wire::Progress { done, running, total }),
        ExecutionUpdate::Direct(_) => return Err(Error::internal("rows were offered to somebody who did not ask")),
        ExecutionUpdate::Done(report) => Event::Done(wire::Done { report: Some(report_to_wire(&report)) }),
        ExecutionUpdate::Batch(batch) => {
            let encoder = encoder.as_mut().ok_or_else(|| Error::internal("rows came before their schema"))?;
            let mut events = vec![];
            for part in split(&batch, limits::EXCHANGE_MESSAGE_BYTES) {
                let block = encoder.encode(&part).map_err(Error::from)?;
                let batch = wire::Batch { header: block.header, body: block.body, rows: block.rows, crc: block.crc };
                events.push(wire::ExecuteEvent { event: Some(Event::Batch(batch)) });
            }
            return Ok(events);
        }
    };
    Ok(vec![wire::ExecuteEvent { event: Some(event) }])
}

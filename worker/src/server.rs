//! Serves the outputs of this worker to other processes: one call, many slices, a bounded stream of blocks and an end
//! marker.
//!
//! ```text
//!   store ──► encoding task (CPU runtime) ──► FETCH_QUEUE blocks, charged ──► tonic (I/O runtime)
//! ```
//!
//! Batches are encoded on the runtime given, never on the one that serves the connections. When memory is short, one
//! block at a time is on its way. A reader that goes away stops the task.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Permit};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use windrow_common::{AttemptId, Counted, Error, ErrorKind, limits};
use windrow_engine::exchange::block::{self, Block, BlockEncoder, Compression};
use windrow_proto::exchange as wire;
use windrow_proto::exchange::exchange_server::{Exchange, ExchangeServer as WireServer};
use windrow_proto::exchange::fetch_response::Part;
use windrow_proto::status::{id_from_bytes, to_status};

use crate::budget::{Budget, Charge, Share};
use crate::direct::DirectServer;
use crate::reading::OutputStream;
use crate::store::ShuffleStore;

/// A listener on this address; port 0 lets the system choose.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|e| Error::io(format!("the shuffle server cannot listen on {address}: {e}")))
}

/// Serves the store on this listener until `shutdown`, and the calls that run then to their end. Encodes on `cpu`.
pub async fn serve(
    listener: TcpListener,
    store: ShuffleStore,
    cpu: Handle,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    serve_beside(Routes::default(), listener, store, cpu, shutdown).await
}

/// The same, beside other services.
pub async fn serve_beside(
    services: Routes,
    listener: TcpListener,
    store: ShuffleStore,
    cpu: Handle,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    Server::builder()
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(limits::HEARTBEAT_TIMEOUT))
        .http2_keepalive_timeout(Some(limits::HEARTBEAT_TIMEOUT))
        .add_routes(
            services
                .add_service(DirectServer::new(store.clone(), cpu.clone()).into_service())
                .add_service(ExchangeServer::new(store, cpu).into_service()),
        )
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), shutdown.cancelled_owned())
        .await
        .map_err(|e| Error::io(format!("the shuffle server failed: {e}")))
}

/// Serves a store.
#[derive(Clone, Debug)]
pub struct ExchangeServer {
    store: ShuffleStore,
    cpu: Handle,
}

impl ExchangeServer {
    /// A server of this store that encodes on the runtime behind `cpu`.
    pub fn new(store: ShuffleStore, cpu: Handle) -> Self {
        Self { store, cpu }
    }

    /// The gRPC service, with our limits, to be mounted beside others.
    pub fn into_service(self) -> WireServer<Self> {
        WireServer::new(self)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES)
    }

    /// Opens every slice, or names all the attempts that are not here.
    fn open(&self, slices: &[wire::Slice]) -> Result<Vec<OutputStream>, Error> {
        let mut streams = Vec::with_capacity(slices.len());
        let mut lost: Vec<AttemptId> = Vec::new();
        let mut first = None;
        for slice in slices {
            let attempt = id_from_bytes(&slice.attempt).map(AttemptId);
            let attempt = attempt.ok_or_else(|| Error::internal("an attempt id of other than 16 bytes"))?;
            match self.store.read(attempt, slice.first_partition..slice.end_partition) {
                Ok(stream) => streams.push(stream),
                Err(error) => match error.kind {
                    ErrorKind::LostInput(attempts) => {
                        lost.extend(attempts);
                        first.get_or_insert(error.message);
                    }
                    _ => return Err(error),
                },
            }
        }
        match first {
            None => Ok(streams),
            Some(message) => Err(Error::new(ErrorKind::LostInput(lost), message)),
        }
    }
}

#[tonic::async_trait]
impl Exchange for ExchangeServer {
    type FetchStream = Blocks;

    async fn fetch(&self, request: Request<wire::FetchRequest>) -> Result<Response<Blocks>, Status> {
        let request = request.into_inner();
        check(&request).map_err(|e| to_status(&e))?;
        let compression = match request.compression() {
            wire::Compression::None => Compression::None,
            wire::Compression::Lz4 => Compression::Lz4,
        };
        let streams = self.open(&request.slices).map_err(|e| to_status(&e))?;
        let (sender, queue) = mpsc::channel(limits::FETCH_QUEUE);
        let counted = Arc::new(self.store.serving());
        let budget = self.store.budget().clone();
        let sending = Sending { sender, budget, compression, encoder: None, _counted: Arc::clone(&counted) };
        let task = self.cpu.spawn(sending.run(streams)).abort_handle();
        Ok(Response::new(Blocks { queue, task, ended: false, _counted: counted }))
    }
}

fn check(request: &wire::FetchRequest) -> Result<(), Error> {
    if request.version != limits::PROTOCOL_VERSION {
        let (theirs, ours) = (request.version, limits::PROTOCOL_VERSION);
        let message = format!("the reader speaks version {theirs} of the protocol, this worker speaks {ours}");
        return Err(Error::new(ErrorKind::Version, message));
    }
    if request.slices.len() > limits::MAX_TASKS_PER_STAGE {
        let (count, limit) = (request.slices.len(), limits::MAX_TASKS_PER_STAGE);
        return Err(Error::new(ErrorKind::Limit, format!("{count} slices in one call exceed {limit}")));
    }
    Ok(())
}

type Item = Result<(wire::FetchResponse, Option<Charge>), Error>;

/// The answer to one call.
#[derive(Debug)]
pub struct Blocks {
    queue: mpsc::Receiver<Item>,
    task: AbortHandle,
    ended: bool,
    /// With the task: a stream is there until both have gone.
    _counted: Arc<Counted>,
}

impl Stream for Blocks {
    type Item = Result<wire::FetchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = std::task::ready!(self.queue.poll_recv(context));
        Poll::Ready(match item {
            Some(Ok((response, _charge))) => {
                self.ended = matches!(response.part, Some(Part::End(_)));
                Some(Ok(response))
            }
            Some(Err(error)) => {
                self.ended = true;
                Some(Err(to_status(&error)))
            }
            None => {
                self.ended = true;
                Some(Err(to_status(&Error::internal("the task that encodes an exchange has failed"))))
            }
        })
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The reader has gone.
struct Gone;

struct Sending {
    sender: mpsc::Sender<Item>,
    budget: Budget,
    compression: Compression,
    encoder: Option<(BlockEncoder, u32)>,
    _counted: Arc<Counted>,
}

impl Sending {
    async fn run(mut self, streams: Vec<OutputStream>) {
        let mut end = wire::End::default();
        for (slice, mut stream) in streams.into_iter().enumerate() {
            while let Some(item) = stream.next().await {
                let sent = match item {
                    Ok((partition, batch)) => self.send(slice as u32, partition, &batch, &mut end).await,
                    Err(error) => Ok(Err(error)),
                };
                match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return self.close(Err(error)).await,
                    Err(Gone) => return,
                }
            }
        }
        self.close(Ok((wire::FetchResponse { part: Some(Part::End(end)) }, None))).await;
    }

    /// The last message; a reader that is gone needs none.
    async fn close(&self, item: Item) {
        let _ = self.sender.send(item).await;
    }

    async fn send(
        &mut self,
        slice: u32,
        partition: u32,
        batch: &RecordBatch,
        end: &mut wire::End,
    ) -> Result<Result<(), Error>, Gone> {
        for part in block::split(batch, limits::EXCHANGE_MESSAGE_BYTES) {
            // Nothing is encoded before there is a place for it. This task is the only sender, so the place stays.
            drop(self.sender.reserve().await.map_err(|_| Gone)?);
            let (block, layout) = match self.encode(&part) {
                Ok(encoded) => encoded,
                Err(error) => return Ok(Err(error)),
            };
            let (permit, charge) = self.room(block.len() as u64).await?;
            end.blocks += 1;
            end.rows += block.rows;
            let Block { rows, header, body, crc } = block;
            let block = wire::Block { slice, partition, rows, layout, crc, header, body };
            permit.send(Ok((wire::FetchResponse { part: Some(Part::Block(block)) }, Some(charge))));
        }
        Ok(Ok(()))
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(Block, u32), Error> {
        let schema = batch.schema_ref();
        let (encoder, layout) = match &mut self.encoder {
            Some(known) if Arc::ptr_eq(known.0.schema(), schema) => known,
            other => other.insert((BlockEncoder::new(schema, self.compression)?, block::layout(schema))),
        };
        Ok((encoder.encode(batch)?, *layout))
    }

    /// Waits for a place in the queue; when memory is short, until the queue is empty.
    async fn room(&self, bytes: u64) -> Result<(Permit<'_, Item>, Charge), Gone> {
        let permit = self.sender.reserve().await.map_err(|_| Gone)?;
        if let Ok(charge) = self.budget.try_charge(Share::Fetch, bytes, "a block to be sent") {
            return Ok((permit, charge));
        }
        drop(permit);
        let mut all = self.sender.reserve_many(limits::FETCH_QUEUE).await.map_err(|_| Gone)?;
        let permit = all.next().ok_or(Gone)?;
        Ok((permit, self.budget.charge(Share::Fetch, bytes)))
    }
}

//! Serves the parts of large results to clients: Arrow Flight's DoGet, and nothing else of it.
//!
//! ```text
//!   store ──► encoding task (CPU runtime) ──► RESULT_QUEUE messages, charged ──► tonic (I/O runtime) ──► client
//!                └── takes everything back when the output is freed
//! ```
//!
//! A stream has every row of its output or ends in an error. It ends with its output: nothing is kept for a client that
//! does not read on after its job was cancelled. Other workers read through [`crate::server`], whose streams outlive it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Permit};
use tokio::task::AbortHandle;
use tonic::{Request, Response, Status, Streaming};
use windrow_common::{Counted, Error, ErrorKind, limits};
use windrow_engine::exchange::DirectTicket;
use windrow_engine::exchange::block;
use windrow_engine::exchange::outward::OutwardEncoder;
use windrow_proto::status::to_foreign_status;

use crate::budget::{Budget, Charge, Share};
use crate::reading::OutputStream;
use crate::reads::Reading;
use crate::store::ShuffleStore;

/// Serves a store's outputs to clients.
#[derive(Clone, Debug)]
pub struct DirectServer {
    store: ShuffleStore,
    cpu: Handle,
}

impl DirectServer {
    /// A server of this store that encodes on the runtime behind `cpu`.
    pub fn new(store: ShuffleStore, cpu: Handle) -> Self {
        Self { store, cpu }
    }

    /// The gRPC service, with our limits, to be mounted beside others.
    pub fn into_service(self) -> FlightServiceServer<Self> {
        FlightServiceServer::new(self)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES)
    }

    fn open(&self, ticket: &[u8]) -> Result<DirectStream, Error> {
        let ticket = DirectTicket::decode(ticket);
        let ticket =
            ticket.ok_or_else(|| Error::user("this is no ticket for a part of a result that a worker holds"))?;
        let rows = self.store.read(ticket.attempt, ticket.partitions.clone())?;
        if rows.reads().job() != ticket.job {
            return Err(Error::new(ErrorKind::NotFound, format!("this worker holds no such output of {}", ticket.job)));
        }
        let reading = rows.reads().begin(self.store.read_news())?;
        let encoder = OutwardEncoder::new(&ticket.schema)?;
        let (sender, queue) = mpsc::channel(limits::RESULT_QUEUE);
        let (budget, counted) = (self.store.budget().clone(), self.store.serving());
        let sending = Sending { sender, budget, encoder, on_the_way: VecDeque::new() };
        let task = self.cpu.spawn(sending.run(rows, counted)).abort_handle();
        Ok(DirectStream { queue, task, reading, ended: false })
    }
}

/// A stream that never is.
type Never<T> = futures::stream::Empty<Result<T, Status>>;

fn elsewhere<T>(call: &str) -> Result<T, Status> {
    let text = format!("a worker answers DoGet for the tickets of large results only; {call} is the coordinator's");
    Err(to_foreign_status(&Error::new(ErrorKind::Unsupported, text)))
}

#[tonic::async_trait]
impl FlightService for DirectServer {
    type HandshakeStream = Never<HandshakeResponse>;
    type ListFlightsStream = Never<FlightInfo>;
    type DoGetStream = DirectStream;
    type DoPutStream = Never<PutResult>;
    type DoExchangeStream = Never<FlightData>;
    type DoActionStream = Never<arrow_flight::Result>;
    type ListActionsStream = Never<ActionType>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<DirectStream>, Status> {
        self.open(&request.get_ref().ticket).map(Response::new).map_err(|e| to_foreign_status(&e))
    }

    async fn handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        elsewhere("Handshake")
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        elsewhere("ListFlights")
    }

    async fn get_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        elsewhere("GetFlightInfo")
    }

    async fn poll_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        elsewhere("PollFlightInfo")
    }

    async fn get_schema(&self, _request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        elsewhere("GetSchema")
    }

    async fn do_put(&self, _request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        elsewhere("DoPut")
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        elsewhere("DoExchange")
    }

    async fn do_action(&self, _request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        elsewhere("DoAction")
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        elsewhere("ListActions")
    }
}

/// A message that waits for the client, and its charge. Its sender can take it back.
#[derive(Clone, Debug)]
struct Parcel(Arc<Mutex<Option<(FlightData, Charge)>>>);

impl Parcel {
    fn new(message: FlightData, charge: Charge) -> Self {
        Self(Arc::new(Mutex::new(Some((message, charge)))))
    }

    fn take(&self) -> Option<(FlightData, Charge)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug)]
enum Item {
    Message(Parcel),
    /// Every row was sent. A queue that closes without it was cut.
    End,
    Failed(Error),
}

/// The answer to one call.
#[derive(Debug)]
pub struct DirectStream {
    queue: mpsc::Receiver<Item>,
    task: AbortHandle,
    reading: Reading,
    ended: bool,
}

impl Stream for DirectStream {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let error = match std::task::ready!(self.queue.poll_recv(context)) {
            Some(Item::Message(parcel)) => match parcel.take() {
                Some((message, _charge)) => return Poll::Ready(Some(Ok(message))),
                None => freed(),
            },
            Some(Item::End) => {
                self.ended = true;
                self.reading.complete();
                return Poll::Ready(None);
            }
            Some(Item::Failed(error)) => error,
            None => Error::internal("the task that encodes a result has failed"),
        };
        self.ended = true;
        Poll::Ready(Some(Err(to_foreign_status(&error))))
    }
}

impl Drop for DirectStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn freed() -> Error {
    Error::cancelled().context("the result was released before all of it was read")
}

/// Why sending stops early.
enum Stop {
    /// The client has gone.
    Gone,
    Failed(Error),
}

struct Sending {
    sender: mpsc::Sender<Item>,
    budget: Budget,
    encoder: OutwardEncoder,
    /// What may still wait in the queue.
    on_the_way: VecDeque<Parcel>,
}

impl Sending {
    /// `counted` counts the stream for as long as something is done for it, or kept.
    async fn run(mut self, rows: OutputStream, counted: Counted) {
        let freed_meanwhile = rows.freed().clone();
        let sent = tokio::select! {
            biased;
            () = freed_meanwhile.cancelled() => {
                // The client may never read on: what waits for it goes now.
                self.on_the_way.drain(..).for_each(|parcel| drop(parcel.take()));
                Err(Stop::Failed(freed()))
            }
            sent = self.send_all(rows) => sent,
        };
        drop(counted);
        let last = match sent {
            Ok(()) => Item::End,
            Err(Stop::Failed(error)) => Item::Failed(error),
            Err(Stop::Gone) => return,
        };
        // A client that has gone needs no end.
        let _ = self.sender.send(last).await;
    }

    /// Returns when the last message has left the queue.
    async fn send_all(&mut self, mut rows: OutputStream) -> Result<(), Stop> {
        let schema = self.encoder.schema_message();
        self.send(schema, Bytes::new()).await?;
        while let Some(item) = rows.next().await {
            let (_partition, batch) = item.map_err(Stop::Failed)?;
            for part in block::split(&batch, limits::RESULT_MESSAGE_BYTES) {
                // Nothing is encoded before there is a place for it. This task is the only sender, so the place stays.
                drop(self.sender.reserve().await.map_err(|_| Stop::Gone)?);
                let block = self.encoder.encode(&part).map_err(Stop::Failed)?;
                self.send(block.header, block.body).await?;
            }
        }
        drop(rows);
        self.sender.reserve_many(limits::RESULT_QUEUE).await.map_err(|_| Stop::Gone).map(drop)
    }

    async fn send(&mut self, header: Bytes, body: Bytes) -> Result<(), Stop> {
        let (permit, charge) = room(&self.sender, &self.budget, (header.len() + body.len()) as u64).await?;
        let message = FlightData { data_header: header, data_body: body, ..FlightData::default() };
        let parcel = Parcel::new(message, charge);
        self.on_the_way.push_back(parcel.clone());
        permit.send(Item::Message(parcel));
        while self.on_the_way.len() > limits::RESULT_QUEUE {
            self.on_the_way.pop_front();
        }
        Ok(())
    }
}

/// Waits for a place in the queue; when memory is short, until the queue is empty.
async fn room<'a>(
    sender: &'a mpsc::Sender<Item>,
    budget: &Budget,
    bytes: u64,
) -> Result<(Permit<'a, Item>, Charge), Stop> {
    let permit = sender.reserve().await.map_err(|_| Stop::Gone)?;
    if let Ok(charge) = budget.try_charge(Share::Fetch, bytes, "rows to be sent") {
        return Ok((permit, charge));
    }
    drop(permit);
    let mut all = sender.reserve_many(limits::RESULT_QUEUE).await.map_err(|_| Stop::Gone)?;
    let permit = all.next().ok_or(Stop::Gone)?;
    Ok((permit, budget.charge(Share::Fetch, bytes)))
}

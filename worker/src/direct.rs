//! Serves the parts of large results to clients: Arrow Flight's DoGet, and nothing else of it.
//!
//! ```text
//!   store ──► encoding task (CPU runtime) ──► RESULT_QUEUE messages, charged ──► tonic (I/O runtime) ──► client
//!                └── takes everything back when the job is over, or when nothing is taken for TICKET_PATIENCE
//! ```
//!
//! A stream has every row of its output or ends in an error. It ends with its job: nothing is kept for a client that does
//! not read on after its job was cancelled. When only the output is freed, because the connection to the coordinator was
//! lost for a moment and another run of its task counts now, a stream goes on: its rows are as good. Not so the rows of an
//! indeterminate result, whose tickets are strict: their streams end with the output. Other workers read through [`crate::server`], whose streams outlive it.

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
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, Permit};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
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
        let reading = Shared(Arc::new(Mutex::new(Some(rows.reads().begin(self.store.read_news())?))));
        let encoder = OutwardEncoder::new(&ticket.schema)?;
        let (sender, queue) = mpsc::channel(limits::RESULT_QUEUE);
        let (budget, counted) = (self.store.budget().clone(), self.store.serving());
        let on_the_way = VecDeque::new();
        let sending = Sending { sender, budget, encoder, on_the_way, reading: reading.clone() };
        let over = rows.over(ticket.strict).clone();
        let task = self.cpu.spawn(sending.run(rows, over, counted)).abort_handle();
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

/// A message that waits for the client, and its charge. Its sender can take it back and leave the reason.
#[derive(Clone, Debug)]
struct Parcel(Arc<Mutex<Result<(FlightData, Charge), Error>>>);

impl Parcel {
    fn new(message: FlightData, charge: Charge) -> Self {
        Self(Arc::new(Mutex::new(Ok((message, charge)))))
    }

    fn take(&self) -> Result<(FlightData, Charge), Error> {
        self.replace(freed())
    }

    fn replace(&self, error: Error) -> Result<(FlightData, Charge), Error> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Err(error))
    }
}

/// A read that either side can end: the client's, or the one that sends and waits for the client in vain.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Option<Reading>>>);

impl Shared {
    fn end(&self) -> Option<Reading> {
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
    reading: Shared,
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
                Ok((message, _charge)) => return Poll::Ready(Some(Ok(message))),
                Err(error) => error,
            },
            Some(Item::End) => {
                self.ended = true;
                if let Some(reading) = self.reading.end() {
                    reading.complete();
                }
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
        drop(self.reading.end());
    }
}

fn freed() -> Error {
    Error::cancelled().context("the result was released before all of it was read")
}

fn stalled() -> Error {
    let seconds = limits::TICKET_PATIENCE.as_secs();
    Error::cancelled().context(format!("nothing of the result was taken for {seconds} s (TICKET_PATIENCE)"))
}

/// Waits for places in the queue, for as long as a client may take nothing.
async fn patient<T>(places: impl Future<Output = Result<T, SendError<()>>>) -> Result<T, Stop> {
    match tokio::time::timeout(limits::TICKET_PATIENCE, places).await {
        Ok(places) => places.map_err(|_| Stop::Gone),
        Err(_) => Err(Stop::Recalled(stalled())),
    }
}

/// Why sending stops early.
enum Stop {
    /// The client has gone.
    Gone,
    Failed(Error),
    /// The client may never read on: what waits for it goes now, and it finds this in its place.
    Recalled(Error),
}

struct Sending {
    sender: mpsc::Sender<Item>,
    budget: Budget,
    encoder: OutwardEncoder,
    /// What may still wait in the queue.
    on_the_way: VecDeque<Parcel>,
    reading: Shared,
}

impl Sending {
    /// Ends when it is `over`. `counted` counts the stream for as long as something is done for it, or kept.
    async fn run(mut self, rows: OutputStream, over: CancellationToken, counted: Counted) {
        let sent = tokio::select! {
            biased;
            () = over.cancelled() => Err(Stop::Recalled(freed())),
            sent = self.send_all(rows) => sent,
        };
        let last = match sent {
            Ok(()) => Item::End,
            Err(Stop::Failed(error)) => Item::Failed(error),
            Err(Stop::Recalled(error)) => self.recall(&error),
            Err(Stop::Gone) => return,
        };
        drop(counted);
        if let Ok(permit) = self.sender.try_reserve() {
            permit.send(last);
            return;
        }
        // What it finds in the queue first says why, if everything was recalled.
        let place = tokio::select! {
            biased;
            () = over.cancelled() => Err(Stop::Recalled(freed())),
            place = patient(self.sender.reserve()) => place,
        };
        match place {
            Ok(permit) => permit.send(last),
            Err(Stop::Recalled(error)) => drop(self.recall(&error)),
            // A client that has gone needs no end.
            Err(Stop::Gone | Stop::Failed(_)) => {}
        }
    }

    /// Takes back what waits, and ends the read: nobody waits for a client that takes nothing.
    fn recall(&self, error: &Error) -> Item {
        self.on_the_way.iter().for_each(|parcel| drop(parcel.replace(error.clone())));
        drop(self.reading.end());
        Item::Failed(error.clone())
    }

    /// Returns when the last message has left the queue.
    async fn send_all(&mut self, mut rows: OutputStream) -> Result<(), Stop> {
        let schema = self.encoder.schema_message();
        self.send(schema, Bytes::new()).await?;
        while let Some(item) = rows.next().await {
            let (_partition, batch) = item.map_err(Stop::Failed)?;
            for part in block::split(&batch, limits::RESULT_MESSAGE_BYTES) {
                // Nothing is encoded before there is a place for it. This task is the only sender, so the place stays.
                drop(patient(self.sender.reserve()).await?);
                let block = self.encoder.encode(&part).map_err(Stop::Failed)?;
                self.send(block.header, block.body).await?;
            }
        }
        // The rows are held until then: by them the end of the job finds this stream.
        let drained = patient(self.sender.reserve_many(limits::RESULT_QUEUE)).await.map(drop);
        drop(rows);
        drained
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
    let permit = patient(sender.reserve()).await?;
    if let Ok(charge) = budget.try_charge(Share::Fetch, bytes, "rows to be sent") {
        return Ok((permit, charge));
    }
    drop(permit);
    let mut all = patient(sender.reserve_many(limits::RESULT_QUEUE)).await?;
    let permit = all.next().ok_or(Stop::Gone)?;
    Ok((permit, budget.charge(Share::Fetch, bytes)))
}

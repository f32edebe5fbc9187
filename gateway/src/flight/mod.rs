//! Flight SQL: the service itself, which finds out who calls and what is wanted, and hands it to the file that owns it.
//!
//! | call | owner |
//! |---|---|
//! | Handshake | `identity` |
//! | GetFlightInfo, GetSchema, PollFlightInfo | `queries`, for the catalog `metadata` |
//! | DoGet | `rows`, for a part of a large result `direct` |
//! | DoPut | `puts`, for bulk rows `ingest` |
//! | DoAction, ListActions | `actions`, for the session's settings `options` |

mod actions;
mod answer;
mod commands;
mod direct;
mod identity;
mod ingest;
mod keys;
mod metadata;
mod options;
mod puts;
mod queries;
mod room;
mod rows;
mod server_info;
mod ticket;
mod type_info;

use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket as FlightTicket,
};
use futures::{Stream, StreamExt};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};
use windrow_common::{Error, ErrorKind, Result, limits};
use windrow_engine::exchange::DirectTicket;
use windrow_proto::status::to_foreign_status;

use crate::control::Control;
use identity::{Caller, Callers};
use room::{Room, Rooms};
use ticket::Ticket;

type Reply<T> = std::result::Result<Response<T>, Status>;
type Replies<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// The Flight SQL service of one coordinator.
#[derive(Clone, Debug)]
pub struct Gateway {
    control: Arc<dyn Control>,
    callers: Arc<Callers>,
    rooms: Arc<Rooms>,
}

impl Gateway {
    /// A gateway to the coordinator behind `control`.
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { callers: Callers::new(Arc::clone(&control)), control, rooms: Arc::default() }
    }

    /// The service, to be served.
    pub fn routes(self) -> tonic::service::Routes {
        let service = FlightServiceServer::new(self)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        tonic::service::Routes::new(service)
    }

    /// Connections and sessions that something is kept for.
    pub fn kept(&self) -> (usize, usize) {
        (self.callers.len(), self.rooms.len())
    }

    fn caller<T>(&self, request: &Request<T>) -> std::result::Result<Caller, Status> {
        self.callers.caller(request.metadata(), request.extensions())
    }

    /// The room of the session that a ticket or handle was made in.
    fn room_of(&self, ticket: Ticket) -> Result<Arc<Room>> {
        let room = self.rooms.numbered(ticket.room)?;
        // Hereby used, if it is still open.
        self.control.session(room.session.id()).map(|_| room)
    }
}

fn status(error: Error) -> Status {
    to_foreign_status(&error)
}

fn stream_of<T: Send + 'static>(items: Vec<T>) -> Replies<T> {
    Box::pin(futures::stream::iter(items.into_iter().map(Ok)))
}

#[tonic::async_trait]
impl FlightService for Gateway {
    type HandshakeStream = Replies<HandshakeResponse>;
    type ListFlightsStream = Replies<FlightInfo>;
    type DoGetStream = Replies<FlightData>;
    type DoPutStream = Replies<PutResult>;
    type DoExchangeStream = Replies<FlightData>;
    type DoActionStream = Replies<arrow_flight::Result>;
    type ListActionsStream = Replies<ActionType>;

    /// Opens a session and gives its bearer token. Names and passwords are not asked for yet.
    async fn handshake(&self, _request: Request<Streaming<HandshakeRequest>>) -> Reply<Self::HandshakeStream> {
        let token = self.callers.open().map_err(status)?.id().token();
        let header = MetadataValue::try_from(format!("Bearer {token}"));
        let header = header.map_err(|e| status(Error::internal(format!("a token is no header: {e}"))))?;
        let answer = HandshakeResponse { protocol_version: 0, payload: token.into() };
        let mut response = Response::new(stream_of(vec![answer]));
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    /// Nothing lies ready to be fetched without a statement.
    async fn list_flights(&self, _request: Request<Criteria>) -> Reply<Self::ListFlightsStream> {
        Ok(Response::new(stream_of(vec![])))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Reply<FlightInfo> {
        let caller = self.caller(&request)?;
        let info = self.flight_info(&caller.session, request.into_inner()).await.map_err(status)?;
        Ok(caller.respond(info))
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Reply<PollInfo> {
        let caller = self.caller(&request)?;
        let info = self.poll_info(&caller.session, request.into_inner()).await.map_err(status)?;
        Ok(caller.respond(info))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Reply<SchemaResult> {
        let caller = self.caller(&request)?;
        let schema = self.schema_of(&caller.session, request.into_inner()).await.map_err(status)?;
        Ok(caller.respond(schema))
    }

    async fn do_get(&self, request: Request<FlightTicket>) -> Reply<Self::DoGetStream> {
        let bytes = request.get_ref().ticket.clone();
        if let Some(part) = DirectTicket::decode(&bytes) {
            let rows = self.fetch_part(&part).await.map_err(status)?;
            return Ok(Response::new(Box::pin(rows)));
        }
        if let Some(ticket) = queries::answer_ticket(&bytes) {
            let rows = self.fetch(ticket).await.map_err(status)?;
            return Ok(Response::new(Box::pin(rows)));
        }
        let caller = self.caller(&request)?;
        let rows = self.catalog_rows(&caller.session, &bytes).await.map_err(status)?;
        Ok(caller.respond(stream_of(rows)))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Reply<Self::DoPutStream> {
        let caller = self.caller(&request)?;
        let result = self.put(&caller.session, request.into_inner()).await.map_err(status)?;
        Ok(caller.respond(stream_of(result)))
    }

    async fn do_exchange(&self, _request: Request<Streaming<FlightData>>) -> Reply<Self::DoExchangeStream> {
        let text = "DoExchange is not part of Flight SQL; send rows with DoPut and fetch them with DoGet";
        Err(status(Error::new(ErrorKind::Unsupported, text)))
    }

    async fn do_action(&self, request: Request<Action>) -> Reply<Self::DoActionStream> {
        let caller = self.caller(&request)?;
        let results = self.act(&caller.session, request.into_inner()).await.map_err(status)?;
        let results: Vec<_> = results.into_iter().map(|body| arrow_flight::Result { body }).collect();
        Ok(caller.respond(futures::stream::iter(results.into_iter().map(Ok)).boxed()))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Reply<Self::ListActionsStream> {
        Ok(Response::new(stream_of(actions::all())))
    }
}

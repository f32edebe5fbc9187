//! Statements whose rows are fetched: started by GetFlightInfo or PollFlightInfo, fetched by DoGet.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, PollInfo, SchemaAsIpc, SchemaResult};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use prost::Message;
use windrow_common::{Error, Result};
use windrow_coordinator::{Session, StatementText};
use windrow_engine::exchange::DirectTicket;
use windrow_engine::exchange::outward::outward_schema;

use super::answer::{Answer, Look, Running};
use super::commands::{self, of_descriptor, refuse_transaction};
use super::room::Room;
use super::rows::{self, Outgoing, Source};
use super::ticket::Ticket;
use super::{Gateway, direct, metadata};

/// A statement, and the session that it runs in.
pub(super) struct Wanted {
    pub(super) room: Arc<Room>,
    pub(super) text: StatementText,
}

impl Gateway {
    /// Starts a statement and says how its rows are fetched.
    pub(super) async fn flight_info(&self, session: &Arc<Session>, wanted: FlightDescriptor) -> Result<FlightInfo> {
        let command = of_descriptor(&wanted)?;
        if let Some(schema) = metadata::schema(&command)? {
            let endpoint = FlightEndpoint::new().with_ticket(arrow_flight::Ticket { ticket: wanted.cmd.clone() });
            return info(&wanted, &schema, vec![endpoint]);
        }
        let statement = self.wanted(session, &command, "GetFlightInfo")?;
        let answer = self.start(statement, Return::WhenSettled).await?;
        answer_info(&wanted, &answer, &Look::Ready).await
    }

    /// Starts a statement, or waits for news of one that was started before.
    pub(super) async fn poll_info(&self, session: &Arc<Session>, wanted: FlightDescriptor) -> Result<PollInfo> {
        let (room, answer) = match Ticket::decode(&wanted.cmd) {
            Some(ticket) => {
                let room = self.room_of(ticket)?;
                let answer = room.answer(ticket)?;
                (room, answer)
            }
            None => {
                let command = of_descriptor(&wanted)?;
                if metadata::schema(&command)?.is_some() {
                    let info = self.flight_info(session, wanted).await?;
                    return Ok(PollInfo { info: Some(info), progress: Some(1.0), ..PollInfo::default() });
                }
                let statement = self.wanted(session, &command, "PollFlightInfo")?;
                let room = Arc::clone(&statement.room);
                (room, self.start(statement, Return::AtOnce).await?)
            }
        };
        let again = FlightDescriptor::new_cmd(answer.ticket().encode());
        let look = answer.look(&room).await?;
        let info = answer_info(&wanted, &answer, &look).await?;
        Ok(match look {
            Look::Going(progress) => PollInfo {
                info: Some(info),
                flight_descriptor: Some(again),
                progress: Some(progress),
                expiration_time: None,
            },
            Look::Ready => PollInfo { info: Some(info), progress: Some(1.0), ..PollInfo::default() },
        })
    }

    /// The columns of a statement, without running it.
    pub(super) async fn schema_of(&self, session: &Arc<Session>, wanted: FlightDescriptor) -> Result<SchemaResult> {
        let command = of_descriptor(&wanted)?;
        let schema = match metadata::schema(&command)? {
            Some(schema) => schema,
            None => {
                let wanted = self.wanted(session, &command, "GetSchema")?;
                let described = self.control.describe(&wanted.room.session, wanted.text).await?;
                outward_schema(&described.columns)
            }
        };
        SchemaResult::try_from(SchemaAsIpc::new(&schema, &IpcWriteOptions::default()))
            .map_err(|e| Error::internal(format!("a schema cannot be sent: {e}")))
    }

    /// Sends the rows of an answer.
    pub(super) async fn fetch(&self, ticket: Ticket) -> Result<Outgoing> {
        let room = self.room_of(ticket)?;
        let answer = room.answer(ticket)?;
        let running = answer.take().await?;
        Ok(rows::send(self.control.as_ref(), room, answer, Source::Whole(running)))
    }

    /// The statement that a command stands for.
    fn wanted(&self, session: &Arc<Session>, command: &Command, call: &str) -> Result<Wanted> {
        match command {
            Command::CommandStatementQuery(query) => {
                refuse_transaction(query.transaction_id.as_ref())?;
                Ok(Wanted { room: self.rooms.of(session), text: query.query.as_str().into() })
            }
            Command::CommandPreparedStatementQuery(query) => self.prepared_text(&query.prepared_statement_handle, None),
            other => Err(commands::refused(other, call)),
        }
    }

    /// A prepared statement with these values for its parameters, or the ones bound before.
    pub(super) fn prepared_text(&self, handle: &Bytes, values: Option<RecordBatch>) -> Result<Wanted> {
        let ticket = handle_of(handle)?;
        let room = self.room_of(ticket)?;
        let prepared = room.prepared(ticket)?;
        let parameters = values.or_else(|| prepared.bound());
        Ok(Wanted { room, text: StatementText { sql: prepared.sql.clone(), parameters } })
    }

    async fn start(&self, wanted: Wanted, when: Return) -> Result<Arc<Answer>> {
        wanted.room.check_answers()?;
        let statement = self.control.execute(&wanted.room.session, wanted.text)?;
        let mut running = Running::accepted(statement).await?;
        if when == Return::WhenSettled {
            running.settle().await?;
        }
        Answer::keep(&wanted.room, running).await
    }
}

/// When the call that starts a statement returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Return {
    /// When the statement is accepted: the client asks again how far it is.
    AtOnce,
    /// What it writes is there then: the client's next statement may read it, whether this one's answer is fetched or not.
    /// Where the rows of a query lie is known then, unless that takes long.
    WhenSettled,
}

/// The ticket in a prepared statement's handle.
pub(super) fn handle_of(handle: &Bytes) -> Result<Ticket> {
    Ticket::decode(handle).ok_or_else(|| Error::user("this is no handle of a prepared statement"))
}

/// The ticket of an answer, as its Flight information carries it or as Flight SQL wraps it.
pub(super) fn answer_ticket(bytes: &Bytes) -> Option<Ticket> {
    let wrapped = || {
        let any = Any::decode(&**bytes).ok()?;
        let ticket: TicketStatementQuery = any.unpack().ok()??;
        Ticket::decode(&ticket.statement_handle)
    };
    Ticket::decode(bytes).or_else(wrapped)
}

/// The answer that a ticket belongs to, whether it is for all of it or for a part.
pub(super) fn any_ticket(bytes: &Bytes) -> Option<Ticket> {
    DirectTicket::decode(bytes).map(|part| direct::answer_of(&part)).or_else(|| answer_ticket(bytes))
}

/// The endpoint where all rows of an answer are fetched.
pub(super) fn endpoint(answer: Ticket) -> FlightEndpoint {
    let ticket = TicketStatementQuery { statement_handle: answer.encode() };
    FlightEndpoint::new().with_ticket(arrow_flight::Ticket { ticket: ticket.as_any().encode_to_vec().into() })
}

/// The information of an answer names it in its metadata too: it can be cancelled before it has endpoints.
async fn answer_info(wanted: &FlightDescriptor, answer: &Answer, look: &Look) -> Result<FlightInfo> {
    let info = info(wanted, &outward_schema(answer.columns()), answer.endpoints(look).await)?;
    Ok(info.with_app_metadata(answer.ticket().encode()))
}

fn info(wanted: &FlightDescriptor, schema: &Schema, endpoints: Vec<FlightEndpoint>) -> Result<FlightInfo> {
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|e| Error::internal(format!("a schema cannot be sent: {e}")))?;
    Ok(info.with_descriptor(wanted.clone()).with_endpoints(endpoints).with_ordered(true))
}

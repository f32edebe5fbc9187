//! What clients send with DoPut: updates, values for parameters, and rows for a table.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{SchemaRef, UInt64Type};
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{FlightData, PutResult};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message;
use tonic::{Status, Streaming};
use windrow_common::{Error, ErrorKind, Result, limits};
use windrow_coordinator::Session;
use windrow_proto::status::from_status;

use super::answer::Running;
use super::commands::{self, refuse_transaction};
use super::queries::{Wanted, handle_of};
use super::{Gateway, ingest};

/// The number of rows of a statement that does not say.
const UNKNOWN: i64 = -1;

impl Gateway {
    /// Carries out what the first message says with what the others bring.
    pub(super) async fn put(&self, session: &Arc<Session>, mut data: Streaming<FlightData>) -> Result<Vec<PutResult>> {
        let first = data.message().await.map_err(|s| from_status(&s))?;
        let Some(first) = first else { return Err(Error::user("DoPut without a message says nothing")) };
        let Some(descriptor) = first.flight_descriptor.clone() else {
            return Err(Error::user("the first message of DoPut carries no descriptor"));
        };
        let rest = data;
        match commands::of_descriptor(&descriptor)? {
            Command::CommandStatementUpdate(update) => {
                refuse_transaction(update.transaction_id.as_ref())?;
                let wanted = Wanted { room: self.rooms.of(session), text: update.query.as_str().into() };
                self.update(wanted).await
            }
            Command::CommandPreparedStatementUpdate(update) => {
                let values = self.control.computed(values(Sent::new(first, rest))).await?;
                let wanted = self.prepared_text(&update.prepared_statement_handle, values)?;
                self.update(wanted).await
            }
            Command::CommandPreparedStatementQuery(query) => {
                let values = self.control.computed(values(Sent::new(first, rest))).await?;
                let ticket = handle_of(&query.prepared_statement_handle)?;
                self.room_of(ticket)?.prepared(ticket)?.bind(values);
                let handle = Some(query.prepared_statement_handle);
                Ok(vec![result(&DoPutPreparedStatementResult { prepared_statement_handle: handle })])
            }
            Command::CommandStatementIngest(command) => {
                refuse_transaction(command.transaction_id.as_ref())?;
                let target = ingest::target(command)?;
                let rows = self.ingest(session, target, Sent::new(first, rest)).await?;
                Ok(vec![counted(rows)])
            }
            other => Err(commands::refused(&other, "DoPut")),
        }
    }

    /// Runs a statement to its end.
    async fn update(&self, wanted: Wanted) -> Result<Vec<PutResult>> {
        let statement = self.control.execute(&wanted.room.session, wanted.text)?;
        let mut running = Running::accepted(statement).await?;
        let (writes, query) = (running.writes, !running.columns.fields().is_empty());
        let mut written = 0;
        while let Some(batch) = running.next().await? {
            if writes {
                let counts = batch.column(0).as_primitive_opt::<UInt64Type>();
                written += counts.map_or(0, |counts| counts.values().iter().sum::<u64>());
            }
        }
        let count = if writes { i64::try_from(written).unwrap_or(i64::MAX) } else { 0 };
        Ok(vec![counted(if query && !writes { UNKNOWN } else { count })])
    }
}

pub(super) fn counted(rows: i64) -> PutResult {
    result(&DoPutUpdateResult { record_count: rows })
}

fn result(message: &impl Message) -> PutResult {
    PutResult { app_metadata: Bytes::from(message.encode_to_vec()) }
}

/// The batches that a client sends.
pub(super) struct Sent {
    decoder: FlightDataDecoder,
}

impl Sent {
    pub(super) fn new(
        first: FlightData,
        rest: impl Stream<Item = std::result::Result<FlightData, Status>> + Send + 'static,
    ) -> Self {
        let all = futures::stream::once(async { Ok(first) }).chain(rest);
        // A message may carry a descriptor or metadata only.
        let data = all.filter(|message| {
            let empty = message.as_ref().is_ok_and(|message| message.data_header.is_empty());
            futures::future::ready(!empty)
        });
        Self { decoder: FlightDataDecoder::new(data.map(|message| message.map_err(FlightError::from)).boxed()) }
    }

    /// The columns, when they have been said; none if nothing comes at all.
    pub(super) async fn columns(&mut self) -> Result<Option<SchemaRef>> {
        match self.decoder.next().await.transpose().map_err(unreadable)? {
            None => Ok(None),
            Some(message) => match message.payload {
                DecodedPayload::Schema(schema) => Ok(Some(schema)),
                DecodedPayload::None | DecodedPayload::RecordBatch(_) => {
                    Err(Error::user("rows were sent before their columns"))
                }
            },
        }
    }

    /// The next rows.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.decoder.next().await.transpose().map_err(unreadable)? {
                None => return Ok(None),
                Some(message) => match message.payload {
                    DecodedPayload::RecordBatch(batch) => return Ok(Some(batch)),
                    DecodedPayload::None => {}
                    DecodedPayload::Schema(_) => return Err(Error::user("columns were sent twice")),
                },
            }
        }
    }
}

fn unreadable(error: FlightError) -> Error {
    match error {
        FlightError::Tonic(status) => from_status(&status),
        other => Error::user(format!("what was sent is unreadable: {other}")),
    }
}

/// Values for parameters, all in one batch.
async fn values(mut sent: Sent) -> Result<Option<RecordBatch>> {
    let Some(schema) = sent.columns().await? else { return Ok(None) };
    let mut batches = vec![];
    let mut bytes = 0;
    while let Some(batch) = sent.next().await? {
        bytes += batch.get_array_memory_size();
        if bytes > limits::MAX_PARAMETER_BYTES {
            let limit = limits::MAX_PARAMETER_BYTES;
            let text =
                format!("values for parameters exceed {limit} bytes (MAX_PARAMETER_BYTES); ingest them as a table");
            return Err(Error::new(ErrorKind::Limit, text));
        }
        batches.push(batch);
    }
    if schema.fields().is_empty() {
        return Ok(None);
    }
    let all = concat_batches(&schema, &batches).map_err(|e| Error::user(format!("values do not fit together: {e}")))?;
    Ok((all.num_rows() > 0).then_some(all))
}

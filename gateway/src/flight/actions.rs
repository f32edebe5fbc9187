//! Actions: prepared statements, cancelling, and the session itself.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow_flight::sql::{
    ActionCancelQueryResult, ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo, IpcMessage,
    SchemaAsIpc,
};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use prost::Message;
use windrow_common::{Error, ErrorKind, Result};
use windrow_coordinator::Session;
use windrow_engine::exchange::outward::outward_schema;
use windrow_engine::session::StatementKind;

use super::Gateway;
use super::commands::{self, plain, refuse_transaction};
use super::queries::{any_ticket, handle_of};

const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "Prepares a statement. ActionCreatePreparedStatementRequest → …Result"),
    ("ClosePreparedStatement", "Forgets a prepared statement. ActionClosePreparedStatementRequest → nothing"),
    ("CancelFlightInfo", "Cancels a statement. CancelFlightInfoRequest → CancelFlightInfoResult"),
    ("CancelQuery", "Cancels a statement; older form. ActionCancelQueryRequest → ActionCancelQueryResult"),
    ("SetSessionOptions", "Changes settings of the session. SetSessionOptionsRequest → SetSessionOptionsResult"),
    ("GetSessionOptions", "The settings of the session. GetSessionOptionsRequest → GetSessionOptionsResult"),
    ("CloseSession", "Ends the session and what it runs. CloseSessionRequest → CloseSessionResult"),
    ("RenewFlightEndpoint", "Refused: answers are fetched once and are not kept"),
];

/// The actions there are.
pub(super) fn all() -> Vec<ActionType> {
    let action =
        |(name, description): (&str, &str)| ActionType { r#type: name.to_owned(), description: description.to_owned() };
    ACTIONS.into_iter().map(action).collect()
}

impl Gateway {
    /// Does what an action says.
    pub(super) async fn act(&self, session: &Arc<Session>, action: Action) -> Result<Vec<Bytes>> {
        let body = &action.body;
        match action.r#type.as_str() {
            "CreatePreparedStatement" => match commands::command(body)? {
                Command::ActionCreatePreparedStatementRequest(request) => self.prepare(session, request).await,
                other => Err(commands::refused(&other, "CreatePreparedStatement")),
            },
            "ClosePreparedStatement" => match commands::command(body)? {
                Command::ActionClosePreparedStatementRequest(request) => self.close_prepared(&request),
                other => Err(commands::refused(&other, "ClosePreparedStatement")),
            },
            "CancelFlightInfo" => {
                let request: CancelFlightInfoRequest = plain(body)?;
                let status = self.cancel(&request.info.unwrap_or_default());
                Ok(vec![CancelFlightInfoResult { status: status as i32 }.encode_to_vec().into()])
            }
            "CancelQuery" => match commands::command(body)? {
                Command::ActionCancelQueryRequest(request) => {
                    // The numbers of both enumerations are the same.
                    let status = self.cancel(&plain::<FlightInfo>(&request.info)?);
                    Ok(vec![packed(&ActionCancelQueryResult { result: status as i32 })])
                }
                other => Err(commands::refused(&other, "CancelQuery")),
            },
            "SetSessionOptions" => Ok(vec![self.set_options(session, plain(body)?).await.encode_to_vec().into()]),
            "GetSessionOptions" => Ok(vec![Self::options(session).encode_to_vec().into()]),
            "CloseSession" => Ok(vec![self.close_session(session).encode_to_vec().into()]),
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                Err(Error::new(ErrorKind::Unsupported, "there are no transactions; every statement stands for itself"))
            }
            "RenewFlightEndpoint" => Err(Error::new(
                ErrorKind::Unsupported,
                "answers are fetched once and are not kept; run the statement again",
            )),
            other => Err(Error::new(ErrorKind::Unsupported, format!("the action '{other}' does not exist here"))),
        }
    }

    async fn prepare(
        &self,
        session: &Arc<Session>,
        wanted: ActionCreatePreparedStatementRequest,
    ) -> Result<Vec<Bytes>> {
        refuse_transaction(wanted.transaction_id.as_ref())?;
        let described = self.control.describe(session, wanted.query.as_str().into()).await?;
        let prepared = self.rooms.of(session).prepare(wanted.query, described)?;
        let described = &prepared.description;
        // Clients take a statement without columns for an update.
        let dataset_schema = match described.kind {
            StatementKind::Query => ipc(&outward_schema(&described.columns))?,
            StatementKind::Update | StatementKind::Definition => ipc(&Schema::empty())?,
        };
        let parameter_schema = ipc(&outward_schema(&described.parameters))?;
        let prepared_statement_handle = prepared.ticket.encode();
        Ok(vec![packed(&ActionCreatePreparedStatementResult {
            prepared_statement_handle,
            dataset_schema,
            parameter_schema,
        })])
    }

    fn close_prepared(&self, request: &ActionClosePreparedStatementRequest) -> Result<Vec<Bytes>> {
        let ticket = handle_of(&request.prepared_statement_handle)?;
        // With its session the statement has gone already.
        if let Ok(room) = self.room_of(ticket) {
            room.unprepare(ticket);
        }
        Ok(vec![])
    }

    /// Cancels the statement of this information; one that has ended cannot be cancelled any more.
    fn cancel(&self, info: &FlightInfo) -> CancelStatus {
        let fetched = info.endpoint.iter().filter_map(|endpoint| Some(&endpoint.ticket.as_ref()?.ticket));
        let named = fetched.chain(std::iter::once(&info.app_metadata));
        let mut status = CancelStatus::NotCancellable;
        for ticket in named.filter_map(any_ticket) {
            if let Ok(answer) = self.room_of(ticket).and_then(|room| room.answer(ticket)) {
                answer.cancel();
                status = CancelStatus::Cancelled;
            }
        }
        status
    }
}

fn packed(message: &impl ProstMessageExt) -> Bytes {
    let any: Any = message.as_any();
    any.encode_to_vec().into()
}

fn ipc(schema: &Schema) -> Result<Bytes> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    message.map(|message| message.0).map_err(|e| Error::internal(format!("a schema cannot be sent: {e}")))
}

//! What there is: catalogs, schemas, tables, their kinds and keys, and what the server and its types can do.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use windrow_common::{Error, Result};
use windrow_coordinator::Session;
use windrow_engine::exchange::outward::outward_schema;
use windrow_engine::session::listing::TABLE_KINDS;

use super::rows::send_batch;
use super::{Gateway, commands, keys, server_info, type_info};

/// The columns of a command's answer, if it asks for what there is.
pub(super) fn schema(command: &Command) -> Result<Option<SchemaRef>> {
    Ok(Some(match command {
        Command::CommandGetCatalogs(command) => (*command).into_builder().schema(),
        Command::CommandGetDbSchemas(command) => command.clone().into_builder().schema(),
        Command::CommandGetTables(command) => command.clone().into_builder().schema(),
        Command::CommandGetTableTypes(command) => (*command).into_builder().schema(),
        Command::CommandGetPrimaryKeys(_) => keys::primary(),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => keys::foreign(),
        Command::CommandGetSqlInfo(_) => server_info::all()?.schema(),
        Command::CommandGetXdbcTypeInfo(_) => type_info::all()?.schema(),
        _ => return Ok(None),
    }))
}

fn failed(error: FlightError) -> Error {
    Error::internal(format!("a part of the catalog cannot be listed: {error}"))
}

impl Gateway {
    /// The messages of an answer about what there is.
    pub(super) async fn catalog_rows(&self, session: &Arc<Session>, ticket: &[u8]) -> Result<Vec<FlightData>> {
        let command = commands::command(ticket).map_err(|_| Error::user("this is no ticket of ours"))?;
        let (gateway, session) = (self.clone(), Arc::clone(session));
        // A large catalog is long to list and to encode.
        self.control.computed(async move { gateway.list(&session, command).await }).await
    }

    async fn list(&self, session: &Session, command: Command) -> Result<Vec<FlightData>> {
        let batch = match command {
            Command::CommandGetCatalogs(command) => {
                let mut builder = command.into_builder();
                for (catalog, _) in session.engine().schemas() {
                    builder.append(catalog);
                }
                builder.build().map_err(failed)?
            }
            Command::CommandGetDbSchemas(command) => schemas(session, command).map_err(failed)?,
            Command::CommandGetTables(command) => self.tables(session, command).await?,
            Command::CommandGetTableTypes(command) => {
                let mut builder = command.into_builder();
                for kind in TABLE_KINDS {
                    builder.append(kind);
                }
                builder.build().map_err(failed)?
            }
            Command::CommandGetPrimaryKeys(_) => RecordBatch::new_empty(keys::primary()),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => RecordBatch::new_empty(keys::foreign()),
            Command::CommandGetSqlInfo(command) => command.into_builder(server_info::all()?).build().map_err(failed)?,
            Command::CommandGetXdbcTypeInfo(command) => {
                command.into_builder(type_info::all()?).build().map_err(failed)?
            }
            other => return Err(commands::refused(&other, "DoGet")),
        };
        send_batch(&batch)
    }

    async fn tables(&self, session: &Session, command: CommandGetTables) -> Result<RecordBatch> {
        let mut builder = command.into_builder();
        for table in self.control.tables(session).await? {
            let columns = outward_schema(&table.columns);
            builder.append(table.catalog, table.schema, table.name, table.kind, &columns).map_err(failed)?;
        }
        builder.build().map_err(failed)
    }
}

fn schemas(session: &Session, command: CommandGetDbSchemas) -> std::result::Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    for (catalog, schemas) in session.engine().schemas() {
        for schema in schemas {
            builder.append(&catalog, schema);
        }
    }
    builder.build()
}

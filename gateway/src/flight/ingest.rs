//! Rows for a table, as they are sent: into the engine's writer batch by batch, and no faster than it writes.

use std::sync::Arc;

use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use windrow_common::{Error, ErrorKind, Result, limits};
use windrow_coordinator::Session;
use windrow_engine::session::{IfExists, IfMissing, IngestTarget};

use super::Gateway;
use super::puts::Sent;

/// What a command says of its table.
pub(super) fn target(command: CommandStatementIngest) -> Result<IngestTarget> {
    if let Some(option) = command.options.keys().next() {
        let text = format!("rows are ingested without options; '{option}' does not exist");
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    if command.table.is_empty() {
        return Err(Error::user("the rows are for no table; name one"));
    }
    let options = command.table_definition_options.unwrap_or_default();
    let if_missing = match options.if_not_exist() {
        TableNotExistOption::Create => IfMissing::Create,
        TableNotExistOption::Fail | TableNotExistOption::Unspecified => IfMissing::Fail,
    };
    let if_exists = match options.if_exists() {
        TableExistsOption::Append => IfExists::Append,
        TableExistsOption::Replace => IfExists::Replace,
        TableExistsOption::Fail | TableExistsOption::Unspecified => IfExists::Fail,
    };
    let CommandStatementIngest { table, schema, catalog, temporary, .. } = command;
    Ok(IngestTarget { catalog, schema, table, temporary, if_missing, if_exists })
}

impl Gateway {
    /// Writes what is sent, and says how many rows it was. When the client goes away, nothing of the rows stays.
    pub(super) async fn ingest(&self, session: &Arc<Session>, target: IngestTarget, sent: Sent) -> Result<i64> {
        let (gateway, session) = (self.clone(), Arc::clone(session));
        // Decoding and writing compute.
        self.control.computed(async move { gateway.write(&session, target, sent).await }).await
    }

    async fn write(&self, session: &Session, target: IngestTarget, mut sent: Sent) -> Result<i64> {
        let columns = sent.columns().await?;
        let columns = columns.ok_or_else(|| Error::user("no columns were sent; rows come as an Arrow stream"))?;
        let (sender, rows) = mpsc::channel(limits::INGEST_QUEUE);
        let writing = self.control.ingest(session, target, columns, ReceiverStream::new(rows).boxed());
        let reading = async move {
            while let Some(next) = sent.next().await.transpose() {
                let broken = next.is_err();
                // A writer that takes no more has given up, and says why.
                if sender.send(next).await.is_err() || broken {
                    return;
                }
            }
        };
        // Both run here and are dropped together.
        let (written, ()) = tokio::join!(writing, reading);
        Ok(i64::try_from(written?).unwrap_or(i64::MAX))
    }
}

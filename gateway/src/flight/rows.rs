//! How rows leave: turned into types that every client knows, divided into messages of a bounded size, encoded on the
//! threads that compute, a few messages ahead of the client and no more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow_flight::{FlightData, SchemaAsIpc};
use arrow_ipc::writer::IpcWriteOptions;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use windrow_common::{Error, Result, limits};
use windrow_engine::exchange::block::{BlockEncoder, Compression, split};
use windrow_proto::status::to_foreign_status;

use super::answer::{Answer, Running};
use super::room::Room;
use crate::control::Control;

/// A column's type as clients see it: views and dictionaries are how the engine holds data, and many clients know
/// neither.
fn outward(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| Arc::new(outward_field(field));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => outward(values),
        DataType::RunEndEncoded(_, values) => outward(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Fields>()),
        other => other.clone(),
    }
}

fn outward_field(field: &Field) -> Field {
    field.clone().with_data_type(outward(field.data_type()))
}

/// The columns as clients see them.
pub(super) fn outward_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| outward_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Makes messages of batches.
struct Encoder {
    schema: SchemaRef,
    blocks: BlockEncoder,
}

impl Encoder {
    fn new(columns: &Schema) -> Result<Self> {
        let schema = outward_schema(columns);
        let blocks = BlockEncoder::new(&schema, Compression::None)?;
        Ok(Self { schema, blocks })
    }

    fn schema_message(&self) -> FlightData {
        FlightData::from(SchemaAsIpc::new(&self.schema, &IpcWriteOptions::default()))
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<FlightData> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast(column, field.data_type())
        });
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options))
            .map_err(|e| Error::internal(format!("a result cannot be sent: {e}")))?;
        let block = self.blocks.encode(&batch)?;
        Ok(FlightData { data_header: block.header, data_body: block.body, ..FlightData::default() })
    }
}

/// Messages for one client. Dropping it stops the statement behind it.
#[derive(Debug)]
pub(super) struct Outgoing {
    messages: mpsc::Receiver<std::result::Result<FlightData, Status>>,
    _encoding: AbortOnDropHandle<()>,
}

impl Stream for Outgoing {
    type Item = std::result::Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(cx)
    }
}

/// Sends a statement's rows. The answer is forgotten when the last one was taken, or nobody takes them any more.
pub(super) fn send(control: &dyn Control, room: Arc<Room>, answer: Arc<Answer>, mut running: Running) -> Outgoing {
    let (sender, messages) = mpsc::channel(limits::RESULT_QUEUE);
    let fetched = Fetched { room, answer };
    let encoding = control.compute(Box::pin(async move {
        let cancelled = fetched.answer.cancelled().clone();
        let closed = fetched.room.session.closed().clone();
        let sent = tokio::select! {
            sent = pump(&mut running, &sender) => sent,
            () = cancelled.cancelled() => Err(Error::cancelled()),
            // However little of its rows a client takes.
            () = closed.cancelled() => Err(Error::cancelled().context("the session was closed")),
            () = sender.closed() => Ok(()),
        };
        // The job must have been told to stop before the client hears of the end.
        drop(running);
        drop(fetched);
        if let Err(error) = sent {
            let _ = sender.send(Err(to_foreign_status(&error))).await;
        }
    }));
    Outgoing { messages, _encoding: encoding }
}

async fn pump(running: &mut Running, sender: &mpsc::Sender<std::result::Result<FlightData, Status>>) -> Result<()> {
    let mut encoder = Encoder::new(&running.columns)?;
    let say = async |message| sender.send(Ok(message)).await.map_err(|_| Error::cancelled());
    say(encoder.schema_message()).await?;
    while let Some(batch) = running.next().await? {
        for part in split(&batch, limits::RESULT_MESSAGE_BYTES) {
            say(encoder.encode(&part)?).await?;
        }
    }
    Ok(())
}

/// Messages of rows that are at hand, such as those of the catalog.
pub(super) fn send_batch(batch: &RecordBatch) -> Result<Vec<FlightData>> {
    let mut encoder = Encoder::new(&batch.schema())?;
    let mut messages = vec![encoder.schema_message()];
    for part in split(batch, limits::RESULT_MESSAGE_BYTES) {
        messages.push(encoder.encode(&part)?);
    }
    Ok(messages)
}

/// Forgets an answer when its rows have left, or will not.
struct Fetched {
    room: Arc<Room>,
    answer: Arc<Answer>,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.room.forget(self.answer.ticket());
        // Wakes the one who watches whether the answer is fetched in time.
        self.answer.cancel();
    }
}

//! How rows leave: encoded on the threads that compute, a few messages ahead of the client and no more. What they look
//! like is the engine's business ([`windrow_engine::exchange::outward`]).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow_flight::FlightData;
use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use windrow_common::{Error, Result, limits};
use windrow_coordinator::PartRead;
use windrow_engine::exchange::block::{Block, split};
use windrow_engine::exchange::outward::OutwardEncoder;
use windrow_proto::status::to_foreign_status;

use super::answer::{Answer, Running};
use super::room::Room;
use crate::control::Control;

fn schema_message(encoder: &OutwardEncoder) -> FlightData {
    message(encoder.schema_message(), Bytes::new())
}

fn rows_message(block: Block) -> FlightData {
    message(block.header, block.body)
}

fn message(data_header: Bytes, data_body: Bytes) -> FlightData {
    FlightData { data_header, data_body, ..FlightData::default() }
}

/// Where rows come from.
pub(super) enum Source {
    /// All of an answer: the statement ends with them.
    Whole(Running),
    /// A part of one: others may be read beside it.
    Part(PartRead),
}

impl Source {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self {
            Self::Whole(running) => running.next().await,
            Self::Part(reading) => reading.next().await,
        }
    }
}

/// A message, or, behind the last one, none: a queue that closes without it was cut.
type Item = std::result::Result<Option<FlightData>, Status>;

/// Messages for one client. Dropping it stops what makes them.
#[derive(Debug)]
pub(super) struct Outgoing {
    messages: mpsc::Receiver<Item>,
    ended: bool,
    _encoding: AbortOnDropHandle<()>,
}

impl Stream for Outgoing {
    type Item = std::result::Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let cut = || Err(to_foreign_status(&Error::internal("the task that encodes a result has failed")));
        let item = std::task::ready!(self.messages.poll_recv(cx)).unwrap_or_else(cut);
        self.ended = !matches!(item, Ok(Some(_)));
        Poll::Ready(item.transpose())
    }
}

/// Sends rows. An answer that is sent whole is forgotten when the last one was taken, or nobody takes them any more.
pub(super) fn send(control: &dyn Control, room: Arc<Room>, answer: Arc<Answer>, mut source: Source) -> Outgoing {
    let (sender, messages) = mpsc::channel(limits::RESULT_QUEUE);
    let (cancelled, closed) = (answer.cancelled().clone(), room.session.closed().clone());
    let columns = Arc::clone(answer.columns());
    let fetched = matches!(source, Source::Whole(_)).then(|| Fetched { room, answer });
    let encoding = control.compute(Box::pin(async move {
        let sent = tokio::select! {
            sent = pump(&columns, &mut source, &sender) => sent,
            () = cancelled.cancelled() => Err(Error::cancelled()),
            // However little of its rows a client takes.
            () = closed.cancelled() => Err(Error::cancelled().context("the session was closed")),
            () = sender.closed() => return,
        };
        // The job must have been told to stop before the client hears of the end.
        match (source, &sent) {
            (Source::Part(reading), Ok(())) => reading.complete(),
            (source, _) => drop(source),
        }
        drop(fetched);
        let _ = sender.send(sent.map(|()| None).map_err(|error| to_foreign_status(&error))).await;
    }));
    Outgoing { messages, ended: false, _encoding: encoding }
}

/// Returns when the last message has left the queue.
async fn pump(columns: &arrow::datatypes::Schema, source: &mut Source, sender: &mpsc::Sender<Item>) -> Result<()> {
    let mut encoder = OutwardEncoder::new(columns)?;
    let say = async |message| sender.send(Ok(Some(message))).await.map_err(|_| Error::cancelled());
    say(schema_message(&encoder)).await?;
    while let Some(batch) = source.next().await? {
        for part in split(&batch, limits::RESULT_MESSAGE_BYTES) {
            say(rows_message(encoder.encode(&part)?)).await?;
        }
    }
    // What is not taken by then can be asked for again.
    sender.reserve_many(limits::RESULT_QUEUE).await.map_err(|_| Error::cancelled()).map(drop)
}

/// Messages of rows that are at hand, such as those of the catalog.
pub(super) fn send_batch(batch: &RecordBatch) -> Result<Vec<FlightData>> {
    let mut encoder = OutwardEncoder::new(&batch.schema())?;
    let mut messages = vec![schema_message(&encoder)];
    for part in split(batch, limits::RESULT_MESSAGE_BYTES) {
        messages.push(rows_message(encoder.encode(&part)?));
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

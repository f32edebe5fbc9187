//! How rows leave: encoded on the threads that compute, a few messages ahead of the client and no more. What they look
//! like is the engine's business ([`windrow_engine::exchange::outward`]).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::FlightData;
use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
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
    /// Only a part keeps others waiting: a job is held for as long as somebody reads of it.
    fn patience(&self) -> Option<Duration> {
        match self {
            Self::Whole(_) => None,
            Self::Part(_) => Some(limits::TICKET_PATIENCE),
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self {
            Self::Whole(running) => running.next().await,
            Self::Part(reading) => reading.next().await,
        }
    }
}

/// A message that waits for the client. Its sender can take it back and leave the reason.
#[derive(Clone, Debug)]
struct Parcel(Arc<Mutex<std::result::Result<FlightData, Status>>>);

impl Parcel {
    fn take(&self) -> std::result::Result<FlightData, Status> {
        self.replace(Status::internal("a message was taken before"))
    }

    fn replace(&self, reason: Status) -> std::result::Result<FlightData, Status> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Err(reason))
    }
}

/// A message, or, behind the last one, none: a queue that closes without it was cut.
type Item = std::result::Result<Option<Parcel>, Status>;

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
        let item = match std::task::ready!(self.messages.poll_recv(cx)).unwrap_or_else(cut) {
            Ok(Some(parcel)) => parcel.take().map(Some),
            Ok(None) => Ok(None),
            Err(status) => Err(status),
        };
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
    let counted = control.sending();
    let encoding = control.compute(Box::pin(async move {
        let mut pump = Pump { sender: sender.clone(), on_the_way: VecDeque::new(), patience: source.patience() };
        let sent = tokio::select! {
            sent = pump.run(&columns, &mut source) => sent,
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
        let last = sent.map(|()| None).map_err(|error| to_foreign_status(&error));
        if let Err(reason) = &last {
            // The client may never read on: what waits for it goes now, and it finds the reason in its place.
            pump.on_the_way.iter().for_each(|parcel| drop(parcel.replace(reason.clone())));
        }
        drop((pump, counted));
        let _ = sender.send(last).await;
    }));
    Outgoing { messages, ended: false, _encoding: encoding }
}

/// What moves rows from where they come from to the queue of a client.
struct Pump {
    sender: mpsc::Sender<Item>,
    /// What may still wait in the queue.
    on_the_way: VecDeque<Parcel>,
    /// How long a client may take nothing.
    patience: Option<Duration>,
}

impl Pump {
    /// Returns when the last message has left the queue.
    async fn run(&mut self, columns: &arrow::datatypes::Schema, source: &mut Source) -> Result<()> {
        let mut encoder = OutwardEncoder::new(columns)?;
        self.say(schema_message(&encoder)).await?;
        while let Some(batch) = source.next().await? {
            for part in split(&batch, limits::RESULT_MESSAGE_BYTES) {
                self.say(rows_message(encoder.encode(&part)?)).await?;
            }
        }
        // What is not taken by then can be asked for again.
        self.patient(self.sender.reserve_many(limits::RESULT_QUEUE)).await.map(drop)
    }

    async fn say(&mut self, message: FlightData) -> Result<()> {
        let permit = self.patient(self.sender.reserve()).await?;
        let parcel = Parcel(Arc::new(Mutex::new(Ok(message))));
        permit.send(Ok(Some(parcel.clone())));
        self.on_the_way.push_back(parcel);
        while self.on_the_way.len() > limits::RESULT_QUEUE {
            self.on_the_way.pop_front();
        }
        Ok(())
    }

    async fn patient<T>(&self, places: impl Future<Output = std::result::Result<T, SendError<()>>>) -> Result<T> {
        let Some(patience) = self.patience else { return places.await.map_err(|_| Error::cancelled()) };
        let stalled = |_| {
            let seconds = patience.as_secs();
            Error::cancelled().context(format!("nothing of the answer was taken for {seconds} s (TICKET_PATIENCE)"))
        };
        tokio::time::timeout(patience, places).await.map_err(stalled)?.map_err(|_| Error::cancelled())
    }
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

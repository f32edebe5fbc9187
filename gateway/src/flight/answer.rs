//! The answer of a statement, between the call that starts it and the ones that fetch its rows.
//!
//! ```text
//!   started ─► accepted: columns known ─┬─ fetched ─► rows leave, backpressured ─────────────────► forgotten
//!                                       ├─ large: offered part by part ─► every part was read ───► forgotten
//!                                       └─ failed, cancelled, session closed, ───────────────► the job is cancelled
//!                                          or nobody has asked for TICKET_PATIENCE
//! ```
//!
//! The statement runs from the first call on: its plan is made once, and what it defines or writes happens although some
//! clients never fetch the empty answer.

use std::sync::{Arc, Mutex as Lock, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightEndpoint;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windrow_common::{Error, ErrorKind, Result, limits};
use windrow_coordinator::{DirectResult, ExecutionUpdate, PartRead, Statement};
use windrow_engine::exchange::DirectTicket;

use super::room::Room;
use super::ticket::Ticket;
use super::{direct, queries};

/// A statement that was accepted.
#[derive(Debug)]
pub(super) struct Running {
    statement: Statement,
    /// The columns of its rows, as the engine makes them.
    pub(super) columns: SchemaRef,
    /// Whether its only row is the number of rows written.
    pub(super) writes: bool,
    /// Whether its rows may be offered part by part.
    direct: bool,
    /// Tasks done, and all tasks.
    progress: (u32, u32),
    /// What was read ahead of the one who fetches.
    ahead: Option<ExecutionUpdate>,
    /// Rows that were offered part by part to somebody who wants them as one.
    parts: Option<Parts>,
}

/// The parts of a result, one after the other.
#[derive(Debug)]
struct Parts {
    result: DirectResult,
    next: usize,
    reading: Option<PartRead>,
}

impl Parts {
    /// The next rows; none after the last part.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.next < self.result.locations().len() {
            let mut reading = match self.reading.take() {
                Some(reading) => reading,
                None => self.result.read(self.next)?,
            };
            if let Some(batch) = reading.next().await? {
                self.reading = Some(reading);
                return Ok(Some(batch));
            }
            reading.complete();
            self.next += 1;
        }
        Ok(None)
    }
}

impl Running {
    /// Waits until the statement is accepted, or has failed before that.
    pub(super) async fn accepted(mut statement: Statement) -> Result<Self> {
        loop {
            match statement.next().await.unwrap_or_else(|| Err(cut_short()))? {
                ExecutionUpdate::Accepted { schema: columns, writes, direct, .. } => {
                    let (progress, ahead, parts) = ((0, 0), None, None);
                    return Ok(Self { statement, columns, writes, direct, progress, ahead, parts });
                }
                ExecutionUpdate::Progress { .. } => {}
                ExecutionUpdate::Batch(_) | ExecutionUpdate::Direct(_) | ExecutionUpdate::Done(_) => {
                    return Err(Error::internal("rows came before their columns"));
                }
            }
        }
    }

    /// Waits until a write is done, and for a while until it is known where the rows of a query lie.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if self.writes {
            while !self.look().await? {}
        } else if self.direct {
            let known = async {
                while !self.look().await? {}
                Ok(())
            };
            // Whoever asks for more than that is answered all the same: the rows come through the coordinator then.
            return tokio::time::timeout(limits::DIRECT_RESULT_PATIENCE, known).await.unwrap_or(Ok(()));
        }
        Ok(())
    }

    /// The next rows; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(parts) = &mut self.parts {
                if let Some(batch) = parts.next().await? {
                    return Ok(Some(batch));
                }
                self.parts = None;
            }
            let update = match self.ahead.take() {
                Some(update) => update,
                None => self.statement.next().await.unwrap_or_else(|| Err(cut_short()))?,
            };
            match update {
                ExecutionUpdate::Batch(batch) => return Ok(Some(batch)),
                ExecutionUpdate::Direct(result) => self.parts = Some(Parts { result, next: 0, reading: None }),
                ExecutionUpdate::Done(_) => return Ok(None),
                ExecutionUpdate::Progress { .. } | ExecutionUpdate::Accepted { .. } => {}
            }
        }
    }

    /// Waits for news: whether rows can be fetched or the end is known. Nothing is lost if it is not waited for.
    async fn look(&mut self) -> Result<bool> {
        if self.ahead.is_some() {
            return Ok(true);
        }
        match self.statement.next().await.unwrap_or_else(|| Err(cut_short()))? {
            ExecutionUpdate::Progress { done, total, .. } => {
                self.progress = (done, total);
                Ok(false)
            }
            other => {
                self.ahead = Some(other);
                Ok(true)
            }
        }
    }

    /// The result that is offered, if it is known to be.
    fn offered(&self) -> Option<&DirectResult> {
        match &self.ahead {
            Some(ExecutionUpdate::Direct(result)) => Some(result),
            _ => None,
        }
    }

    /// Waits for the end of a statement whose rows are read part by part.
    async fn ended(&mut self) -> Result<()> {
        loop {
            if let ExecutionUpdate::Done(_) = self.statement.next().await.unwrap_or_else(|| Err(cut_short()))? {
                return Ok(());
            }
        }
    }
}

async fn sleep_until(end: Option<Instant>) {
    if let Some(end) = end {
        tokio::time::sleep_until(end).await;
    }
}

fn cut_short() -> Error {
    Error::unavailable("the coordinator stopped before the statement ended")
}

/// An answer that waits, or is being fetched.
#[derive(Debug)]
pub(super) struct Answer {
    ticket: Ticket,
    columns: SchemaRef,
    direct: bool,
    cancelled: CancellationToken,
    place: Mutex<Place>,
    asked: Lock<Asked>,
}

/// Who asks for an answer.
#[derive(Debug)]
struct Asked {
    /// Somebody was there for the last time.
    last: Instant,
    /// Calls that wait for news.
    waiting: u32,
}

impl Asked {
    /// Until when nobody need have asked; none if that is over.
    fn patience(&self, now: Instant) -> Option<Instant> {
        let last = if self.waiting > 0 { now } else { self.last };
        Some(last + limits::TICKET_PATIENCE).filter(|end| *end > now)
    }
}

/// A call that waits for news of an answer. Dropped with it, also when the client has gone.
struct Asking<'a>(&'a Answer);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.ask(|asked| asked.waiting -= 1);
    }
}

/// Where the rows of an answer are.
#[derive(Debug)]
enum Place {
    /// With the statement; one client takes them from there.
    Whole(Running),
    /// With the workers; its endpoints name them.
    Parts(DirectResult, Vec<FlightEndpoint>),
    /// They are being fetched, or were.
    Taken,
}

/// How far a statement is.
pub(super) enum Look {
    /// Part of its tasks is done.
    Going(f64),
    /// Rows can be fetched.
    Ready,
}

impl Answer {
    /// Keeps an accepted statement in its session's room until it is fetched, for a limited time.
    pub(super) async fn keep(room: &Arc<Room>, running: Running) -> Result<Arc<Self>> {
        let ticket = Ticket::mint(room.number);
        let (columns, direct) = (Arc::clone(&running.columns), running.direct);
        let (cancelled, place) = (CancellationToken::new(), Mutex::new(Place::Whole(running)));
        let asked = Lock::new(Asked { last: Instant::now(), waiting: 0 });
        let answer = Arc::new(Self { ticket, columns, direct, cancelled, place, asked });
        room.keep(Arc::clone(&answer))?;
        let mut place = answer.place.lock().await;
        answer.offer(room, &mut place);
        if let Place::Whole(_) = *place {
            answer.forget_in_time(room);
        }
        drop(place);
        Ok(answer)
    }

    /// Notes that somebody is here.
    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut asked);
        asked.last = Instant::now();
    }

    fn patience(&self) -> Option<Instant> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).patience(Instant::now())
    }

    /// Ends the statement when nobody has asked for long. Those who read parts are waited for by the statement itself.
    fn forget_in_time(self: &Arc<Self>, room: &Arc<Room>) {
        let (settled, closed) = (self.cancelled.clone(), room.session.closed().clone());
        let (room, waiting) = (Arc::downgrade(room), Arc::downgrade(self));
        // Ends with the answer, or when nobody has come for it.
        tokio::spawn(async move {
            loop {
                let Some(end) = waiting.upgrade().map(|answer| answer.patience()) else { return };
                let ended = tokio::select! {
                    () = settled.cancelled() => true,
                    () = closed.cancelled() => true,
                    () = sleep_until(end) => false,
                };
                let (Some(room), Some(answer)) = (room.upgrade(), waiting.upgrade()) else { return };
                let mut place = answer.place.lock().await;
                // Somebody may have asked while it was slept, or waited for the place.
                if !ended && answer.patience().is_some() {
                    continue;
                }
                if matches!(*place, Place::Whole(_)) {
                    *place = Place::Taken;
                    room.forget(answer.ticket);
                }
                return;
            }
        });
    }

    /// Offers the parts of a result that is known to lie on the workers.
    fn offer(self: &Arc<Self>, room: &Arc<Room>, place: &mut Place) {
        let Place::Whole(running) = &*place else { return };
        let Some(result) = running.offered().cloned() else { return };
        // A list of places that no client would take: its rows come as one.
        let Some(endpoints) = direct::endpoints(self.ticket, &result) else { return };
        if let Place::Whole(running) = std::mem::replace(place, Place::Parts(result, endpoints)) {
            self.attend(room, running);
        }
    }

    /// Holds a statement whose rows are read part by part, until it has ended or is cancelled.
    fn attend(self: &Arc<Self>, room: &Arc<Room>, mut running: Running) {
        let (answer, room) = (Arc::clone(self), Arc::clone(room));
        // Ends with the statement, which ends with its session.
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = running.ended() => ended,
                () = answer.cancelled.cancelled() => Err(Error::cancelled()),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a result that was offered part by part is gone");
            }
            drop(running);
            room.forget(answer.ticket);
            // Reads that are under way know by themselves how the job has ended.
            *answer.place.lock().await = Place::Taken;
        });
    }

    /// Its name.
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The columns of its rows, as the engine makes them.
    pub(super) fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// Is cancelled with the statement.
    pub(super) fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Where its rows are fetched, as far as that is known; none while they may yet be offered part by part.
    pub(super) async fn endpoints(&self, look: &Look) -> Vec<FlightEndpoint> {
        match (&*self.place.lock().await, look) {
            (Place::Parts(_, endpoints), _) => endpoints.clone(),
            (_, Look::Going(_)) if self.direct => vec![],
            _ => vec![queries::endpoint(self.ticket)],
        }
    }

    /// Takes the statement, to fetch its rows. Only one may.
    pub(super) async fn take(&self) -> Result<Running> {
        let mut place = self.place.lock().await;
        if let Place::Parts(..) = *place {
            return Err(Error::user("the answer has several parts; fetch the endpoints of its flight information"));
        }
        match std::mem::replace(&mut *place, Place::Taken) {
            Place::Whole(running) => Ok(running),
            Place::Parts(..) | Place::Taken => {
                Err(Error::user("the answer is being fetched already; a ticket is good for one fetch"))
            }
        }
    }

    /// Begins to read a part, for somebody who cannot reach its worker.
    pub(super) async fn part(&self, ticket: &DirectTicket) -> Result<PartRead> {
        let place = self.place.lock().await;
        match &*place {
            Place::Parts(result, _) if result.job() == ticket.job => result.read(ticket.part as usize),
            _ => Err(Error::new(ErrorKind::NotFound, "the answer has no such part; run the statement again")),
        }
    }

    /// Stops the statement.
    pub(super) fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Waits for news of the statement. One that has failed, or is cancelled, is gone with that.
    pub(super) async fn look(self: &Arc<Self>, room: &Arc<Room>) -> Result<Look> {
        self.ask(|asked| asked.waiting += 1);
        let _asking = Asking(self);
        let mut place = self.place.lock().await;
        let Place::Whole(running) = &mut *place else { return Ok(Look::Ready) };
        let looked = tokio::select! {
            looked = running.look() => looked,
            () = self.cancelled.cancelled() => Err(Error::cancelled()),
        };
        let ready = match looked {
            Ok(ready) => ready,
            Err(error) => {
                *place = Place::Taken;
                room.forget(self.ticket);
                self.cancel();
                return Err(error);
            }
        };
        let Place::Whole(running) = &*place else { return Ok(Look::Ready) };
        if !ready {
            let (done, total) = running.progress;
            return Ok(Look::Going(f64::from(done) / f64::from(total.max(1))));
        }
        self.offer(room, &mut place);
        Ok(Look::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_begins_when_nobody_asks_any_more() {
        let start = Instant::now();
        let late = start + 3 * limits::TICKET_PATIENCE;
        let mut asked = Asked { last: start, waiting: 1 };
        assert_eq!(asked.patience(late), Some(late + limits::TICKET_PATIENCE), "somebody waits for news");
        asked = Asked { last: late, waiting: 0 };
        assert_eq!(asked.patience(late), Some(late + limits::TICKET_PATIENCE));
        assert_eq!(asked.patience(late + limits::TICKET_PATIENCE), None);
    }
}

//! The answer of a statement, between the call that starts it and the one that fetches its rows.
//!
//! ```text
//!   started ─► accepted: columns known ─┬─ fetched ─► rows leave, backpressured ─► forgotten
//!                                       └─ not fetched in time, cancelled, session closed ─► the job is cancelled
//! ```
//!
//! The statement runs from the first call on: its plan is made once, and what it defines or writes happens although some
//! clients never fetch the empty answer.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use windrow_common::{Error, Result, limits};
use windrow_coordinator::{ExecutionUpdate, Statement};

use super::room::Room;
use super::ticket::Ticket;

/// A statement that was accepted.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) statement: Statement,
    /// The columns of its rows, as the engine makes them.
    pub(super) columns: SchemaRef,
    /// Whether its only row is the number of rows written.
    pub(super) writes: bool,
    /// Tasks done, and all tasks.
    progress: (u32, u32),
    /// What was read ahead of the one who fetches.
    ahead: Option<ExecutionUpdate>,
}

impl Running {
    /// Waits until the statement is accepted, or has failed before that.
    pub(super) async fn accepted(mut statement: Statement) -> Result<Self> {
        loop {
            match statement.next().await.unwrap_or_else(|| Err(cut_short()))? {
                ExecutionUpdate::Accepted { schema, writes, .. } => {
                    return Ok(Self { statement, columns: schema, writes, progress: (0, 0), ahead: None });
                }
                ExecutionUpdate::Progress { .. } => {}
                ExecutionUpdate::Batch(_) | ExecutionUpdate::Done(_) => {
                    return Err(Error::internal("rows came before their columns"));
                }
            }
        }
    }

    /// The next rows; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let update = match self.ahead.take() {
                Some(update) => update,
                None => self.statement.next().await.unwrap_or_else(|| Err(cut_short()))?,
            };
            match update {
                ExecutionUpdate::Batch(batch) => return Ok(Some(batch)),
                ExecutionUpdate::Done(_) => return Ok(None),
                ExecutionUpdate::Progress { .. } | ExecutionUpdate::Accepted { .. } => {}
            }
        }
    }

    /// Waits for news: whether rows can be fetched or the end is known. Nothing is lost if it is not waited for.
    pub(super) async fn look(&mut self) -> Result<bool> {
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
}

fn cut_short() -> Error {
    Error::unavailable("the coordinator stopped before the statement ended")
}

/// An answer that waits, or is being fetched.
#[derive(Debug)]
pub(super) struct Answer {
    ticket: Ticket,
    columns: SchemaRef,
    cancelled: CancellationToken,
    running: Mutex<Option<Running>>,
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
    pub(super) fn keep(room: &Arc<Room>, running: Running) -> Result<Arc<Self>> {
        let ticket = Ticket::mint(room.session.id());
        let columns = Arc::clone(&running.columns);
        let cancelled = CancellationToken::new();
        let answer = Arc::new(Self { ticket, columns, cancelled, running: Mutex::new(Some(running)) });
        room.keep(Arc::clone(&answer))?;
        let (settled, closed) = (answer.cancelled.clone(), room.session.closed().clone());
        let (room, waiting) = (Arc::downgrade(room), Arc::downgrade(&answer));
        // Ends with the answer, or when nobody has come for it.
        tokio::spawn(async move {
            tokio::select! {
                () = settled.cancelled() => {}
                () = closed.cancelled() => {}
                () = tokio::time::sleep(limits::TICKET_PATIENCE) => {}
            }
            let (Some(room), Some(answer)) = (room.upgrade(), waiting.upgrade()) else { return };
            if answer.running.lock().await.take().is_some() {
                room.forget(answer.ticket);
            }
        });
        Ok(answer)
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

    /// Takes the statement, to fetch its rows. Only one may.
    pub(super) async fn take(&self) -> Result<Running> {
        let taken = self.running.lock().await.take();
        taken.ok_or_else(|| Error::user("the answer is being fetched already; a ticket is good for one fetch"))
    }

    /// Stops the statement.
    pub(super) fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Waits for news of the statement.
    pub(super) async fn look(&self) -> Result<Look> {
        let mut running = self.running.lock().await;
        let Some(running) = running.as_mut() else { return Ok(Look::Ready) };
        let ready = tokio::select! {
            ready = running.look() => ready?,
            () = self.cancelled.cancelled() => return Err(Error::cancelled()),
        };
        if ready {
            return Ok(Look::Ready);
        }
        let (done, total) = running.progress;
        Ok(Look::Going(f64::from(done) / f64::from(total.max(1))))
    }
}

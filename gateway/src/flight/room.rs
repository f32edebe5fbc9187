//! What the gateway keeps for each session: its prepared statements, and answers that wait to be fetched. A room is
//! cleared the moment its session is closed, whoever closes it.
//!
//! A room has a public number, which tickets carry: the session's own id is a secret between the session and its client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use uuid::Uuid;
use windrow_common::{Error, ErrorKind, Result, SessionId, limits};
use windrow_coordinator::Session;
use windrow_engine::session::Description;

use super::answer::Answer;
use super::ticket::Ticket;

/// The rooms of all sessions that the gateway serves.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: Mutex<Indexed>,
}

/// The same rooms in both.
#[derive(Debug, Default)]
struct Indexed {
    by_session: BTreeMap<SessionId, Arc<Room>>,
    by_number: BTreeMap<u128, Arc<Room>>,
}

/// One session's room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) session: Arc<Session>,
    /// Its public name. Says nothing of the session's id.
    pub(super) number: u128,
    prepared: Mutex<BTreeMap<u128, Arc<Prepared>>>,
    answers: Mutex<BTreeMap<u128, Arc<Answer>>>,
}

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) ticket: Ticket,
    pub(super) sql: String,
    pub(super) description: Description,
    bound: Mutex<Option<RecordBatch>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rooms {
    /// The room of an open session.
    pub(super) fn of(self: &Arc<Self>, session: &Arc<Session>) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.by_session.get(&session.id()) {
            return Arc::clone(room);
        }
        let number = Uuid::new_v4().as_u128();
        let (prepared, answers) = (Mutex::default(), Mutex::default());
        let room = Arc::new(Room { session: Arc::clone(session), number, prepared, answers });
        rooms.by_session.insert(session.id(), Arc::clone(&room));
        rooms.by_number.insert(number, Arc::clone(&room));
        drop(rooms);
        let (rooms, id, closed) = (Arc::clone(self), session.id(), session.closed().clone());
        // Ends with the session; there is one for each.
        tokio::spawn(async move {
            closed.cancelled().await;
            let cleared = {
                let mut rooms = lock(&rooms.rooms);
                (rooms.by_session.remove(&id), rooms.by_number.remove(&number))
            };
            // What the answers hold is given back outside of the lock.
            drop(cleared);
        });
        room
    }

    /// The room of this public number, for who has a ticket.
    pub(super) fn numbered(&self, number: u128) -> Result<Arc<Room>> {
        let room = lock(&self.rooms).by_number.get(&number).cloned();
        room.ok_or_else(|| Error::new(ErrorKind::NotFound, "the session does not exist any more; connect again"))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        lock(&self.rooms).by_session.len()
    }
}

impl Room {
    /// Keeps a prepared statement.
    pub(super) fn prepare(&self, sql: String, description: Description) -> Result<Arc<Prepared>> {
        let mut prepared = lock(&self.prepared);
        check_room(prepared.len(), "prepared statements are kept")?;
        let ticket = Ticket::mint(self.number);
        let statement = Arc::new(Prepared { ticket, sql, description, bound: Mutex::default() });
        prepared.insert(ticket.number, Arc::clone(&statement));
        Ok(statement)
    }

    /// A prepared statement by its handle.
    pub(super) fn prepared(&self, ticket: Ticket) -> Result<Arc<Prepared>> {
        let found = lock(&self.prepared).get(&ticket.number).filter(|p| p.ticket == ticket).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "the prepared statement is closed; prepare it again"))
    }

    /// Forgets a prepared statement.
    pub(super) fn unprepare(&self, ticket: Ticket) {
        lock(&self.prepared).remove(&ticket.number);
    }

    /// Whether there is room for another answer.
    pub(super) fn check_answers(&self) -> Result<()> {
        check_room(lock(&self.answers).len(), "answers wait to be fetched or are being fetched")
    }

    /// Keeps an answer until it was fetched.
    pub(super) fn keep(&self, answer: Arc<Answer>) -> Result<()> {
        let mut answers = lock(&self.answers);
        check_room(answers.len(), "answers wait to be fetched or are being fetched")?;
        answers.insert(answer.ticket().number, answer);
        Ok(())
    }

    /// An answer by its ticket.
    pub(super) fn answer(&self, ticket: Ticket) -> Result<Arc<Answer>> {
        let found = lock(&self.answers).get(&ticket.number).filter(|a| a.ticket() == ticket).cloned();
        found.ok_or_else(|| {
            let text =
                "the answer was fetched, has failed, was cancelled, or not fetched in time; run the statement again";
            Error::new(ErrorKind::NotFound, text)
        })
    }

    /// Forgets an answer.
    pub(super) fn forget(&self, ticket: Ticket) {
        let forgotten = lock(&self.answers).remove(&ticket.number);
        drop(forgotten);
    }
}

fn check_room(count: usize, what: &str) -> Result<()> {
    if count < limits::MAX_STATEMENTS_PER_SESSION {
        return Ok(());
    }
    let text = format!("{count} {what} in this session, which is the limit (MAX_STATEMENTS_PER_SESSION); close some");
    Err(Error::new(ErrorKind::Limit, text))
}

impl Prepared {
    /// Takes values for the parameters, for the runs that are started from now on.
    pub(super) fn bind(&self, values: Option<RecordBatch>) {
        *lock(&self.bound) = values;
    }

    /// The values bound last.
    pub(super) fn bound(&self) -> Option<RecordBatch> {
        lock(&self.bound).clone()
    }
}

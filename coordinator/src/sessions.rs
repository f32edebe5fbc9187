//! The sessions that are open: who has them, what they are used for, and when they end.
//!
//! ```text
//!   open ──► idle ⇄ running statements ──► closed by its user, by its connection, or after being idle for too long
//! ```
//!
//! A session with a running statement is never idle. Closing one cancels what it runs. Time is read in one place, and
//! [`Sessions::expire`] is told what time it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use windrow_common::time::Clock;
use windrow_common::{Counted, Error, ErrorKind, Gauge, Principal, Result, SessionId, Timestamp};
use windrow_engine::session::EngineSession;

/// One user's session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    principal: Principal,
    engine: EngineSession,
    closed: CancellationToken,
}

impl Session {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whose it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Its settings and names.
    pub fn engine(&self) -> &EngineSession {
        &self.engine
    }

    /// Is cancelled when the session is closed.
    pub fn closed(&self) -> &CancellationToken {
        &self.closed
    }
}

/// All open sessions of one coordinator.
#[derive(Debug)]
pub struct Sessions {
    open: Mutex<BTreeMap<SessionId, Entry>>,
    clock: Clock,
    limit: usize,
    idle: Duration,
    /// Of closed sessions too: a statement may need a moment to end.
    leases: Gauge,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    last_used: Timestamp,
    running: usize,
}

impl Sessions {
    /// No sessions; at most `limit` at once, each closed after being idle for `idle`.
    pub fn new(limit: usize, idle: Duration) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), clock: Clock::start(), limit, idle, leases: Gauge::default() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session under an id that nobody else has.
    pub fn open(&self, id: SessionId, principal: Principal, engine: EngineSession) -> Result<Arc<Session>> {
        let mut open = self.lock();
        if open.len() >= self.limit {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("{} sessions are open, which is the limit; close some", self.limit),
            ));
        }
        let session = Arc::new(Session { id, principal, engine, closed: CancellationToken::new() });
        open.insert(id, Entry { session: Arc::clone(&session), last_used: self.clock.now(), running: 0 });
        Ok(session)
    }

    /// An open session, which is hereby used.
    pub fn get(&self, id: SessionId) -> Result<Arc<Session>> {
        let mut open = self.lock();
        let entry = open.get_mut(&id).ok_or_else(gone)?;
        entry.last_used = self.clock.now();
        Ok(Arc::clone(&entry.session))
    }

    /// Keeps a session from being idle for as long as the lease is held.
    pub fn lease(self: &Arc<Self>, id: SessionId) -> Result<Lease> {
        let mut open = self.lock();
        let entry = open.get_mut(&id).ok_or_else(gone)?;
        entry.running += 1;
        let counted = self.leases.enter();
        Ok(Lease { sessions: Arc::clone(self), session: Arc::clone(&entry.session), _counted: counted })
    }

    /// Closes a session and cancels what it runs. One that is not open is closed already.
    pub fn close(&self, id: SessionId) {
        // The session's own memory and files are given back outside of the lock.
        let closed = self.lock().remove(&id);
        if let Some(entry) = closed {
            entry.session.closed.cancel();
        }
    }

    /// Closes all sessions.
    pub fn close_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        for entry in all.into_values() {
            entry.session.closed.cancel();
        }
    }

    /// Closes the sessions that have been idle for too long at `now`; says how many.
    pub fn expire(&self, now: Timestamp) -> usize {
        // They go under the lock that judges them: nobody begins to use one in between. The rest happens outside of it.
        let idle = |entry: &Entry| entry.running == 0 && now.since(entry.last_used) >= self.idle;
        let expired: Vec<Entry> = self.lock().extract_if(.., |_, entry| idle(entry)).map(|(_, entry)| entry).collect();
        for entry in &expired {
            tracing::info!(session = %entry.session.id, "closed after being idle");
            entry.session.closed.cancel();
        }
        expired.len()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many statements run, in all sessions and in those that are closed already.
    pub fn running(&self) -> usize {
        self.leases.get() as usize
    }

    /// Closes idle sessions as their time comes, until told to stop.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let now = self.clock.now();
            self.expire(now);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.next_look(now)) => {}
            }
        }
    }

    /// Time until the first session can have been idle for too long. What is opened later cannot be sooner.
    fn next_look(&self, now: Timestamp) -> Duration {
        let open = self.lock();
        let idle = open.values().filter(|entry| entry.running == 0);
        let first = idle.map(|entry| (entry.last_used + self.idle).since(now)).min();
        // A statement may end at any time; a session is looked at soon enough after that.
        first.unwrap_or(self.idle).clamp(SHORTEST_LOOK.min(self.idle), self.idle)
    }
}

/// Idle sessions are looked for no more often than this.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);

fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "the session does not exist any more; connect again")
}

/// A session in use.
#[derive(Debug)]
pub struct Lease {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    _counted: Counted,
}

impl Lease {
    /// The session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        if let Some(entry) = open.get_mut(&self.session.id) {
            entry.running -= 1;
            entry.last_used = self.sessions.clock.now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn sessions(limit: usize) -> (Arc<Sessions>, EngineSession) {
        let engine =
            windrow_engine::session::Engine::new(std::env::temp_dir(), "test".to_owned(), Arc::default()).unwrap();
        (Sessions::new(limit, IDLE), engine.session())
    }

    #[test]
    fn an_idle_session_ends_and_one_that_runs_something_does_not() {
        let (sessions, engine) = sessions(10);
        let open = |id| sessions.open(SessionId(id), Principal::anonymous(), engine.clone()).unwrap();
        let (idle, busy) = (open(1), open(2));
        let lease = sessions.lease(busy.id()).unwrap();
        let later = sessions.clock.now() + IDLE;
        assert_eq!(sessions.expire(sessions.clock.now()), 0);
        assert_eq!(sessions.expire(later), 1);
        assert!(idle.closed().is_cancelled() && !busy.closed().is_cancelled());
        assert_eq!(sessions.get(idle.id()).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(sessions.running(), 1);
        drop(lease);
        assert_eq!(sessions.running(), 0);
        // The end of its statement was a use of it.
        assert_eq!(sessions.expire(later), 0);
        assert_eq!(sessions.expire(sessions.clock.now() + IDLE), 1);
        assert!(sessions.is_empty());
    }

    #[test]
    fn there_is_a_limit_and_closing_makes_room() {
        let (sessions, engine) = sessions(1);
        let open = |id| sessions.open(SessionId(id), Principal::anonymous(), engine.clone());
        let first = open(1).unwrap();
        assert_eq!(open(2).unwrap_err().kind, ErrorKind::Limit);
        sessions.close(first.id());
        assert!(first.closed().is_cancelled());
        let second = open(2).unwrap();
        let lease = sessions.lease(second.id()).unwrap();
        sessions.close_all();
        assert!(second.closed().is_cancelled() && sessions.is_empty());
        assert_eq!(sessions.running(), 1, "what a closed session runs is still there");
        drop(lease);
        assert_eq!(sessions.running(), 0);
    }
}

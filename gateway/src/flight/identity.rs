//! Who calls: the session of a request is known by its bearer token, else by a cookie, else by its connection.
//!
//! A session that is known by its connection alone ends with it. Once a client shows a token or cookie for it, it can
//! come back over another connection, and the session stays until it is closed or was idle for too long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Response, Status};
use windrow_common::{Principal, Result, SessionId};
use windrow_coordinator::{Connection, Session};
use windrow_proto::status::to_foreign_status;

use crate::control::Control;

/// The cookie that names a session.
const COOKIE: &str = "windrow-session";

/// Which session belongs to which connection.
#[derive(Debug)]
pub(super) struct Callers {
    control: Arc<dyn Control>,
    connections: Mutex<BTreeMap<u64, SessionId>>,
}

/// The one who calls.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) session: Arc<Session>,
    /// The session was opened by this very request.
    fresh: bool,
}

impl Caller {
    /// A response that tells a client with cookies the name of its new session.
    pub(super) fn respond<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        let cookie = format!("{COOKIE}={}; HttpOnly", self.session.id().token());
        if self.fresh
            && let Ok(cookie) = MetadataValue::try_from(cookie)
        {
            response.metadata_mut().insert("set-cookie", cookie);
        }
        response
    }
}

impl Callers {
    /// Nobody has called yet.
    pub(super) fn new(control: Arc<dyn Control>) -> Arc<Self> {
        Arc::new(Self { control, connections: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, SessionId>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a request; a new one for somebody who has none.
    pub(super) fn caller(
        self: &Arc<Self>,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> std::result::Result<Caller, Status> {
        if let Some(token) = bearer(metadata) {
            let session = SessionId::from_token(token).and_then(|id| self.control.session(id).ok());
            let session = session.ok_or_else(|| {
                Status::unauthenticated("the bearer token is not that of an open session; make the handshake again")
            })?;
            return Ok(Caller { session, fresh: false });
        }
        if let Some(session) = cookie(metadata).and_then(|id| self.control.session(id).ok()) {
            self.lock().retain(|_, id| *id != session.id());
            return Ok(Caller { session, fresh: false });
        }
        let opened = match extensions.get::<Connection>() {
            Some(connection) => self.of_connection(connection),
            None => self.open().map(|session| Caller { session, fresh: true }),
        };
        opened.map_err(|e| to_foreign_status(&e))
    }

    /// A session for somebody who makes the handshake.
    pub(super) fn open(&self) -> Result<Arc<Session>> {
        self.control.open(Principal::anonymous())
    }

    fn of_connection(self: &Arc<Self>, connection: &Connection) -> Result<Caller> {
        // Held while the session is opened: several first requests of one connection get the same one.
        let mut connections = self.lock();
        let known = connections.get(&connection.number).copied();
        if let Some(session) = known.and_then(|id| self.control.session(id).ok()) {
            return Ok(Caller { session, fresh: false });
        }
        let session = self.open()?;
        let first = connections.insert(connection.number, session.id()).is_none();
        drop(connections);
        if first {
            let (callers, connection) = (Arc::clone(self), connection.clone());
            // Ends with the connection; there is one for each.
            tokio::spawn(async move {
                connection.ended.cancelled().await;
                let left = callers.lock().remove(&connection.number);
                if let Some(id) = left {
                    callers.control.close(id);
                }
            });
        }
        Ok(Caller { session, fresh: true })
    }

    /// How many connections have a session.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn cookie(metadata: &MetadataMap) -> Option<SessionId> {
    let values = metadata.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, value)| SessionId::from_token(value.trim_matches('"')))
}

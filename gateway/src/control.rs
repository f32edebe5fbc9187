//! What the gateway needs of a coordinator. In the coordinator's own process this is its front; a gateway on another
//! machine would bring its own.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use windrow_common::{Counted, Error, Principal, Result, SessionId};
use windrow_coordinator::{Front, Session, Statement, StatementText};
use windrow_engine::session::ingest::Rows;
use windrow_engine::session::{Description, IngestTarget, ListedTable};

/// Sessions, and what is done in them. Settings and the list of schemas belong to the session itself.
pub trait Control: Debug + Send + Sync + 'static {
    /// Opens a session.
    fn open(&self, principal: Principal) -> Result<Arc<Session>>;
    /// An open session, which is hereby used.
    fn session(&self, id: SessionId) -> Result<Arc<Session>>;
    /// Closes a session and cancels what it runs.
    fn close(&self, id: SessionId);
    /// What a statement is, without running it.
    fn describe(&self, session: &Session, text: StatementText) -> BoxFuture<'static, Result<Description>>;
    /// Starts a statement; dropping it cancels it. A large result may be offered to be read part by part.
    fn execute(&self, session: &Session, text: StatementText) -> Result<Statement>;
    /// Writes rows into a table: all of them or, on an error or when the future is dropped, none.
    fn ingest(
        &self,
        session: &Session,
        target: IngestTarget,
        schema: SchemaRef,
        rows: Rows,
    ) -> BoxFuture<'static, Result<u64>>;
    /// The tables and views that a session sees.
    fn tables(&self, session: &Session) -> BoxFuture<'static, Result<Vec<ListedTable>>>;
    /// Rows begin to be encoded for a client; that is counted until what is given is dropped.
    fn sending(&self) -> Counted;
    /// Runs something that computes where no connection waits for it.
    fn compute(&self, work: BoxFuture<'static, ()>) -> AbortOnDropHandle<()>;
}

impl dyn Control {
    /// The same, for something that has a result. Dropping the future ends it.
    pub(crate) async fn computed<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let _working = self.compute(Box::pin(async move {
            // Nobody waits any more: then it was ended with its caller.
            let _ = reply.send(work.await);
        }));
        answer.await.unwrap_or_else(|_| Err(Error::internal("a task that computes for a client has failed")))
    }
}

impl Control for Front {
    fn open(&self, principal: Principal) -> Result<Arc<Session>> {
        Front::open(self, principal)
    }

    fn session(&self, id: SessionId) -> Result<Arc<Session>> {
        self.sessions().get(id)
    }

    fn close(&self, id: SessionId) {
        self.sessions().close(id);
    }

    fn describe(&self, session: &Session, text: StatementText) -> BoxFuture<'static, Result<Description>> {
        Front::describe(self, session, text)
    }

    fn execute(&self, session: &Session, text: StatementText) -> Result<Statement> {
        Front::execute_direct(self, session, text)
    }

    fn ingest(
        &self,
        session: &Session,
        target: IngestTarget,
        schema: SchemaRef,
        rows: Rows,
    ) -> BoxFuture<'static, Result<u64>> {
        Front::ingest(self, session, target, schema, rows)
    }

    fn tables(&self, session: &Session) -> BoxFuture<'static, Result<Vec<ListedTable>>> {
        Front::tables(self, session)
    }

    fn sending(&self) -> Counted {
        Front::sending(self)
    }

    fn compute(&self, work: BoxFuture<'static, ()>) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(Front::compute(self, work))
    }
}

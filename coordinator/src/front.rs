//! What others may ask of a coordinator: sessions, and statements in them. Cheap to clone; it shows nothing of what is
//! behind it. The gRPC services and the gateway both stand on it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windrow_common::{ClusterCounters, Counted, Error, JobId, Principal, Result, SessionId};
use windrow_engine::session::ingest::Rows;
use windrow_engine::session::{Description, IngestTarget, ListedTable, PlanContext};

use crate::execution::{self, Delivery, Statement, StatementText};
use crate::service::{Shared, WorkerInfo};
use crate::sessions::{Session, Sessions};

/// The coordinator, for those who serve clients.
#[derive(Clone, Debug)]
pub struct Front {
    shared: Arc<Shared>,
}

impl Front {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The open sessions.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.shared.sessions
    }

    /// Opens a session.
    pub fn open(&self, principal: Principal) -> Result<Arc<Session>> {
        let id = SessionId(Uuid::new_v4().as_u128());
        self.shared.sessions.open(id, principal, self.shared.engine.session())
    }

    /// Starts a statement of a session. It goes on for as long as somebody holds it and the session is open.
    pub fn execute(&self, session: &Session, text: StatementText) -> Result<Statement> {
        self.start(session, text, Delivery::HandedOn)
    }

    /// The same, for somebody whose clients can read from workers: unless the session says otherwise, a large result
    /// comes as one [`crate::ExecutionUpdate::Direct`] in place of its rows.
    pub fn execute_direct(&self, session: &Session, text: StatementText) -> Result<Statement> {
        self.start(session, text, Delivery::MayBeDirect)
    }

    fn start(&self, session: &Session, text: StatementText, delivery: Delivery) -> Result<Statement> {
        let lease = self.shared.sessions.lease(session.id())?;
        execution::start(Arc::clone(&self.shared), lease, text, delivery)
    }

    /// What a statement is, without running it.
    pub fn describe(&self, session: &Session, text: StatementText) -> BoxFuture<'static, Result<Description>> {
        let session = session.engine().clone();
        self.plan(async move { session.describe(&text.sql, text.parameters.as_ref()).await })
    }

    /// The tables and views that a session sees.
    pub fn tables(&self, session: &Session) -> BoxFuture<'static, Result<Vec<ListedTable>>> {
        let session = session.engine().clone();
        self.plan(async move { session.tables().await })
    }

    /// Writes rows into a table of a session; all of them or, on an error or when the future is dropped, none.
    pub fn ingest(
        &self,
        session: &Session,
        target: IngestTarget,
        schema: SchemaRef,
        rows: Rows,
    ) -> BoxFuture<'static, Result<u64>> {
        let lease = self.shared.sessions.lease(session.id());
        let closed = session.closed().clone();
        let context = self.shared.plan_context();
        let ingesting = session.engine().ingest(target, schema, rows, context);
        async move {
            let _lease = lease?;
            tokio::select! {
                written = ingesting => written,
                () = closed.cancelled() => Err(Error::cancelled().context("the session was closed")),
            }
        }
        .boxed()
    }

    /// Runs something that computes on the threads for that, and not on those that serve connections.
    pub fn compute<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.shared.planning.spawn(work)
    }

    fn plan<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let counted = self.shared.gauges.planning.enter();
        let planning = tokio_util::task::AbortOnDropHandle::new(self.compute(async move {
            let _counted = counted;
            work.await
        }));
        async move { planning.await.map_err(|e| Error::internal(format!("planning crashed: {e}")))? }.boxed()
    }

    /// Rows begin to be encoded for a client; that is counted until what is given is dropped.
    pub fn sending(&self) -> Counted {
        self.shared.gauges.results.enter()
    }

    /// The connected workers.
    pub fn workers(&self) -> BoxFuture<'static, Result<Vec<WorkerInfo>>> {
        let shared = Arc::clone(&self.shared);
        async move { shared.workers().await }.boxed()
    }

    /// What the coordinator and the connected workers run and hold now.
    pub fn counters(&self) -> BoxFuture<'static, Result<ClusterCounters>> {
        let shared = Arc::clone(&self.shared);
        async move { shared.counters().await }.boxed()
    }

    /// Is cancelled when the coordinator stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.shared.shutdown
    }
}

impl Shared {
    /// The circumstances of a statement that is planned now.
    pub(crate) fn plan_context(&self) -> PlanContext {
        PlanContext {
            job: JobId(Uuid::new_v4().as_u128()),
            cluster: *self.shape.borrow(),
            nonce: Uuid::new_v4().as_u128(),
            analyze: false,
        }
    }
}

/// A statement without parameters.
impl From<&str> for StatementText {
    fn from(sql: &str) -> Self {
        Self { sql: sql.to_owned(), parameters: None }
    }
}

/// A statement with values for its parameters.
impl From<(String, Option<RecordBatch>)> for StatementText {
    fn from((sql, parameters): (String, Option<RecordBatch>)) -> Self {
        Self { sql, parameters }
    }
}

//! Scripts that were handed over: they run on the coordinator, one statement after the other, whether or not their client
//! stays. The same key is the same job.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use uuid::Uuid;
use windrow_common::{Error, ErrorKind, JobId, JobInfo, Principal, Result, SessionId, check_script_bytes, limits};
use windrow_engine::session::gives_rows;

use crate::execution::{self, ExecutionUpdate};
use crate::jobs::{Begun, JobKind, JobTicket, NewJob};
use crate::service::Shared;

/// One statement of a script.
#[derive(Clone, Debug)]
pub(crate) struct ScriptStatement {
    /// Its text.
    pub sql: String,
    /// The line on which it begins, from 1.
    pub line: u32,
}

/// A script to run.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The id that its client chose for the job.
    pub id: JobId,
    /// What its client calls it.
    pub key: Option<String>,
    /// What it consists of.
    pub statements: Vec<ScriptStatement>,
}

/// Starts a script, unless its key is known; gives its job, and whether it was known.
pub(crate) fn submit(shared: &Arc<Shared>, script: Script) -> Result<(JobInfo, bool)> {
    check(&script)?;
    let text = script.statements.iter().map(|s| s.sql.as_str()).collect::<Vec<_>>().join(";\n");
    let fingerprint = fingerprint(&script);
    let begun = shared.jobs.begin(NewJob {
        id: script.id,
        kind: JobKind::Script,
        key: script.key.clone().map(|key| (key, fingerprint)),
        text,
        statements: script.statements.len() as u32,
    })?;
    let ticket = match begun {
        Begun::Known(job) => return Ok((job, true)),
        Begun::New(ticket) => ticket,
    };
    let started = ticket.info();
    let id = started.id;
    let runner = Arc::clone(shared);
    shared.tasks.spawn(async move {
        let outcome = run(&runner, &ticket, &script.statements).await;
        match &outcome {
            Ok(()) => tracing::info!(job = %id, "the script has ended"),
            Err(error) => tracing::info!(job = %id, %error, "the script has ended"),
        }
        ticket.end(&outcome);
    });
    Ok((started, false))
}

/// What is wrong with a script is said before its first statement runs, as far as that can be known.
fn check(script: &Script) -> Result<()> {
    let count = script.statements.len();
    if count == 0 {
        return Err(Error::user("the script has no statements"));
    }
    if count > limits::MAX_SCRIPT_STATEMENTS {
        let limit = limits::MAX_SCRIPT_STATEMENTS;
        return Err(Error::new(ErrorKind::Limit, format!("the script has {count} statements; the limit is {limit}")));
    }
    check_script_bytes(script.statements.iter().map(|statement| statement.sql.as_str()))?;
    if script.key.as_ref().is_some_and(|key| key.contains(char::is_control)) {
        return Err(Error::user("a key has no control characters, and this one does"));
    }
    if let Some(key) = &script.key
        && (key.is_empty() || key.len() > limits::MAX_JOB_KEY_BYTES)
    {
        return Err(Error::user(format!(
            "a key has 1 to {} bytes, and this one {}",
            limits::MAX_JOB_KEY_BYTES,
            key.len()
        )));
    }
    for (index, statement) in script.statements.iter().enumerate() {
        if gives_rows(&statement.sql).map_err(|e| e.context(place(index, statement)))? {
            return Err(gives_rows_error().context(place(index, statement)));
        }
    }
    Ok(())
}

fn gives_rows_error() -> Error {
    Error::user(
        "it gives rows, and a submitted job has nobody to give them to; write them with COPY (…) TO or CREATE TABLE … AS, \
         or run the script with windrow sql",
    )
}

fn place(index: usize, statement: &ScriptStatement) -> String {
    format!("statement {} (line {})", index + 1, statement.line)
}

fn fingerprint(script: &Script) -> u64 {
    let mut hasher = DefaultHasher::new();
    for statement in &script.statements {
        statement.sql.hash(&mut hasher);
    }
    hasher.finish()
}

/// Runs the statements. When the job is cancelled the statement that runs is, and its own end is waited for: if it was
/// published, and was the last, the job has done all that it was to do.
async fn run(shared: &Arc<Shared>, ticket: &JobTicket, statements: &[ScriptStatement]) -> Result<()> {
    let session = ScriptSession::open(shared)?;
    for (index, statement) in statements.iter().enumerate() {
        if ticket.is_cancelled() {
            return Err(Error::cancelled());
        }
        ticket.statement(index as u32 + 1);
        let ended = run_one(shared, &session, ticket, &statement.sql).await;
        ended.map_err(|e| if e.kind == ErrorKind::Cancelled { e } else { e.context(place(index, statement)) })?;
    }
    Ok(())
}

async fn run_one(shared: &Arc<Shared>, session: &ScriptSession, ticket: &JobTicket, sql: &str) -> Result<()> {
    let lease = shared.sessions.lease(session.id)?;
    let mut statement = execution::start_part(Arc::clone(shared), lease, sql.into(), ticket.cancel_token());
    let mut counts_rows = false;
    while let Some(update) = statement.next().await {
        match update? {
            ExecutionUpdate::Accepted { schema, writes, .. } => {
                if !writes && !schema.fields().is_empty() {
                    return Err(gives_rows_error());
                }
                counts_rows = writes;
            }
            ExecutionUpdate::Progress { done, running, total } => ticket.progress((done, running, total)),
            ExecutionUpdate::Batch(count) if counts_rows => ticket.wrote(count_in(&count)),
            ExecutionUpdate::Batch(rows) if rows.num_rows() == 0 => {}
            ExecutionUpdate::Batch(_) | ExecutionUpdate::Direct(_) => return Err(gives_rows_error()),
            ExecutionUpdate::Done(report) => {
                if report.job.is_some() {
                    ticket.done(report);
                }
                return Ok(());
            }
        }
    }
    Err(Error::unavailable("the coordinator stopped before the statement had ended"))
}

/// The number of rows that a write answers with.
fn count_in(answer: &RecordBatch) -> u64 {
    let column = answer.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
    column.map_or(0, |counts| counts.values().iter().sum())
}

/// The session of a script; closing it cancels what still runs.
struct ScriptSession {
    shared: Arc<Shared>,
    id: SessionId,
}

impl ScriptSession {
    fn open(shared: &Arc<Shared>) -> Result<Self> {
        let id = SessionId(Uuid::new_v4().as_u128());
        shared.sessions.open(id, Principal::anonymous(), shared.engine.session())?;
        Ok(Self { shared: Arc::clone(shared), id })
    }
}

impl Drop for ScriptSession {
    fn drop(&mut self) {
        self.shared.sessions.close(self.id);
    }
}

//! One statement, from text to the last row: plan, submit, read the result, hand it on.
//!
//! Runs as one task for each statement. The rows go through a bounded channel; when its receiver is dropped the job is
//! cancelled.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windrow_common::{
    Determinism, Error, ErrorKind, JobId, JobReport, OutputReport, Principal, Result, Stage, StageGraph, limits,
};
use windrow_control::Outcome;
use windrow_engine::exchange::block::decode_inline;
use windrow_engine::session::{Analysis, EngineSession, PlanContext, Planned, PlannedJob, PlannedSink, count_row};
use windrow_engine::sink::{self, Ending, SinkSpec, WrittenFile};
use windrow_engine::stores::Stores;

use crate::direct::{Circumstances, DirectResult, Standing};
use crate::driver::{Committer, Input, JobState, Ready};
use crate::jobs::{Begun, JobKind, JobTicket, NewJob};
use crate::journal::JobOwner;
use crate::results::{Ended, ResultReader, ResultShape};
use crate::service::Shared;
use crate::sessions::Lease;

/// Batches that wait for a slow client.
const UPDATE_QUEUE: usize = 4;

/// What a client hears of its statement, in order: `Accepted`, then any of `Progress` and `Batch`, or one `Direct` in
/// place of every `Batch`, then `Done`; or an error at any point, which ends it.
#[derive(Debug)]
pub enum ExecutionUpdate {
    /// Planning is over.
    Accepted {
        /// The job, unless the statement needed none.
        job: Option<JobId>,
        /// The schema of the rows.
        schema: SchemaRef,
        /// Whether the only row is the number of rows written.
        writes: bool,
        /// Whether `Direct` may come.
        direct: bool,
    },
    /// Tasks accepted, running, and all.
    Progress {
        /// Accepted.
        done: u32,
        /// Running.
        running: u32,
        /// All.
        total: u32,
    },
    /// Rows.
    Batch(RecordBatch),
    /// The rows are many, and are read from this, part by part. Only for those who asked for it.
    Direct(DirectResult),
    /// The last row was delivered, and the job has succeeded.
    Done(JobReport),
}

/// Rows that are handed on.
impl From<RecordBatch> for ExecutionUpdate {
    fn from(batch: RecordBatch) -> Self {
        Self::Batch(batch)
    }
}

/// How the rows of a query come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Every row is handed on.
    HandedOn,
    /// A large result may be offered to be read part by part, if the session allows it.
    MayBeDirect,
}

/// What a client wants to be done.
#[derive(Clone, Debug)]
pub struct StatementText {
    /// The statement.
    pub sql: String,
    /// Values for its parameters: a column for each, a row for each time that it is meant.
    pub parameters: Option<RecordBatch>,
}

/// A statement that runs. Dropping it cancels the job.
#[derive(Debug)]
pub struct Statement {
    updates: mpsc::Receiver<Result<ExecutionUpdate>>,
    closed: CancellationToken,
}

impl Statement {
    /// The next news; none after `Done` or an error.
    #[expect(clippy::should_implement_trait, reason = "it is awaited, and no iterator")]
    pub fn next(&mut self) -> BoxFuture<'_, Option<Result<ExecutionUpdate>>> {
        Box::pin(async {
            tokio::select! {
                biased;
                // With the session its statements end, however much of an answer is there to be read.
                () = self.closed.cancelled(), if !self.updates.is_closed() => {
                    self.updates.close();
                    while self.updates.try_recv().is_ok() {}
                    Some(Err(Error::cancelled().context("the session was closed")))
                }
                update = self.updates.recv() => update,
            }
        })
    }
}

/// Starts a statement as a job of its own. The session is in use until its last trace is gone.
pub(crate) fn start(shared: Arc<Shared>, lease: Lease, text: StatementText, delivery: Delivery) -> Result<Statement> {
    let id = JobId(Uuid::new_v4().as_u128());
    match shared.jobs.begin(NewJob {
        id,
        kind: JobKind::Statement,
        key: None,
        text: text.sql.clone(),
        statements: 1,
    })? {
        Begun::New(ticket) => Ok(start_listed(shared, lease, text, delivery, Listing::Job(ticket))),
        Begun::Known(job) => Err(Error::internal(format!("{} is there already", job.id))),
    }
}

/// Starts a statement as a part of a job that is listed already, and is cancelled with that. Read it to its end to know
/// what became of it: a write that was published before the wish to cancel came has succeeded.
pub(crate) fn start_part(
    shared: Arc<Shared>,
    lease: Lease,
    text: StatementText,
    cancel: CancellationToken,
) -> Statement {
    start_listed(shared, lease, text, Delivery::HandedOn, Listing::Part(cancel))
}

/// What a statement is in the list of jobs.
enum Listing {
    /// A job of its own.
    Job(JobTicket),
    /// A part of one, which is cancelled with this.
    Part(CancellationToken),
}

fn start_listed(
    shared: Arc<Shared>,
    lease: Lease,
    text: StatementText,
    delivery: Delivery,
    listing: Listing,
) -> Statement {
    let (cancel, ticket) = match listing {
        Listing::Job(ticket) => (ticket.cancel_token(), Some(ticket)),
        Listing::Part(cancel) => (cancel, None),
    };
    let (sender, updates) = mpsc::channel(UPDATE_QUEUE);
    let tasks = shared.tasks.clone();
    let closed = lease.session().closed().clone();
    tasks.spawn(async move {
        let session = lease.session().engine().clone();
        let principal = lease.session().principal().clone();
        let closed = lease.session().closed().clone();
        let runner = Runner { shared, session, principal, delivery, client: sender, ticket, cancel, closed };
        let result = runner.run(text).await;
        let Runner { client, ticket, .. } = runner;
        if let Some(ticket) = ticket {
            ticket.end(&result);
        }
        // Whoever hears that the statement has ended finds its session at rest.
        drop(lease);
        if let Err(error) = result {
            // A client that has gone away needs no error.
            let _ = client.send(Err(error)).await;
        }
    });
    Statement { updates, closed }
}

/// How a job has ended.
struct Finished {
    report: JobReport,
    outcome: Outcome,
    /// Rows written.
    wrote: Option<u64>,
}

struct Runner {
    shared: Arc<Shared>,
    session: EngineSession,
    principal: Principal,
    delivery: Delivery,
    client: mpsc::Sender<Result<ExecutionUpdate>>,
    /// The job that this is, unless it is a part of one.
    ticket: Option<JobTicket>,
    /// Is cancelled when somebody wants the job to stop.
    cancel: CancellationToken,
    /// Is cancelled with the session.
    closed: CancellationToken,
}

impl Runner {
    async fn run(&self, text: StatementText) -> Result<()> {
        let mut context = self.shared.plan_context();
        if let Some(ticket) = &self.ticket {
            context.job = ticket.id();
        }
        match self.plan(text, context).await? {
            Planned::Done { schema, batches } => {
                // What is done at once is no job to be listed.
                self.ticket.iter().for_each(JobTicket::forget);
                self.say(ExecutionUpdate::Accepted { job: None, schema, writes: false, direct: false }).await?;
                for batch in batches {
                    self.say(ExecutionUpdate::Batch(batch)).await?;
                }
                self.say(ExecutionUpdate::Done(JobReport::default())).await
            }
            Planned::Job(planned) => self.run_job(context.job, *planned).await,
        }
    }

    /// Planning computes for long and so runs on threads of its own.
    async fn plan(&self, text: StatementText, context: PlanContext) -> Result<Planned> {
        let session = self.session.clone();
        let counted = self.shared.gauges.planning.enter();
        let planning = self.shared.planning.spawn(async move {
            let _counted = counted;
            let StatementText { sql, parameters } = text;
            session.plan_bound(&sql, parameters.as_ref(), context).await
        });
        let abort = planning.abort_handle();
        tokio::select! {
            planned = planning => planned.map_err(|e| Error::internal(format!("planning crashed: {e}")))?,
            unwanted = self.unwanted() => {
                abort.abort();
                Err(unwanted)
            }
        }
    }

    /// Returns when nobody wants the statement any more.
    async fn unwanted(&self) -> Error {
        tokio::select! {
            () = self.client.closed() => Error::cancelled(),
            // Whether or not anybody takes the rows meanwhile.
            () = self.closed.cancelled() => Error::cancelled().context("the session was closed"),
            () = self.cancel.cancelled() => Error::new(ErrorKind::Cancelled, "the job was cancelled by another client"),
        }
    }

    async fn run_job(&self, job: JobId, planned: PlannedJob) -> Result<()> {
        let last = planned.graph.stages.last().ok_or_else(|| Error::internal("a job without stages"))?;
        let shape = ResultShape {
            schema: Arc::clone(&planned.schema),
            partitions: last.output_partitions,
            determinism: of_result(&planned.graph, last),
        };
        let (rows_sender, rows) = oneshot::channel();
        let commit = planned
            .sink
            .as_ref()
            .map(|sink| committer(Arc::clone(self.session.stores()), sink.spec.clone(), rows_sender));
        let job_guard = match (self.submit(job, &planned, commit).await, &planned.sink) {
            (Ok(guard), _) => guard,
            (Err(error), Some(sink)) if sink.table.is_some() => {
                self.abort_write(job, sink, Err(error.clone())).await?;
                return Err(error);
            }
            (Err(error), _) => return Err(error),
        };
        let writes = planned.sink.is_some() && planned.analysis.is_none();
        let is_query = planned.sink.is_none() && planned.analysis.is_none();
        let direct = is_query && self.delivery == Delivery::MayBeDirect && self.session.direct_results();
        let schema = planned.analysis.as_ref().map_or_else(|| Arc::clone(&planned.schema), Analysis::schema);
        let accepted = ExecutionUpdate::Accepted { job: Some(job), schema, writes, direct };
        let told = self.say(accepted).await;
        let finished = match (&planned.sink, &planned.analysis) {
            (Some(sink), _) => match told {
                Ok(()) => self.write(job, job_guard, sink, rows).await?,
                Err(error) => {
                    // The job is cancelled; what it wrote may have been published before.
                    drop(job_guard);
                    self.abort_write(job, sink, Err(error)).await?
                }
            },
            (None, analysis) => {
                told?;
                match analysis {
                    None => self.deliver(job, job_guard, shape, direct).await?,
                    Some(_) => self.discard(job, job_guard).await?,
                }
            }
        };
        match finished.outcome {
            Outcome::Completed => self.completed(finished.report, finished.wrote, planned.analysis.as_ref()).await,
            Outcome::Cancelled => Err(Error::cancelled()),
            Outcome::Failed(error) => Err(error),
        }
    }

    /// The job has done all that it was to do, and is listed so whether or not its client is there to hear it.
    async fn completed(&self, report: JobReport, wrote: Option<u64>, analysis: Option<&Analysis>) -> Result<()> {
        let answer = match (analysis, wrote) {
            (Some(analysis), _) => Some(analysis.answer(&report)?),
            (None, wrote) => wrote.map(count_row).transpose()?,
        };
        if let Some(ticket) = &self.ticket {
            ticket.done(report.clone());
            ticket.end(&Ok(()));
        }
        if let Some(answer) = answer {
            self.say(ExecutionUpdate::Batch(answer)).await?;
        }
        self.say(ExecutionUpdate::Done(report)).await
    }

    async fn submit(&self, job: JobId, planned: &PlannedJob, commit: Option<Committer>) -> Result<JobGuard> {
        for (hash, bytes) in &planned.blobs {
            self.shared.blobs.put(job, *hash, Arc::clone(bytes))?;
        }
        let (reply, answer) = oneshot::channel();
        let seed = Uuid::new_v4().as_u128();
        let graph = Arc::new(planned.graph.clone());
        let owner = JobOwner { principal: self.principal.clone(), settings: planned.settings.clone() };
        self.tell(Input::Submit { job, owner, seed, graph, commit, reply }).await?;
        let accepted = answer.await.map_err(|_| gone()).and_then(|accepted| accepted);
        match accepted {
            Ok(state) => Ok(JobGuard { job, state, inputs: self.shared.inputs.clone(), ended: false }),
            Err(error) => {
                self.shared.blobs.release(job);
                Err(error)
            }
        }
    }

    /// Hands a query's rows on as they can be read; offers a large result, if it may be `direct`.
    async fn deliver(&self, job: JobId, mut guard: JobGuard, shape: ResultShape, direct: bool) -> Result<Finished> {
        let source = self.shared.result_source()?;
        let mut reader = ResultReader::new(Arc::clone(&source), shape.clone());
        let mut seen = None;
        loop {
            let state = self
                .next_state(&mut guard, |state| state.ready.as_ref().is_some_and(|ready| Some(ready.number) != seen));
            let state = state.await?;
            if let Some((outcome, report)) = state.ended {
                guard.ended = true;
                return Ok(Finished { report: report.as_ref().clone(), outcome, wrote: None });
            }
            let Some(ready) = state.ready else { continue };
            if direct && seen.is_none() && is_large(&ready) {
                let (inputs, tasks) = (self.shared.inputs.clone(), self.shared.tasks.clone());
                let reads = self.shared.gauges.results.clone();
                let circumstances = Circumstances { source, inputs, state: guard.state.clone(), tasks, reads };
                return self.offer(job, guard, DirectResult::new(job, shape, &ready, circumstances)).await;
            }
            seen = Some(ready.number);
            let reading = self.shared.gauges.results.enter();
            let read = tokio::select! {
                read = reader.read(&ready.locations, &self.client) => read?,
                unwanted = self.unwanted() => return Err(unwanted),
            };
            drop(reading);
            match read {
                Ended::Complete => return self.release(job, guard).await,
                Ended::Lost(attempts) => self.tell(Input::OutputsLost { job, attempts }).await?,
                Ended::Unwanted => return Err(Error::cancelled()),
            }
        }
    }

    /// Lets a query run, and its rows go.
    async fn discard(&self, job: JobId, mut guard: JobGuard) -> Result<Finished> {
        let state = self.next_state(&mut guard, |state| state.ready.is_some()).await?;
        match state.ended {
            Some(_) => self.wait_for_end(guard).await,
            None => self.release(job, guard).await,
        }
    }

    /// Holds a result for those who read its parts, until all were read or nobody has come for long.
    async fn offer(&self, job: JobId, mut guard: JobGuard, direct: DirectResult) -> Result<Finished> {
        let mut parts = direct.watch();
        tokio::select! {
            biased;
            said = self.say(ExecutionUpdate::Direct(direct.clone())) => said?,
            // A client may be slow to take even the offer; a cancel by another does not wait for it.
            unwanted = self.unwanted() => return Err(unwanted),
        }
        loop {
            let state = guard.state.borrow_and_update().clone();
            if let Some((outcome, report)) = state.ended {
                guard.ended = true;
                return Ok(Finished { report: report.as_ref().clone(), outcome, wrote: None });
            }
            parts.mark_unchanged();
            let patience = match direct.standing(&state.reads) {
                Standing::Complete => break,
                Standing::Busy => None,
                Standing::Idle => Some(limits::TICKET_PATIENCE),
            };
            tokio::select! {
                changed = guard.state.changed() => changed.map_err(|_| gone())?,
                // It can only fail with its sender, which is here.
                _ = parts.changed() => {}
                () = sleep_or_never(patience) => break,
                unwanted = self.unwanted() => return Err(unwanted),
            }
        }
        self.release(job, guard).await
    }

    /// The rows were read, or nobody wants them any more.
    async fn release(&self, job: JobId, guard: JobGuard) -> Result<Finished> {
        self.tell(Input::Released { job }).await?;
        self.wait_for_end(guard).await
    }

    /// Waits until everything is written and published.
    async fn write(
        &self,
        job: JobId,
        guard: JobGuard,
        sink: &PlannedSink,
        rows: oneshot::Receiver<u64>,
    ) -> Result<Finished> {
        let ended = self.wait_for_end(guard).await;
        let completed = matches!(&ended, Ok(Finished { outcome: Outcome::Completed, .. }));
        if !completed {
            // Attempts that are still being stopped find the write aborted and remove what they made.
            return self.abort_write(job, sink, ended).await;
        }
        let rows = rows.await.map_err(|_| Error::internal(format!("{job} has ended without a count of its rows")))?;
        self.written(sink, rows).await?;
        ended.map(|ended| Finished { wrote: Some(rows), ..ended })
    }

    /// A write whose job did not complete is decided against, unless it was decided for before: then it has succeeded.
    async fn abort_write(&self, job: JobId, sink: &PlannedSink, ended: Result<Finished>) -> Result<Finished> {
        let stores = self.session.stores();
        // What was to be a table and is not leaves no directory.
        let aborting =
            if sink.table.is_some() { sink::abort_new(stores, &sink.spec) } else { sink::abort(stores, &sink.spec) };
        match aborting.await {
            Ok(Ending::Aborted) => ended,
            Ok(Ending::Published(summary)) => {
                let report = ended.map(|ended| ended.report).unwrap_or_default();
                self.written(sink, summary.rows).await?;
                Ok(Finished { report, outcome: Outcome::Completed, wrote: Some(summary.rows) })
            }
            Err(error) => {
                tracing::warn!(%job, %error, "what the job wrote could not be removed");
                ended
            }
        }
    }

    /// Makes the table of the written rows, if they are to be one.
    async fn written(&self, sink: &PlannedSink, rows: u64) -> Result<()> {
        if let Some(table) = &sink.table {
            self.session.add_table(table, &sink.spec).await?;
        }
        if let Some(ticket) = &self.ticket {
            ticket.wrote(rows);
        }
        Ok(())
    }

    async fn wait_for_end(&self, mut guard: JobGuard) -> Result<Finished> {
        loop {
            let state = self.next_state(&mut guard, |_| false).await?;
            if let Some((outcome, report)) = state.ended {
                guard.ended = true;
                return Ok(Finished { report: report.as_ref().clone(), outcome, wrote: None });
            }
        }
    }

    /// Waits until the job has ended or `wanted` holds, telling the client of progress meanwhile.
    async fn next_state(&self, guard: &mut JobGuard, wanted: impl Fn(&JobState) -> bool) -> Result<JobState> {
        let mut told = (0, 0, 0);
        loop {
            let state = guard.state.borrow_and_update().clone();
            if state.progress != told {
                told = state.progress;
                let (done, running, total) = told;
                if let Some(ticket) = &self.ticket {
                    ticket.progress(told);
                }
                // News of progress may be dropped when the client is slow.
                let _ = self.client.try_send(Ok(ExecutionUpdate::Progress { done, running, total }));
            }
            if state.ended.is_some() || wanted(&state) {
                return Ok(state);
            }
            tokio::select! {
                changed = guard.state.changed() => changed.map_err(|_| gone())?,
                unwanted = self.unwanted() => return Err(unwanted),
            }
        }
    }

    /// A client that does not listen must not keep a closed session's statement.
    async fn say(&self, update: ExecutionUpdate) -> Result<()> {
        tokio::select! {
            biased;
            said = self.client.send(Ok(update)) => said.map_err(|_| Error::cancelled()),
            () = self.closed.cancelled() => Err(Error::cancelled().context("the session was closed")),
        }
    }

    async fn tell(&self, input: Input) -> Result<()> {
        self.shared.inputs.send(input).await.map_err(|_| gone())
    }
}

/// Cancels its job when it is dropped before the job has ended.
struct JobGuard {
    job: JobId,
    state: watch::Receiver<JobState>,
    inputs: mpsc::Sender<Input>,
    ended: bool,
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (inputs, job) = (self.inputs.clone(), self.job);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Lives only until the driver has taken the message.
            runtime.spawn(async move {
                let _ = inputs.send(Input::Cancel { job }).await;
            });
        }
    }
}

/// What running parts of a job again may change in its result. An output that comes back with other rows makes everything
/// that was made of it come back with other rows, as far as the result.
fn of_result(graph: &StageGraph, last: &Stage) -> Determinism {
    let indeterminate = |stage: &Stage| stage.determinism == Determinism::Indeterminate;
    if graph.stages.iter().any(indeterminate) { Determinism::Indeterminate } else { last.determinism }
}

/// Whether reading it from its workers is worth the connections. Some of its parts may be small and here already.
fn is_large(ready: &Ready) -> bool {
    ready.bytes >= limits::DIRECT_RESULT_BYTES && ready.locations.iter().any(|location| location.inline.is_none())
}

async fn sleep_or_never(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the coordinator is shutting down")
}

/// Publishes what the accepted attempts wrote, and says how many rows that were.
fn committer(stores: Arc<Stores>, spec: SinkSpec, rows: oneshot::Sender<u64>) -> Committer {
    Box::new(move |outputs: Vec<OutputReport>| {
        Box::pin(async move {
            let schema = sink::written::schema();
            let mut batches = vec![];
            for output in &outputs {
                let inline = output
                    .inline
                    .as_ref()
                    .ok_or_else(|| Error::internal("the list of written files did not ride in its report"))?;
                batches.extend(decode_inline(&schema, inline).map_err(Error::from)?);
            }
            let published = publish(&stores, &spec, sink::rows_of(&batches)?).await?;
            let _ = rows.send(published);
            Ok(())
        })
    })
}

/// Publishes, going on after errors that may pass; every step of it may be repeated.
async fn publish(stores: &Arc<Stores>, spec: &SinkSpec, files: Vec<WrittenFile>) -> Result<u64> {
    let mut tries = 1;
    loop {
        match sink::publish(stores, spec, files.clone()).await {
            Ok(published) => return Ok(published.rows),
            Err(error) if error.kind.is_retryable() && tries < limits::MAX_COMMIT_TRIES => {
                tracing::warn!(%error, tries, "publishing is tried again");
                tokio::time::sleep(limits::COMMIT_BACKOFF * tries).await;
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

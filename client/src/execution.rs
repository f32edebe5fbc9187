//! A statement that runs, and its rows.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::pretty::pretty_format_batches_with_schema;
use futures::future::BoxFuture;
use tonic::Streaming;
use windrow_common::{Error, ErrorKind, JobId, JobReport, Result};
use windrow_coordinator::{ExecutionUpdate, Statement};
use windrow_engine::exchange::block::{Block, decode};
use windrow_engine::scalar::inline_schema;
use windrow_proto::control as wire;
use windrow_proto::report::report_from_wire;
use windrow_proto::status::{from_status, id_from_bytes, is_ours};

use crate::dataframe::Rows;

/// Tasks done of all, for progress bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Tasks accepted.
    pub done: u32,
    /// Tasks running.
    pub running: u32,
    /// All tasks.
    pub total: u32,
}

/// What comes next of an execution.
#[derive(Debug)]
pub enum Update {
    /// Rows.
    Batch(RecordBatch),
    /// How far it is.
    Progress(Progress),
}

/// A running statement. Dropping it cancels the job.
#[derive(Debug)]
pub struct Execution {
    schema: SchemaRef,
    job: Option<JobId>,
    report: Option<JobReport>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Local(Statement),
    Remote(Box<Streaming<wire::ExecuteEvent>>),
}

/// Something heard of a statement.
enum News {
    Accepted { job: Option<JobId>, schema: SchemaRef },
    Update(Update),
    Done(JobReport),
}

impl Execution {
    pub(crate) async fn local(statement: Statement) -> Result<Self> {
        Self::accepted(Source::Local(statement)).await
    }

    pub(crate) async fn remote(events: Streaming<wire::ExecuteEvent>) -> Result<Self> {
        Self::accepted(Source::Remote(Box::new(events))).await
    }

    async fn accepted(source: Source) -> Result<Self> {
        let schema = std::sync::Arc::new(arrow::datatypes::Schema::empty());
        let mut execution = Self { schema, job: None, report: None, source };
        match execution.news().await? {
            News::Accepted { job, schema } => {
                execution.job = job;
                execution.schema = schema;
                Ok(execution)
            }
            News::Update(_) | News::Done(_) => Err(Error::internal("rows came before their schema")),
        }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The job, unless the statement needed none.
    pub fn job(&self) -> Option<JobId> {
        self.job
    }

    /// The next rows or news of progress; `None` after the last row, when the job has succeeded. An error ends it.
    #[expect(clippy::should_implement_trait, reason = "it is asynchronous, and named as in streams")]
    pub fn next(&mut self) -> BoxFuture<'_, Result<Option<Update>>> {
        Box::pin(self.update())
    }

    async fn update(&mut self) -> Result<Option<Update>> {
        if self.report.is_some() {
            return Ok(None);
        }
        match self.news().await? {
            News::Update(update) => Ok(Some(update)),
            News::Done(report) => {
                self.report = Some(report);
                Ok(None)
            }
            News::Accepted { .. } => Err(Error::internal("a statement was accepted twice")),
        }
    }

    /// The job's report; there after `next` has said `None`.
    pub fn report(&self) -> Option<&JobReport> {
        self.report.as_ref()
    }

    /// Reads to the end.
    pub async fn collect(mut self) -> Result<(Vec<RecordBatch>, JobReport)> {
        let mut batches = vec![];
        while let Some(update) = self.next().await? {
            if let Update::Batch(batch) = update {
                batches.push(batch);
            }
        }
        Ok((batches, self.report.unwrap_or_default()))
    }

    /// Reads to the end and prints the rows as a table on standard output.
    pub async fn show(self) -> Result<()> {
        let schema = self.schema();
        let (batches, _) = self.collect().await?;
        let unprintable = |error| Error::internal(format!("the rows cannot be printed: {error}"));
        let table = pretty_format_batches_with_schema(schema, &batches).map_err(unprintable)?;
        match writeln!(std::io::stdout(), "{table}") {
            // Whoever reads them has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| Error::io(format!("the rows cannot be printed: {error}"))),
        }
    }

    /// The rows as they come; news of progress are left out. Dropping the stream cancels the job.
    pub fn into_rows(self) -> Rows<'static> {
        let rows = futures::stream::try_unfold(self, |mut execution| async move {
            loop {
                match execution.next().await? {
                    Some(Update::Batch(batch)) => return Ok(Some((batch, execution))),
                    Some(Update::Progress(_)) => {}
                    None => return Ok(None),
                }
            }
        });
        Box::pin(rows)
    }

    async fn news(&mut self) -> Result<News> {
        match &mut self.source {
            Source::Local(statement) => {
                let update = statement.next().await.unwrap_or_else(|| Err(cut_short()))?;
                Ok(match update {
                    ExecutionUpdate::Accepted { job, schema, .. } => News::Accepted { job, schema },
                    ExecutionUpdate::Progress { done, running, total } => {
                        News::Update(Update::Progress(Progress { done, running, total }))
                    }
                    ExecutionUpdate::Batch(batch) => News::Update(Update::Batch(batch)),
                    ExecutionUpdate::Direct(_) => {
                        return Err(Error::internal("rows were offered to somebody who did not ask for that"));
                    }
                    ExecutionUpdate::Done(report) => News::Done(report),
                })
            }
            Source::Remote(events) => {
                let event = events.message().await.map_err(|status| stream_error(&status))?.ok_or_else(cut_short)?;
                from_wire(event, &self.schema)
            }
        }
    }
}

fn from_wire(event: wire::ExecuteEvent, schema: &SchemaRef) -> Result<News> {
    use wire::execute_event::Event;
    let malformed = || Error::new(ErrorKind::Version, "the coordinator sent something unreadable");
    Ok(match event.event.ok_or_else(malformed)? {
        Event::Accepted(accepted) => {
            let job = accepted.job.map(|job| id_from_bytes(&job).map(JobId).ok_or_else(malformed)).transpose()?;
            News::Accepted { job, schema: inline_schema(&accepted.schema)? }
        }
        Event::Progress(progress) => News::Update(Update::Progress(Progress {
            done: progress.done,
            running: progress.running,
            total: progress.total,
        })),
        Event::Batch(batch) => {
            let block = Block { rows: batch.rows, header: batch.header, body: batch.body, crc: batch.crc };
            News::Update(Update::Batch(decode(schema, &block).map_err(Error::from)?))
        }
        Event::Done(done) => News::Done(report_from_wire(done.report.unwrap_or_default())?),
    })
}

fn cut_short() -> Error {
    Error::unavailable("the connection to the coordinator was lost before the statement ended")
}

fn stream_error(status: &tonic::Status) -> Error {
    let error = from_status(status);
    if is_ours(status) { error } else { error.context("the connection to the coordinator was lost") }
}

//! Follows a running statement to its end: rows to whoever wants them, news to the progress line, Ctrl-C to a cancel.

use std::pin::pin;

use arrow::array::RecordBatch;
use windrow::execution::{Execution, Update};
use windrow::{JobReport, Session};
use windrow_common::{Error, Result};

use crate::interrupt::Interrupt;
use crate::progress::{ProgressLine, TICK};

/// Plans and starts a statement; drawing and listening for Ctrl-C meanwhile.
pub async fn start(
    session: &Session,
    sql: &str,
    interrupt: &mut Interrupt,
    progress: &mut ProgressLine,
) -> Result<Execution> {
    ticking(session.execute(sql), interrupt, progress).await
}

/// Reads an execution to its end. Dropping it, as happens on Ctrl-C and on an error of `rows`, cancels the job.
pub async fn finish(
    mut execution: Execution,
    interrupt: &mut Interrupt,
    progress: &mut ProgressLine,
    mut rows: impl FnMut(RecordBatch, &mut ProgressLine) -> Result<()>,
) -> Result<JobReport> {
    while let Some(update) = ticking(execution.next(), interrupt, progress).await? {
        match update {
            Update::Batch(batch) => rows(batch, progress)?,
            Update::Progress(news) => progress.update(u64::from(news.done), u64::from(news.total)),
        }
    }
    let report = execution.report().cloned().unwrap_or_default();
    let rejected = report.rejected_rows();
    if rejected > 0 {
        progress.clear();
        let rows = if rejected == 1 { "row was" } else { "rows were" };
        crate::stderr::tell(&format!("warning: {rejected} malformed {rows} left out (on_error 'skip')"));
    }
    Ok(report)
}

/// Runs a statement to its end and keeps its rows.
pub async fn collect(
    session: &Session,
    sql: &str,
    interrupt: &mut Interrupt,
    progress: &mut ProgressLine,
) -> Result<(Vec<RecordBatch>, JobReport)> {
    let execution = start(session, sql, interrupt, progress).await?;
    let mut batches = Vec::new();
    let report = finish(execution, interrupt, progress, |batch, _| {
        batches.push(batch);
        Ok(())
    });
    let report = report.await?;
    Ok((batches, report))
}

/// Waits for `work`, drawing all the while; a `Cancelled` error when Ctrl-C comes first.
pub async fn ticking<T>(
    work: impl Future<Output = Result<T>>,
    interrupt: &mut Interrupt,
    progress: &mut ProgressLine,
) -> Result<T> {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = interrupt.wait() => return Err(Error::cancelled()),
            result = &mut work => return result,
            _ = ticks.tick() => progress.tick(),
        }
    }
}

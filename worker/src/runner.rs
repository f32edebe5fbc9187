//! Runs attempts: fetches the plan, makes the attempt's own instance, runs its partitions on the CPU runtime, and puts the
//! rows where their readers will look for them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windrow_common::protocol::Assignment;
use windrow_common::time::Clock;
use windrow_common::{AttemptId, Error, ErrorKind, ExchangeKind, Gauge, OutputReport, Result, limits};
use windrow_engine::error::classify;
use windrow_engine::exchange::block::encode_inline;
use windrow_engine::runtime::{Attempt, AttemptInput, AttemptSpec, StageRuntime};
use windrow_engine::scalar::too_many_rows;
use windrow_engine::stores::Stores;

use crate::budget::Budget;
use crate::fetch::WorkerExchange;
use crate::plans::Plans;
use crate::store::ShuffleStore;
use crate::writer::OutputWriter;

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// Its output is complete.
    Finished {
        /// Which.
        attempt: AttemptId,
        /// Its output.
        output: OutputReport,
    },
    /// It failed; nothing of it is left.
    Failed {
        /// Which.
        attempt: AttemptId,
        /// Why.
        error: Error,
    },
    /// It was told to stop; nothing of it is left.
    Stopped {
        /// Which.
        attempt: AttemptId,
    },
}

impl Ended {
    /// Which attempt.
    pub fn attempt(&self) -> AttemptId {
        match self {
            Ended::Finished { attempt, .. } | Ended::Failed { attempt, .. } | Ended::Stopped { attempt } => *attempt,
        }
    }
}

/// Runs attempts.
#[derive(Debug)]
pub struct Runner {
    cpu: Handle,
    plans: Plans,
    runtime: StageRuntime,
    store: ShuffleStore,
    budget: Budget,
    exchange: WorkerExchange,
    /// What attempts have reserved of the budget, in [`RESERVATION_UNIT`]s.
    reservations: Semaphore,
    attempts: Gauge,
}

/// Granularity of reservations.
const RESERVATION_UNIT: u64 = 1 << 20;

impl Runner {
    /// A runner whose operators run on `cpu` and spill beside the store's own files.
    pub fn new(
        cpu: Handle,
        plans: Plans,
        store: ShuffleStore,
        budget: Budget,
        exchange: WorkerExchange,
        stores: Arc<Stores>,
    ) -> Result<Self> {
        let runtime = StageRuntime::new(Some(store.scratch()), stores)?;
        let reservations = Semaphore::new(units(budget.limit()) as usize);
        let attempts = Gauge::default();
        Ok(Self { cpu, plans, runtime, store, budget, exchange, reservations, attempts })
    }

    /// Attempts that run or are being stopped.
    pub fn attempts(&self) -> u64 {
        self.attempts.get()
    }

    /// Plans that are kept, and their bytes.
    pub fn plans(&self) -> (u64, u64) {
        self.plans.kept()
    }

    /// Starts an attempt; its end comes over `ended`, exactly once.
    pub fn start(self: &Arc<Self>, assignment: Assignment, stop: CancellationToken, ended: mpsc::Sender<Ended>) {
        let runner = Arc::clone(self);
        let counted = self.attempts.enter();
        self.cpu.spawn(async move {
            let _counted = counted;
            let attempt = assignment.attempt;
            let task = assignment.task;
            let end = match AssertUnwindSafe(runner.run(assignment, &stop)).catch_unwind().await {
                Ok(Ok(output)) => Ended::Finished { attempt, output },
                Ok(Err(_)) if stop.is_cancelled() => Ended::Stopped { attempt },
                Ok(Err(error)) => Ended::Failed { attempt, error },
                Err(panic) => Ended::Failed { attempt, error: crashed(panic.as_ref()) },
            };
            if !matches!(end, Ended::Finished { .. }) {
                runner.store.free(&[attempt]);
            }
            tracing::debug!(%task, ?end, "attempt ended");
            // The loop is gone only when the whole worker is.
            let _ = ended.send(end).await;
        });
    }

    async fn run(&self, assignment: Assignment, stop: &CancellationToken) -> Result<OutputReport> {
        let clock = Clock::start();
        let _reserved = unless(stop, self.reserve(assignment.memory)).await?;
        let blob = unless(stop, self.plans.get(assignment.plan)).await?;
        let fetched = Arc::new(AtomicU64::new(0));
        let attempt = Arc::new(self.prepare(&assignment, &blob, &fetched, stop)?);
        let writer = self.store.writer(assignment.task.job, assignment.attempt, assignment.output_partitions)?;
        let writer = run_partitions(attempt.clone(), &assignment, writer, stop).await?;
        unless(stop, attempt.store_rejects(assignment.task)).await?;
        let summary = unless(stop, writer.finish()).await?;
        let mut output = OutputReport {
            partitions: summary.partitions,
            inline: None,
            fetched_bytes: fetched.load(Ordering::Relaxed),
            spilled_bytes: summary.spilled_bytes,
            elapsed_micros: 0,
            rejected_rows: attempt.rejected_rows(),
            operators: attempt.operators(),
        };
        let scalar = assignment.output == ExchangeKind::Scalar;
        if scalar && output.rows() > 1 {
            return Err(too_many_rows());
        }
        let must = scalar || attempt.writes_files();
        let small = output.bytes() <= limits::INLINE_OUTPUT_BYTES as u64;
        if must || (assignment.inline && small) {
            output.inline = unless(stop, self.inline(&assignment, &attempt, must)).await?;
        }
        output.elapsed_micros = clock.now().0;
        Ok(output)
    }

    /// Waits until this much of the budget is not reserved by other attempts. An attempt may take more than it reserved
    /// while there is more; one that ran out of memory comes back with a larger reservation, and so with fewer beside it.
    async fn reserve(&self, bytes: u64) -> Result<SemaphorePermit<'_>> {
        let wanted = units(bytes).min(units(self.budget.limit()));
        self.reservations.acquire_many(wanted).await.map_err(|_| Error::cancelled())
    }

    fn prepare(
        &self,
        assignment: &Assignment,
        blob: &[u8],
        fetched: &Arc<AtomicU64>,
        stop: &CancellationToken,
    ) -> Result<Attempt> {
        let inputs = assignment
            .inputs
            .iter()
            .map(|slice| AttemptInput {
                exchange: slice.exchange,
                mode: slice.mode,
                partitions: slice.partitions.clone(),
                producers: Arc::clone(&slice.producers),
            })
            .collect();
        self.runtime.prepare(AttemptSpec {
            attempt: assignment.attempt,
            blob,
            splits: &assignment.splits,
            inputs,
            source: Arc::new(self.exchange.for_attempt(Arc::clone(fetched))),
            pool: self.budget.attempt_pool(assignment.task.to_string()),
            stop: stop.clone(),
        })
    }

    /// The whole output as bytes, if it is small enough to ride in the report.
    async fn inline(&self, assignment: &Assignment, attempt: &Attempt, always: bool) -> Result<Option<Vec<u8>>> {
        let mut stream = self.store.read(assignment.attempt, 0..assignment.output_partitions)?;
        let mut batches = vec![];
        while let Some(block) = stream.next().await {
            batches.push(block?.1);
        }
        let bytes = encode_inline(&attempt.schema(), &batches).map_err(Error::from)?;
        if always && bytes.len() > limits::MAX_INLINE_BYTES {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "the value of a scalar subquery, or a list of written files, has {} bytes; the limit is {}",
                    bytes.len(),
                    limits::MAX_INLINE_BYTES
                ),
            ));
        }
        Ok((always || bytes.len() <= limits::INLINE_OUTPUT_BYTES).then_some(bytes))
    }
}

/// What `work` gives, unless the attempt is told to stop before.
async fn unless<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::cancelled()),
        result = work => result,
    }
}

/// Runs all partitions of the attempt side by side. Whatever happens, none of them still runs when this returns.
async fn run_partitions(
    attempt: Arc<Attempt>,
    assignment: &Assignment,
    writer: OutputWriter,
    stop: &CancellationToken,
) -> Result<OutputWriter> {
    let writer = Arc::new(Mutex::new(writer));
    let mut running = JoinSet::new();
    for partition in assignment.partitions.clone() {
        let (attempt, writer) = (Arc::clone(&attempt), Arc::clone(&writer));
        let (output, output_partitions) = (assignment.output, assignment.output_partitions);
        running.spawn(run_partition(attempt, partition, output, output_partitions, writer));
    }
    let joined = unless(stop, join_all(&mut running)).await;
    // Before they are waited for: some let go of their thread only now and then.
    attempt.stop();
    running.shutdown().await;
    joined?;
    drop(attempt);
    Arc::into_inner(writer)
        .map(Mutex::into_inner)
        .ok_or_else(|| Error::internal("a partition still writes after its end"))
}

async fn join_all(running: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(result) => result?,
            Err(error) if error.is_panic() => return Err(crashed(error.into_panic().as_ref())),
            Err(_) => return Err(Error::cancelled()),
        }
    }
    Ok(())
}

async fn run_partition(
    attempt: Arc<Attempt>,
    partition: u32,
    output: ExchangeKind,
    output_partitions: u32,
    writer: Arc<Mutex<OutputWriter>>,
) -> Result<()> {
    let mut divider = attempt.divider(partition, output, output_partitions)?;
    let mut stream = attempt.stream(partition)?;
    while let Some(batch) = stream.next().await {
        let parts = divider.divide(batch.map_err(|e| classify(&e))?)?;
        let mut writer = writer.lock().await;
        for (target, part) in parts {
            writer.push(target, part).await?;
        }
    }
    Ok(())
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes / RESERVATION_UNIT).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4)
}

fn crashed(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::internal(format!("an operator crashed: {text}"))
}

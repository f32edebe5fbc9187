//! Runs the stages of a plan by hand, task by task, each alone, in any order, some of them twice. The law: what the tasks
//! of a stage make together is what the stage makes when it is run whole, in one instance.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::UnboundedMemoryPool;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use windrow_common::{
    AttemptId, Determinism, Error, ExchangeKind, Incarnation, JobId, Location, ReadMode, Result, Stage, TaskSpec,
    WorkerId,
};
use windrow_engine::exchange::block::encode_inline;
use windrow_engine::exchange::{ExchangeSource, ReadRequest};
use windrow_engine::plan::cost::ClusterShape;
use windrow_engine::runtime::{AttemptInput, AttemptSpec, StageRuntime};
use windrow_engine::session::{Engine, EngineSession, PlanContext, Planned, PlannedJob};

/// Outputs by attempt: for each partition its batches.
type Outputs = BTreeMap<AttemptId, Vec<Vec<RecordBatch>>>;

/// Everything that was made so far.
#[derive(Debug, Default)]
struct Store {
    outputs: Mutex<Outputs>,
}

impl Store {
    fn lock(&self) -> std::sync::MutexGuard<'_, Outputs> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExchangeSource for Store {
    fn read(&self, request: ReadRequest) -> SendableRecordBatchStream {
        let outputs = self.lock();
        let mut batches = vec![];
        for producer in &request.producers {
            let Some(partitions) = outputs.get(&producer.attempt) else { continue };
            let Range { start, end } = request.partitions;
            batches.extend(partitions[start as usize..end as usize].iter().flatten().cloned());
        }
        let stream = futures::stream::iter(batches.into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(request.schema, stream))
    }
}

/// How the tasks of every stage are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First to last, each once.
    Straight,
    /// Last to first, each once.
    Reverse,
    /// By a seed, and about every second task twice, the second run counting.
    Shuffled(u64),
}

/// Runs planned jobs.
#[derive(Debug)]
pub struct Stages {
    runtime: StageRuntime,
    session: EngineSession,
}

/// What a stage made: for each output partition its rows as text, sorted.
pub type StageRows = Vec<Vec<String>>;

impl Stages {
    /// A session of its own, with these statements run before.
    pub fn new(statements: &[String]) -> BoxFuture<'_, Result<Self>> {
        Box::pin(Self::with_tables(statements))
    }

    async fn with_tables(statements: &[String]) -> Result<Self> {
        let engine = Engine::new(std::env::temp_dir(), "law".into())?;
        let stages = Self { runtime: StageRuntime::new(None, Arc::default())?, session: engine.session() };
        for statement in statements {
            stages.plan(statement).await?;
        }
        Ok(stages)
    }

    /// Plans a statement for three workers of one core.
    pub async fn plan(&self, sql: &str) -> Result<Option<PlannedJob>> {
        let cluster = ClusterShape { slots: 3, largest: 1 };
        match self.session.plan(sql, PlanContext { job: JobId(1), cluster, nonce: 1, analyze: false }).await? {
            Planned::Done { .. } => Ok(None),
            Planned::Job(job) => Ok(Some(*job)),
        }
    }

    /// Checks the law on every stage of a job; gives the number of tasks that were run and the rows of the result.
    pub fn check_law<'a>(&'a self, job: &'a PlannedJob, order: Order) -> BoxFuture<'a, Result<(usize, Vec<String>)>> {
        Box::pin(self.check(job, order))
    }

    async fn check(&self, job: &PlannedJob, order: Order) -> Result<(usize, Vec<String>)> {
        let store = Arc::new(Store::default());
        let mut accepted: Vec<Arc<[Location]>> = vec![];
        let mut tasks = 0;
        let mut result = vec![];
        for stage in &job.graph.stages {
            let whole = self.run_whole(job, stage, &store, &accepted).await?;
            let locations = self.run_tasks(job, stage, &store, &accepted, order).await?;
            tasks += locations.len();
            let made = rows_of(&store, stage, &locations)?;
            // Rows that were picked by the order in which they came (a top-k keeps a threshold that the partitions of one
            // instance share) may be more when tasks run alone, and must hold all that the whole stage kept.
            let picked = stage.determinism == Determinism::Indeterminate;
            if made != whole && !(picked && contains(&made, &whole)) {
                let (expected, found) = (count(&whole), count(&made));
                return Err(Error::internal(format!(
                    "{}: its {} tasks made {found} rows, the whole stage {expected}, and they differ",
                    stage.id,
                    stage.tasks.len()
                )));
            }
            result = made.into_iter().flatten().collect();
            accepted.push(locations);
        }
        result.sort();
        Ok((tasks, result))
    }

    async fn run_tasks(
        &self,
        job: &PlannedJob,
        stage: &Stage,
        store: &Arc<Store>,
        accepted: &[Arc<[Location]>],
        order: Order,
    ) -> Result<Arc<[Location]>> {
        let mut locations: BTreeMap<u32, Location> = BTreeMap::new();
        for (run, index) in schedule(order, stage.tasks.len()).into_iter().enumerate() {
            let attempt = AttemptId(u128::from(stage.id.0) << 64 | (index as u128) << 16 | (run as u128 + 1));
            let task = &stage.tasks[index];
            self.run(job, stage, task, attempt, store, accepted).await?;
            locations.insert(index as u32, location(store, stage, index as u32, attempt)?);
        }
        Ok(locations.into_values().collect())
    }

    /// The same plan as one task that owns everything.
    async fn run_whole(
        &self,
        job: &PlannedJob,
        stage: &Stage,
        store: &Arc<Store>,
        accepted: &[Arc<[Location]>],
    ) -> Result<StageRows> {
        let mut splits = Vec::new();
        // Encoded splits of several tasks, one behind the other, are the splits of all of them.
        stage.tasks.iter().for_each(|task| splits.extend_from_slice(&task.splits));
        let reads = (0..stage.inputs.len())
            .map(|input| {
                let ranges: Vec<_> =
                    stage.tasks.iter().map(|t| t.reads[input].clone()).filter(|r| !r.is_empty()).collect();
                ranges.iter().map(|r| r.start).min().unwrap_or(0)..ranges.iter().map(|r| r.end).max().unwrap_or(0)
            })
            .collect();
        let partitions = 0..stage.tasks.iter().map(|t| t.partitions.end).max().unwrap_or(0);
        let whole = TaskSpec { partitions, reads, splits, slots: 1 };
        let attempt = AttemptId(u128::MAX - u128::from(stage.id.0));
        self.run(job, stage, &whole, attempt, store, accepted).await?;
        let rows = rows_of(store, stage, &[location(store, stage, 0, attempt)?])?;
        store.lock().remove(&attempt);
        Ok(rows)
    }

    async fn run(
        &self,
        job: &PlannedJob,
        stage: &Stage,
        task: &TaskSpec,
        attempt: AttemptId,
        store: &Arc<Store>,
        accepted: &[Arc<[Location]>],
    ) -> Result<()> {
        let (_, blob) = job
            .blobs
            .iter()
            .find(|(hash, _)| *hash == stage.plan)
            .ok_or_else(|| Error::internal("a stage without its plan"))?;
        let inputs = stage
            .inputs
            .iter()
            .zip(&task.reads)
            .map(|(input, partitions)| AttemptInput {
                exchange: input.exchange,
                mode: input.mode,
                partitions: if input.mode == ReadMode::Partitions { partitions.clone() } else { 0..1 },
                producers: Arc::clone(&accepted[input.exchange.0 as usize]),
            })
            .collect();
        let instance = self.runtime.prepare(AttemptSpec {
            attempt,
            blob,
            splits: &task.splits,
            inputs,
            source: Arc::clone(store) as Arc<dyn ExchangeSource>,
            pool: Arc::new(UnboundedMemoryPool::default()),
            stop: CancellationToken::new(),
        })?;
        let mut output = vec![vec![]; stage.output_partitions as usize];
        for partition in task.partitions.clone() {
            let mut divider = instance.divider(partition, stage.output, stage.output_partitions)?;
            let mut stream = instance.stream(partition)?;
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(|e| windrow_engine::error::classify(&e))?;
                for (target, part) in divider.divide(batch)? {
                    output[target as usize].push(part);
                }
            }
        }
        store.lock().insert(attempt, output);
        if stage.output == ExchangeKind::Scalar
            && store.lock()[&attempt].iter().flatten().map(RecordBatch::num_rows).sum::<usize>() > 1
        {
            return Err(windrow_engine::scalar::too_many_rows());
        }
        Ok(())
    }
}

fn location(store: &Store, stage: &Stage, task: u32, attempt: AttemptId) -> Result<Location> {
    let inline = if stage.output == ExchangeKind::Scalar {
        let outputs = store.lock();
        let batches: Vec<RecordBatch> = outputs[&attempt].iter().flatten().cloned().collect();
        match batches.first() {
            Some(first) => Some(encode_inline(&first.schema(), &batches).map_err(Error::from)?),
            None => {
                return Err(Error::internal(
                    "a scalar stage without rows needs its schema; none of these tests has one",
                ));
            }
        }
    } else {
        None
    };
    Ok(Location { task, attempt, worker: WorkerId(1), incarnation: Incarnation(1), endpoint: String::new(), inline })
}

fn schedule(order: Order, tasks: usize) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..tasks).collect();
    match order {
        Order::Straight => {}
        Order::Reverse => indexes.reverse(),
        Order::Shuffled(seed) => {
            let mut state = seed | 1;
            let mut next = || {
                // xorshift: any order will do, as long as a seed always gives the same.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as usize
            };
            for i in (1..indexes.len()).rev() {
                indexes.swap(i, next() % (i + 1));
            }
            let again: Vec<usize> = indexes.iter().copied().filter(|_| next() % 2 == 0).collect();
            indexes.extend(again);
        }
    }
    indexes
}

fn rows_of(store: &Store, stage: &Stage, locations: &[Location]) -> Result<StageRows> {
    let outputs = store.lock();
    (0..stage.output_partitions as usize)
        .map(|partition| {
            let batches: Vec<&RecordBatch> =
                locations.iter().flat_map(|location| &outputs[&location.attempt][partition]).collect();
            text_rows(batches)
        })
        .collect()
}

/// Whether each partition of `more` has all rows of the same partition of `fewer`. Both are sorted.
fn contains(more: &StageRows, fewer: &StageRows) -> bool {
    more.iter().zip(fewer).all(|(more, fewer)| {
        let mut rest = more.iter();
        fewer.iter().all(|row| rest.any(|other| other == row))
    })
}

fn count(rows: &StageRows) -> usize {
    rows.iter().map(Vec::len).sum()
}

/// The rows of batches as text, sorted.
pub fn text_rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let failed = |e: arrow::error::ArrowError| Error::internal(e.to_string());
    let mut rows = vec![];
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(failed)?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    Ok(rows)
}

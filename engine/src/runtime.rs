//! What runs attempts on a worker: turns an assignment and its stage's blob into an instance with a context of its own,
//! and divides the rows that come out.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::config::ConfigOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{MetricsSet, Time};
use datafusion::physical_plan::repartition::BatchPartitioner;
use datafusion::prelude::SessionConfig;
use tokio_util::sync::CancellationToken;
use windrow_common::{
    AttemptId, BlobHash, Error, ExchangeId, ExchangeKind, Location, OperatorMetrics, ReadMode, Result, TaskId,
};

use crate::around::AroundExec;
use crate::codec::splits::TaskSplits;
use crate::codec::{AttemptInputs, StageDecoder, StageInstance};
use crate::error::classify;
use crate::exchange::ExchangeSource;
use crate::exchange::reader::BoundInput;
use crate::formats::{ROWS_REJECTED, Rejects};
use crate::rejects::AttemptRejects;
use crate::scalar::scalar_value;
use crate::session::settings::WindrowOptions;
use crate::sink::{AttemptContext, WriteExec};
use crate::stopping::Stop;
use crate::stores::{PinnedStores, Pins, Stores};

/// Session states kept, one for each different set of settings.
const MAX_STATES: usize = 64;

/// One exchange that an attempt reads.
#[derive(Clone, Debug)]
pub struct AttemptInput {
    /// The exchange.
    pub exchange: ExchangeId,
    /// How it is shared out.
    pub mode: ReadMode,
    /// The attempt's partitions of it.
    pub partitions: std::ops::Range<u32>,
    /// The accepted outputs, in task order.
    pub producers: Arc<[Location]>,
}

/// Everything that makes one attempt of one task.
#[derive(Debug)]
pub struct AttemptSpec<'a> {
    /// Which.
    pub attempt: AttemptId,
    /// Its stage's plan.
    pub blob: &'a [u8],
    /// Its file splits.
    pub splits: &'a [u8],
    /// The exchanges it reads.
    pub inputs: Vec<AttemptInput>,
    /// Who reads them for it.
    pub source: Arc<dyn ExchangeSource>,
    /// Its memory.
    pub pool: Arc<dyn MemoryPool>,
    /// Is cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// A worker's part of the engine.
#[derive(Debug)]
pub struct StageRuntime {
    base: Arc<RuntimeEnv>,
    stores: Arc<Stores>,
    states: Mutex<BTreeMap<BlobHash, Arc<SessionState>>>,
}

impl StageRuntime {
    /// A runtime over these stores whose operators spill below `scratch`, or nowhere.
    pub fn new(scratch: Option<&Path>, stores: Arc<Stores>) -> Result<Self> {
        let mode = match scratch {
            Some(path) => DiskManagerMode::Directories(vec![path.to_owned()]),
            None => DiskManagerMode::Disabled,
        };
        let builder = crate::session::storage::runtime_builder(Arc::clone(&stores) as _)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode));
        let base = builder.build_arc().map_err(|e| classify(&e))?;
        Ok(Self { base, stores, states: Mutex::default() })
    }

    /// Makes the attempt's own instance of its stage's plan.
    pub fn prepare(&self, spec: AttemptSpec<'_>) -> Result<Attempt> {
        stacker::maybe_grow(1 << 20, windrow_common::limits::PLAN_STACK_BYTES, || self.prepare_here(spec))
    }

    fn prepare_here(&self, spec: AttemptSpec<'_>) -> Result<Attempt> {
        let decoder = StageDecoder::parse(spec.blob).map_err(|e| classify(&e))?;
        let state = self.state(&decoder)?;
        let mut config = state.config().clone();
        config.set_extension(Arc::new(AttemptContext { attempt: spec.attempt, stores: Arc::clone(&self.stores) }));
        let rejects = Arc::new(AttemptRejects::default());
        config.set_extension(Arc::new(Rejects(Arc::clone(&rejects) as _)));
        let pins = Arc::new(Pins::default());
        let stores = PinnedStores::new(Arc::clone(&self.stores) as _, Arc::clone(&pins));
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.base)
            .with_memory_pool(spec.pool)
            .with_object_store_registry(Arc::new(stores))
            .build_arc()
            .map_err(|e| classify(&e))?;
        let context = state.task_ctx().as_ref().clone_with(config, runtime);
        let mut inputs = AttemptInputs {
            splits: TaskSplits::decode(spec.splits).map_err(|e| classify(&e))?,
            stop: Stop::with(&spec.stop),
            pins,
            ..AttemptInputs::default()
        };
        for input in spec.inputs {
            if input.mode == ReadMode::Scalar {
                inputs.scalars.insert(input.exchange, scalar_of(&input)?);
            } else {
                let bound = BoundInput {
                    producers: input.producers,
                    partitions: input.partitions,
                    source: Arc::clone(&spec.source),
                };
                inputs.exchanges.insert(input.exchange, bound);
            }
        }
        let instance = decoder.instantiate(&context, &inputs, false).map_err(|e| classify(&e))?;
        let stores = Arc::clone(&self.stores);
        Ok(Attempt { instance, context: Arc::new(context), stop: inputs.stop, rejects, stores })
    }

    /// The functions and settings under which a plan was made. Plans made under the same settings share them.
    fn state(&self, decoder: &StageDecoder) -> Result<Arc<SessionState>> {
        let key = decoder.settings_hash();
        if let Some(state) = self.lock_states().get(&key) {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(state_for(&decoder.settings(), &self.base)?);
        let mut states = self.lock_states();
        if states.len() >= MAX_STATES {
            states.pop_first();
        }
        states.insert(key, Arc::clone(&state));
        Ok(state)
    }

    fn lock_states(&self) -> std::sync::MutexGuard<'_, BTreeMap<BlobHash, Arc<SessionState>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task context like another one, with other settings and memory.
trait CloneWith {
    fn clone_with(&self, config: SessionConfig, runtime: Arc<RuntimeEnv>) -> TaskContext;
}

impl CloneWith for TaskContext {
    fn clone_with(&self, config: SessionConfig, runtime: Arc<RuntimeEnv>) -> TaskContext {
        TaskContext::new(
            self.task_id(),
            self.session_id(),
            config,
            self.scalar_functions().clone(),
            self.higher_order_functions().clone(),
            self.aggregate_functions().clone(),
            self.window_functions().clone(),
            runtime,
        )
    }
}

/// Rebuilds a session's settings and, under them, its functions.
pub fn state_for(settings: &HashMap<String, String>, runtime: &Arc<RuntimeEnv>) -> Result<SessionState> {
    let mut options = ConfigOptions::new();
    options.extensions.insert(WindrowOptions::default());
    for (key, value) in settings {
        options.set(key, value).map_err(|e| classify(&e))?;
    }
    let config = SessionConfig::from(options);
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(runtime))
        .with_default_features()
        .build())
}

fn scalar_of(input: &AttemptInput) -> Result<datafusion::common::ScalarValue> {
    let inline = input.producers.first().and_then(|producer| producer.inline.as_ref());
    let Some(bytes) = inline else {
        return Err(Error::internal(format!("the value of {} did not ride in its report", input.exchange)));
    };
    scalar_value(bytes)
}

/// One attempt, ready to run.
#[derive(Debug)]
pub struct Attempt {
    instance: StageInstance,
    context: Arc<TaskContext>,
    stop: Stop,
    rejects: Arc<AttemptRejects>,
    stores: Arc<Stores>,
}

impl Attempt {
    /// The schema of its rows.
    pub fn schema(&self) -> SchemaRef {
        self.instance.plan.schema()
    }

    /// Nobody wants its rows any more. Operators that go on for long without letting go of their thread end with an error.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether its rows name written files, which the commit reads from the report.
    pub fn writes_files(&self) -> bool {
        self.instance.plan.is::<WriteExec>()
    }

    /// What each operator has done so far, each before its inputs; what is put around operators is no operator.
    pub fn operators(&self) -> Vec<OperatorMetrics> {
        let mut operators = vec![];
        let mut pending = vec![&self.instance.plan];
        while let Some(plan) = pending.pop() {
            if !plan.is::<AroundExec>() {
                operators.push(plan.metrics().map(|metrics| metrics_of(&metrics)).unwrap_or_default());
            }
            pending.extend(plan.children().into_iter().rev());
        }
        operators
    }

    /// Writes the malformed rows that its scans have left out where their tables want them. To be called when all
    /// partitions have ended.
    pub async fn store_rejects(&self, task: TaskId) -> Result<()> {
        self.rejects.store(&self.stores, task).await
    }

    /// Malformed rows that its scans have left out so far.
    pub fn rejected_rows(&self) -> u64 {
        let mut rejected = 0;
        let mut pending = vec![&self.instance.plan];
        while let Some(plan) = pending.pop() {
            let metrics = if plan.is::<AroundExec>() { None } else { plan.metrics() };
            let sum = metrics.and_then(|metrics| metrics.sum_by_name(ROWS_REJECTED));
            rejected += sum.map_or(0, |sum| sum.as_usize() as u64);
            pending.extend(plan.children());
        }
        rejected
    }

    /// Starts one of the attempt's partitions. Each may be started once.
    pub fn stream(&self, partition: u32) -> Result<SendableRecordBatchStream> {
        self.instance.plan.execute(partition as usize, Arc::clone(&self.context)).map_err(|e| classify(&e))
    }

    /// Divides the rows of one of the attempt's partitions among the partitions of the output.
    pub fn divider(&self, partition: u32, output: ExchangeKind, output_partitions: u32) -> Result<Divider> {
        let target = match output {
            ExchangeKind::Shuffle => {
                let keys = self.instance.keys.clone();
                let hash = BatchPartitioner::new_hash_partitioner(keys, output_partitions as usize, Time::default())
                    .map_err(|e| classify(&e))?;
                return Ok(Divider::Hash(Box::new(hash)));
            }
            ExchangeKind::Forward | ExchangeKind::Gather => partition,
            ExchangeKind::Broadcast | ExchangeKind::Scalar => 0,
        };
        if target >= output_partitions {
            return Err(Error::internal(format!("partition {target} of an output that has {output_partitions}")));
        }
        Ok(Divider::All(target))
    }
}

fn metrics_of(metrics: &MetricsSet) -> OperatorMetrics {
    let sum = |name: &str| metrics.sum_by_name(name).map_or(0, |sum| sum.as_usize() as u64);
    OperatorMetrics {
        rows: metrics.output_rows().map(|rows| rows as u64),
        compute_nanos: metrics.elapsed_compute().unwrap_or(0) as u64,
        spilled_bytes: metrics.spilled_bytes().unwrap_or(0) as u64,
        scanned_bytes: sum("bytes_scanned"),
    }
}

/// Says of each row to which partition of the output it goes.
pub enum Divider {
    /// By the hash of its keys.
    Hash(Box<BatchPartitioner>),
    /// All to one.
    All(u32),
}

impl std::fmt::Debug for Divider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Divider::Hash(_) => f.write_str("Hash"),
            Divider::All(partition) => write!(f, "All({partition})"),
        }
    }
}

impl Divider {
    /// Divides one batch; parts without rows are left out.
    pub fn divide(&mut self, batch: RecordBatch) -> Result<Vec<(u32, RecordBatch)>> {
        if batch.num_rows() == 0 {
            return Ok(vec![]);
        }
        match self {
            Divider::All(partition) => Ok(vec![(*partition, batch)]),
            Divider::Hash(partitioner) => partitioner
                .partition_iter(batch)
                .and_then(|parts| parts.map(|part| part.map(|(p, b)| (p as u32, b))).collect())
                .map_err(|e| classify(&e)),
        }
    }
}

//! The operator that writes files: partition by partition, each on its own, so that tasks can share its partitions.
//!
//! Its rows name the files it staged ([`super::written::schema`]); nothing is visible until [`super::publish`].
//! Encoding and writing run on the runtime's blocking threads, one batch at a time and never beside the polling of the
//! input: a task has one core, and the runtime that polls it must not wait for a disk.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::StreamExt;
use windrow_common::Error;

use super::partition_values::PartitionColumns;
use super::sorted_rest::RestOrder;
use super::spec::{Layout, SinkSpec};
use super::staging::AttemptContext;
use super::task_writer::TaskWriter;
use super::written::{self, WrittenFile};
use crate::error::external;
use crate::operator::{holds_no_expressions, one_input};

/// Writes each partition of its input to files of its own. The number of a partition is part of its files' names, so a
/// plan narrowed to some partitions must keep their numbers.
#[derive(Debug)]
pub struct WriteExec {
    input: Arc<dyn ExecutionPlan>,
    spec: SinkSpec,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WriteExec {
    /// Writes what `input` yields as `spec` says. The files have the schema of `input`, without the partition columns.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, spec: SinkSpec) -> Result<Self> {
        spec.target().map_err(external)?;
        spec.check_schema(&input.schema()).map_err(external)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(written::schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            input.boundedness(),
        );
        Ok(Self { input, spec, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }

    /// What is written where.
    pub fn spec(&self) -> &SinkSpec {
        &self.spec
    }

    /// Where the rows come from.
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

impl DisplayAs for WriteExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let SinkSpec { target, mode, format, .. } = &self.spec;
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "WriteExec: target={target}, format={}, mode={mode:?}", format.extension())?;
                match self.spec.partition_by.as_slice() {
                    [] => Ok(()),
                    columns => write!(f, ", partitioned_by=[{}]", columns.join(", ")),
                }
            }
            DisplayFormatType::TreeRender => write!(f, "target={target}"),
        }
    }
}

impl ExecutionPlan for WriteExec {
    fn name(&self) -> &str {
        "WriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.spec.layout {
            Layout::Directory => Distribution::UnspecifiedDistribution,
            Layout::SingleFile => Distribution::SinglePartition,
        }])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    holds_no_expressions!();

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(one_input(self.name(), children)?, self.spec.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.spec.layout == Layout::SingleFile && self.properties.partitioning.partition_count() != 1 {
            return Err(external(Error::internal("a single file is written from one partition; gather first")));
        }
        let Some(attempt) = context.session_config().get_extension::<AttemptContext>() else {
            return Err(external(Error::internal("a write runs without an AttemptContext in its session config")));
        };
        let reservation = MemoryConsumer::new(format!("WriteExec[{partition}]")).register(context.memory_pool());
        let schema = self.input.schema();
        let rest = match self.spec.partition_by.as_slice() {
            [] => None,
            names => {
                let columns = PartitionColumns::try_new(&schema, names).map_err(external)?;
                let kept = self.input.output_ordering();
                Some(RestOrder::try_new(&columns, &schema, kept, Arc::clone(&context))?)
            }
        };
        let writer = TaskWriter::try_new(&self.spec, &attempt, partition, schema, reservation)?;
        let counts = Counts::new(&self.metrics, partition);
        let input = self.input.execute(partition, context)?;
        let rows = futures::stream::once(write_partition(input, writer, counts, rest));
        Ok(Box::pin(RecordBatchStreamAdapter::new(written::schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// What EXPLAIN ANALYZE shows of one partition.
struct Counts {
    rows: Count,
    bytes: Count,
    files: Count,
    most_open: Gauge,
}

impl Counts {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            rows: MetricBuilder::new(metrics).counter("rows_written", partition),
            bytes: MetricBuilder::new(metrics).counter("bytes_written", partition),
            files: MetricBuilder::new(metrics).counter("files_written", partition),
            most_open: MetricBuilder::new(metrics).gauge("most_open_files", partition),
        }
    }

    fn add(&self, files: &[WrittenFile]) {
        self.rows.add(files.iter().map(|f| f.rows as usize).sum());
        self.bytes.add(files.iter().map(|f| f.bytes as usize).sum());
        self.files.add(files.len());
    }
}

async fn write_partition(
    mut input: SendableRecordBatchStream,
    writer: TaskWriter,
    counts: Counts,
    rest: Option<RestOrder>,
) -> Result<RecordBatch> {
    let (mut writer, ()) = blocking(writer, |w| w.refuse_if_decided()).await?;
    let mut back = None;
    while let Some(batch) = input.next().await.transpose()? {
        if batch.num_rows() > 0 {
            (writer, back) = blocking(writer, move |w| w.write(&batch)).await?;
        }
        if back.is_some() {
            break;
        }
    }
    match (back, rest) {
        (None, _) => drop(input),
        (Some(_), None) => return Err(external(Error::internal("rows of an undivided write were given back"))),
        (Some(first), Some(rest)) => writer = write_rest(writer, first, input, rest).await?,
    }
    let (writer, files) = blocking(writer, TaskWriter::finish).await?;
    let rows = written::batch_of(&files).map_err(external)?;
    counts.add(&files);
    counts.most_open.set_max(writer.most_open());
    writer.keep();
    Ok(rows)
}

/// Writes the rows that need to be sorted: those given back, and all behind them.
async fn write_rest(
    mut writer: TaskWriter,
    first: RecordBatch,
    input: SendableRecordBatchStream,
    rest: RestOrder,
) -> Result<TaskWriter> {
    let schema = input.schema();
    let rows = futures::stream::iter([Ok(first)]).chain(input);
    let mut sorted = rest.sort(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))?;
    while let Some(batch) = sorted.next().await.transpose()? {
        if batch.num_rows() > 0 {
            (writer, ()) = blocking(writer, move |w| w.write_sorted(&batch)).await?;
        }
    }
    Ok(writer)
}

/// Runs one step where it may block. The writer goes with it: should nobody wait for the step any more, the writer is
/// dropped when it ends, and takes its files away.
async fn blocking<T: Send + 'static>(
    mut writer: TaskWriter,
    step: impl FnOnce(&mut TaskWriter) -> Result<T> + Send + 'static,
) -> Result<(TaskWriter, T)> {
    let task = SpawnedTask::spawn_blocking(move || step(&mut writer).map(|value| (writer, value)));
    task.join().await.map_err(|e| external(Error::internal(format!("writing stopped short: {e}"))))?
}

//! The leaf through which a stage's plan reads an exchange.
//!
//! In a plan that is being cut the leaf is unbound: it stands for the exchange and keeps only those properties of the
//! replaced operator that survive the hand-over. In an attempt's instance it is bound to the accepted outputs that the
//! attempt may read, and refuses partitions that are not its own.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use futures::TryStreamExt;
use windrow_common::{ExchangeId, Location};

use super::equalities::{self, EqualColumns};
use super::source::{ExchangeSource, ReadRequest};
use crate::operator::holds_no_expressions;
use crate::yielding::Yielding;

/// How the partitions of the leaf map to the outputs of the producers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Partition `i` of the leaf is partition `i` of every producer's output.
    Shuffle,
    /// Partition `i` of the leaf is partition `i` of the output of the one producer task `owners[i]`.
    Forward {
        /// For each partition the index of its producer task.
        owners: Vec<u32>,
    },
    /// The only partition of the leaf is everything that all producers made.
    Broadcast,
}

/// What an exchange keeps of the properties of the rows that went into it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Orders of each partition.
    pub orderings: Vec<LexOrdering>,
    /// Equal and constant columns.
    pub equalities: Vec<EqualColumns>,
}

/// What an attempt may read.
#[derive(Clone, Debug)]
pub struct BoundInput {
    /// The accepted outputs, in task order.
    pub producers: Arc<[Location]>,
    /// The partitions of the exchange that belong to this attempt.
    pub partitions: Range<u32>,
    /// Who reads them.
    pub source: Arc<dyn ExchangeSource>,
}

/// Reads an exchange.
#[derive(Clone, Debug)]
pub struct ExchangeReaderExec {
    exchange: ExchangeId,
    mapping: Mapping,
    bound: Option<BoundInput>,
    equalities: Vec<EqualColumns>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ExchangeReaderExec {
    /// A leaf with this partitioning, whose partitions are ordered as given (only `Forward` keeps an order).
    pub fn try_new(
        exchange: ExchangeId,
        schema: SchemaRef,
        mapping: Mapping,
        partitioning: Partitioning,
        kept: Kept,
    ) -> Result<Self> {
        let Kept { orderings, equalities } = kept;
        let group = equalities::group(&equalities, &schema);
        let mut equivalences = EquivalenceProperties::new_with_orderings(schema, orderings);
        equivalences.add_equivalence_group(group)?;
        let properties =
            PlanProperties::new(equivalences, partitioning, EmissionType::Incremental, Boundedness::Bounded)
                .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { exchange, mapping, bound: None, equalities, properties: Arc::new(properties), metrics })
    }

    /// The same leaf, able to run.
    #[must_use]
    pub fn bind(mut self, input: BoundInput) -> Self {
        self.bound = Some(input);
        self
    }

    /// The exchange it reads.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// How its partitions map to producers' outputs.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The orderings that its partitions keep.
    pub fn orderings(&self) -> Vec<LexOrdering> {
        self.properties.eq_properties.oeq_class().iter().cloned().collect()
    }

    /// What is known of its columns' values.
    pub fn equalities(&self) -> &[EqualColumns] {
        &self.equalities
    }

    fn request(&self, partition: usize, input: &BoundInput) -> Result<ReadRequest> {
        let index = partition as u32;
        let schema = self.schema();
        match &self.mapping {
            Mapping::Broadcast => Ok(ReadRequest { producers: input.producers.to_vec(), partitions: 0..1, schema }),
            Mapping::Shuffle => {
                self.check_owned(index, input)?;
                Ok(ReadRequest { producers: input.producers.to_vec(), partitions: index..index + 1, schema })
            }
            Mapping::Forward { owners } => {
                self.check_owned(index, input)?;
                let owner = owners.get(partition).and_then(|task| input.producers.get(*task as usize));
                let Some(owner) = owner else {
                    return internal_err!("partition {partition} of {} has no producer", self.exchange);
                };
                Ok(ReadRequest { producers: vec![owner.clone()], partitions: index..index + 1, schema })
            }
        }
    }

    fn check_owned(&self, index: u32, input: &BoundInput) -> Result<()> {
        if !input.partitions.contains(&index) {
            return internal_err!(
                "partition {index} of {} is not an input of this attempt, which owns {:?}",
                self.exchange,
                input.partitions
            );
        }
        Ok(())
    }
}

impl DisplayAs for ExchangeReaderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let kind = match &self.mapping {
            Mapping::Shuffle => "shuffle",
            Mapping::Forward { .. } => "forward",
            Mapping::Broadcast => "broadcast",
        };
        write!(
            f,
            "ExchangeReaderExec: {}, {kind}, partitions={}",
            self.exchange,
            self.properties.partitioning.partition_count()
        )?;
        for ordering in self.properties.eq_properties.oeq_class().iter() {
            write!(f, ", ordering=[{ordering}]")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ExchangeReaderExec {
    fn name(&self) -> &str {
        "ExchangeReaderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    holds_no_expressions!();

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(input) = &self.bound else {
            return internal_err!("{} is read without an attempt", self.exchange);
        };
        let read = input.source.read(self.request(partition, input)?);
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let counted = read.inspect_ok(move |batch| rows.add(batch.num_rows()));
        // Rows that lie in memory are always ready: without giving way, whoever reads them would not hear of a cancel
        // before the last one.
        Ok(Box::pin(Yielding::new(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

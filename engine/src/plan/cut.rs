//! Cuts a plan at its exchanges.
//!
//! The cutter walks the operators from the leaves up. A *fragment* is the part of a plan that ends up in one stage; it is
//! *spread* when its partitions may be run by different tasks. Wherever an operator needs more of its input than its own
//! partitions, the input's fragment becomes a stage of its own and a reader takes its place.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary};
use windrow_common::{ExchangeId, ExchangeKind, limits};

use super::leaves::partition_count;
use super::rules::{Rule, rule_of};
use crate::codec::{OutputDivision, ScalarBinding};
use crate::exchange::equalities;
use crate::exchange::reader::{ExchangeReaderExec, Kept, Mapping};

/// A stage before it is encoded.
#[derive(Debug)]
pub struct StageDraft {
    /// Its plan.
    pub plan: Arc<dyn ExecutionPlan>,
    /// How its output is handed over.
    pub kind: ExchangeKind,
    /// How its rows are divided.
    pub division: OutputDivision,
    /// Into how many partitions.
    pub output_partitions: u32,
    /// Which of the plan's partitions each task runs.
    pub tasks: Vec<Range<u32>>,
    /// Whether different tasks may run different partitions.
    pub spread: bool,
    /// Cores that each task can use.
    pub slots: u32,
}

/// A plan cut into stages; the last one makes the result.
#[derive(Debug, Default)]
pub struct CutPlan {
    /// The stages; each reads only those before it.
    pub stages: Vec<StageDraft>,
    /// Which exchange carries the value of which scalar subquery.
    pub scalars: Vec<ScalarBinding>,
}

struct Fragment {
    plan: Arc<dyn ExecutionPlan>,
    spread: bool,
}

impl Fragment {
    fn single_partition(&self) -> bool {
        partition_count(&self.plan) == 1
    }
}

/// Cuts a plan for many tasks.
pub fn cut(plan: &Arc<dyn ExecutionPlan>) -> Result<CutPlan> {
    let mut cutter = CutPlan::default();
    let root = cutter.fragment(plan)?;
    let partitions = partition_count(&root.plan);
    cutter.push(root, ExchangeKind::Gather, OutputDivision::AsIs, partitions)?;
    Ok(cutter)
}

/// Makes one stage of one task of the whole plan, which takes so many cores: the fast path.
pub fn whole(plan: &Arc<dyn ExecutionPlan>, cores: u32) -> Result<CutPlan> {
    let mut cutter = CutPlan::default();
    let partitions = partition_count(plan);
    let root = Fragment { plan: Arc::clone(plan), spread: false };
    cutter.push(root, ExchangeKind::Gather, OutputDivision::AsIs, partitions)?;
    cutter.stages.iter_mut().for_each(|stage| stage.slots = cores);
    Ok(cutter)
}

impl CutPlan {
    fn fragment(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Fragment> {
        match rule_of(plan) {
            Rule::Leaf => Ok(Fragment { plan: Arc::clone(plan), spread: true }),
            Rule::CoordinatorOnly => internal_err!("{} was left in a plan that is to be cut", plan.name()),
            Rule::PartitionWise | Rule::Union => self.partition_wise(plan),
            Rule::CollectsLeft { safe } => self.collects_left(plan, safe),
            Rule::Shuffle { keys, partitions } => self.shuffle(plan, keys, partitions),
            Rule::Gather => self.gather(plan),
            Rule::ScalarSubqueries => self.scalar_subqueries(plan),
            Rule::SingleTask => self.single_task(plan),
        }
    }

    fn children(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<Fragment>> {
        plan.children().into_iter().map(|child| self.fragment(child)).collect()
    }

    fn partition_wise(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Fragment> {
        let children = self.children(plan)?;
        if let [child] = children.as_slice() {
            let spread = child.spread;
            return Ok(Fragment { plan: rebuild(plan, children)?, spread });
        }
        // Beside others that may be spread, an input that may not is handed over partition by partition.
        let children = children
            .into_iter()
            .map(|child| if child.spread { Ok(child) } else { self.forward(child, ExchangeKind::Forward) })
            .collect::<Result<Vec<_>>>()?;
        Ok(Fragment { plan: rebuild(plan, children)?, spread: true })
    }

    fn collects_left(&mut self, plan: &Arc<dyn ExecutionPlan>, safe: bool) -> Result<Fragment> {
        let mut children = self.children(plan)?;
        let (Some(right), Some(left)) = (children.pop(), children.pop()) else {
            return internal_err!("{} needs two inputs", plan.name());
        };
        if right.single_partition() || !right.spread {
            let left = if left.single_partition() { left } else { self.forward(left, ExchangeKind::Gather)? };
            let spread = right.spread;
            return Ok(Fragment { plan: rebuild(plan, vec![left, right])?, spread });
        }
        if safe {
            let left = self.broadcast(left)?;
            return Ok(Fragment { plan: rebuild(plan, vec![left, right])?, spread: true });
        }
        let right = self.forward(right, ExchangeKind::Gather)?;
        Ok(Fragment { plan: rebuild(plan, vec![left, right])?, spread: false })
    }

    fn shuffle(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        partitions: usize,
    ) -> Result<Fragment> {
        let child = self.only_child(plan)?;
        if partitions > limits::MAX_PARTITIONS {
            return Err(limit_error("partitions of one exchange", partitions, limits::MAX_PARTITIONS));
        }
        let schema = plan.schema();
        let partitioning = Partitioning::Hash(keys.clone(), partitions);
        // The parts of a single partition arrive in the order in which they were written.
        let orderings = if child.single_partition() { orderings_of(&child.plan) } else { vec![] };
        let kept = Kept { orderings, equalities: equalities::of(&child.plan, false) };
        let exchange = self.push(child, ExchangeKind::Shuffle, OutputDivision::Hash(keys), partitions as u32)?;
        let reader = ExchangeReaderExec::try_new(exchange, schema, Mapping::Shuffle, partitioning, kept)?;
        Ok(Fragment { plan: Arc::new(reader), spread: true })
    }

    fn gather(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Fragment> {
        let child = self.only_child(plan)?;
        let child =
            if child.single_partition() || !child.spread { child } else { self.forward(child, ExchangeKind::Gather)? };
        // One partition is one task, whatever is below it.
        Ok(Fragment { plan: rebuild(plan, vec![child])?, spread: true })
    }

    fn scalar_subqueries(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Fragment> {
        let Some(subqueries) = plan.downcast_ref::<ScalarSubqueryExec>() else {
            return internal_err!("{} does not carry scalar subqueries", plan.name());
        };
        for link in subqueries.subqueries() {
            let mut fragment = self.fragment(&link.plan)?;
            if !fragment.single_partition() {
                fragment = self.forward(fragment, ExchangeKind::Gather)?;
                fragment.spread = false;
            }
            let partitions = partition_count(&fragment.plan);
            let exchange = self.push(fragment, ExchangeKind::Scalar, OutputDivision::AsIs, partitions)?;
            self.scalars.push(ScalarBinding {
                results: subqueries.results().clone(),
                index: link.index.as_usize(),
                exchange,
            });
        }
        self.fragment(subqueries.input())
    }

    fn single_task(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Fragment> {
        let children = self
            .children(plan)?
            .into_iter()
            .map(|child| {
                if child.single_partition() || !child.spread {
                    Ok(child)
                } else {
                    self.forward(child, ExchangeKind::Gather)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Fragment { plan: rebuild(plan, children)?, spread: false })
    }

    fn only_child(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Fragment> {
        let mut children = self.children(plan)?;
        match (children.pop(), children.is_empty()) {
            (Some(child), true) => Ok(child),
            _ => internal_err!("{} needs one input", plan.name()),
        }
    }

    /// Hands a fragment over partition by partition. A partition keeps its order.
    fn forward(&mut self, fragment: Fragment, kind: ExchangeKind) -> Result<Fragment> {
        let schema = fragment.plan.schema();
        let partitioning = fragment.plan.output_partitioning().clone();
        let kept = Kept { orderings: orderings_of(&fragment.plan), equalities: equalities::of(&fragment.plan, true) };
        let partitions = partition_count(&fragment.plan);
        let exchange = self.push(fragment, kind, OutputDivision::AsIs, partitions)?;
        let owners = self.owners(exchange, partitions);
        let reader = ExchangeReaderExec::try_new(exchange, schema, Mapping::Forward { owners }, partitioning, kept)?;
        Ok(Fragment { plan: Arc::new(reader), spread: true })
    }

    fn broadcast(&mut self, fragment: Fragment) -> Result<Fragment> {
        let schema = fragment.plan.schema();
        let kept = Kept { orderings: vec![], equalities: equalities::of(&fragment.plan, false) };
        let exchange = self.push(fragment, ExchangeKind::Broadcast, OutputDivision::AsIs, 1)?;
        let partitioning = Partitioning::UnknownPartitioning(1);
        let reader = ExchangeReaderExec::try_new(exchange, schema, Mapping::Broadcast, partitioning, kept)?;
        Ok(Fragment { plan: Arc::new(reader), spread: true })
    }

    fn owners(&self, exchange: ExchangeId, partitions: u32) -> Vec<u32> {
        let mut owners = vec![0; partitions as usize];
        let tasks = self.stages.get(exchange.0 as usize).map_or(&[][..], |stage| &stage.tasks);
        for (task, range) in tasks.iter().enumerate() {
            owners[range.start as usize..range.end as usize].fill(task as u32);
        }
        owners
    }

    fn push(
        &mut self,
        fragment: Fragment,
        kind: ExchangeKind,
        division: OutputDivision,
        output_partitions: u32,
    ) -> Result<ExchangeId> {
        let partitions = partition_count(&fragment.plan);
        if partitions as usize > limits::MAX_TASKS_PER_STAGE {
            return Err(limit_error("tasks of one stage", partitions as usize, limits::MAX_TASKS_PER_STAGE));
        }
        let spread = fragment.spread && partitions > 1;
        let tasks =
            if spread { (0..partitions).map(|p| p..p + 1).collect() } else { std::iter::once(0..partitions).collect() };
        let exchange = ExchangeId(self.stages.len() as u32);
        let slots = if spread { 1 } else { partitions.max(1) };
        self.stages.push(StageDraft { plan: fragment.plan, kind, division, output_partitions, tasks, spread, slots });
        Ok(exchange)
    }
}

fn orderings_of(plan: &Arc<dyn ExecutionPlan>) -> Vec<LexOrdering> {
    plan.equivalence_properties().oeq_class().iter().cloned().collect()
}

/// The operator over its new inputs. What stands above relies on the order that it had: it must still have it.
fn rebuild(plan: &Arc<dyn ExecutionPlan>, children: Vec<Fragment>) -> Result<Arc<dyn ExecutionPlan>> {
    let children = children.into_iter().map(|fragment| fragment.plan).collect();
    let rebuilt = replace_children_if_necessary(Arc::clone(plan), children)?;
    if let Some(ordering) = plan.output_ordering()
        && !rebuilt.equivalence_properties().ordering_satisfy(ordering.iter().cloned())?
    {
        return internal_err!("{} lost its order [{ordering}] when the plan was cut", plan.name());
    }
    Ok(rebuilt)
}

fn limit_error(what: &str, asked: usize, limit: usize) -> DataFusionError {
    DataFusionError::External(Box::new(windrow_common::Error::new(
        windrow_common::ErrorKind::Limit,
        format!("{asked} {what} are more than the limit of {limit}; lower windrow.partitions"),
    )))
}

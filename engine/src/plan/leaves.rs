//! Which partitions of a stage's leaves belong to which partitions of its plan. A task owns a range of the plan's
//! partitions; this says which files and which slices of exchanges that means.

use std::ops::Range;
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::rules::{Rule, rule_of};

/// A leaf, and the range of its partitions that is needed.
pub type LeafRange<'a> = (&'a Arc<dyn ExecutionPlan>, Range<u32>);

/// The leaves of `plan`, in the order of their places, each with what `range` of the plan's partitions needs of it.
pub fn leaf_ranges(plan: &Arc<dyn ExecutionPlan>, range: Range<u32>) -> Vec<LeafRange<'_>> {
    let mut leaves = vec![];
    collect(plan, range, &mut leaves);
    leaves
}

fn collect<'a>(plan: &'a Arc<dyn ExecutionPlan>, range: Range<u32>, leaves: &mut Vec<LeafRange<'a>>) {
    let children = plan.children();
    if children.is_empty() {
        leaves.push((plan, range));
        return;
    }
    if range.is_empty() {
        // Nothing of the plan is run, and so nothing of what is below it, however much of that it would collect.
        children.into_iter().for_each(|child| collect(child, 0..0, leaves));
        return;
    }
    let partitions = partition_count(plan);
    match rule_of(plan) {
        Rule::Union => {
            let mut first = 0;
            for child in children {
                let count = partition_count(child);
                let start = range.start.clamp(first, first + count) - first;
                let end = range.end.clamp(first, first + count) - first;
                collect(child, start..end, leaves);
                first += count;
            }
        }
        Rule::CollectsLeft { .. } => {
            for (index, child) in children.into_iter().enumerate() {
                let whole = 0..partition_count(child);
                collect(child, if index == 0 { whole } else { range.clone() }, leaves);
            }
        }
        Rule::Leaf | Rule::PartitionWise => {
            for child in children {
                let count = partition_count(child);
                collect(child, if count == partitions { range.clone() } else { 0..count }, leaves);
            }
        }
        Rule::Shuffle { .. } | Rule::Gather | Rule::ScalarSubqueries | Rule::SingleTask | Rule::CoordinatorOnly => {
            for child in children {
                collect(child, 0..partition_count(child), leaves);
            }
        }
    }
}

/// The number of partitions of an operator's output.
pub fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> u32 {
    plan.output_partitioning().partition_count() as u32
}

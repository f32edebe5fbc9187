//! The one table that says of each operator what it may be when a plan is spread over tasks, and the one place that
//! downcasts operators to find out. What the table does not know is [`Rule::SingleTask`]: slow, never wrong.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::buffer::BufferExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, SortMergeJoinExec,
};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::exchange::reader::ExchangeReaderExec;
use crate::forgetting::ForgettingExec;
use crate::sink::WriteExec;

/// What an operator may be.
#[derive(Debug)]
pub enum Rule {
    /// Makes rows by itself; its partitions are independent of each other.
    Leaf,
    /// Partition `i` of its output needs partition `i` of its inputs and nothing else.
    PartitionWise,
    /// Like `PartitionWise`, but partition numbers of the inputs stand one behind the other.
    Union,
    /// Needs all of its left input beside partition `i` of its right one. With `safe`, every row of the result comes
    /// from one row of the right side, so that the left side may be given to many tasks; otherwise rows of the left
    /// side that found no partner would come out once in each task.
    CollectsLeft {
        /// Whether the right side may be spread over tasks.
        safe: bool,
    },
    /// Sends each row to the partition that the hash of its keys names.
    Shuffle {
        /// The keys.
        keys: Vec<Arc<dyn PhysicalExpr>>,
        /// The number of partitions.
        partitions: usize,
    },
    /// Makes one partition of many; may merge by an order and may stop after some rows.
    Gather,
    /// Fills in the values of scalar subqueries.
    ScalarSubqueries,
    /// Needs to see all partitions of all inputs in one instance, or is not known.
    SingleTask,
    /// Cannot leave the coordinator: runs there while planning, and its rows become part of the plan.
    CoordinatorOnly,
}

/// Join types in which every row of the result comes from exactly one row of the right side, or from none of the left
/// side's own: those that do not emit left rows for want of a partner, and do not emit a left row once for many partners.
fn right_driven(join_type: JoinType) -> bool {
    match join_type {
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => true,
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => false,
    }
}

/// Whether a hash join may get its left side broadcast to many tasks.
pub fn broadcast_safe(join: &HashJoinExec) -> bool {
    right_driven(*join.join_type()) && !join.null_aware
}

/// Looks an operator up in the table.
pub fn rule_of(plan: &Arc<dyn ExecutionPlan>) -> Rule {
    if let Some(rule) = leaf_rule(plan).or_else(|| join_rule(plan)).or_else(|| movement_rule(plan)) {
        return rule;
    }
    let single_input = plan.children().iter().all(|c| c.output_partitioning().partition_count() == 1);
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return match aggregate.mode() {
            AggregateMode::Partial
            | AggregateMode::PartialReduce
            | AggregateMode::FinalPartitioned
            | AggregateMode::SinglePartitioned => Rule::PartitionWise,
            AggregateMode::Final | AggregateMode::Single => one_partition(single_input),
        };
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        return one_partition(sort.preserve_partitioning() || single_input);
    }
    if plan.is::<GlobalLimitExec>() {
        return one_partition(single_input);
    }
    let windows = plan
        .downcast_ref::<WindowAggExec>()
        .map(WindowAggExec::window_expr)
        .or_else(|| plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr));
    if let Some(windows) = windows {
        let partitioned = windows.iter().all(|w| !w.partition_by().is_empty());
        return one_partition(partitioned || single_input);
    }
    let row_wise = plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<BufferExec>()
        || plan.is::<UnnestExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<ForgettingExec>()
        || plan.is::<WriteExec>();
    if row_wise { Rule::PartitionWise } else { Rule::SingleTask }
}

fn one_partition(holds: bool) -> Rule {
    if holds { Rule::PartitionWise } else { Rule::SingleTask }
}

fn leaf_rule(plan: &Arc<dyn ExecutionPlan>) -> Option<Rule> {
    if plan.is::<RecursiveQueryExec>() {
        return Some(Rule::CoordinatorOnly);
    }
    if !plan.children().is_empty() {
        return None;
    }
    let shippable = plan.is::<DataSourceExec>()
        || plan.is::<EmptyExec>()
        || plan.is::<PlaceholderRowExec>()
        || plan.is::<ExchangeReaderExec>()
        // One without columns is encoded as one with, whose rows then do not fit.
        || (plan.is::<LazyMemoryExec>() && !plan.schema().fields().is_empty());
    Some(if shippable { Rule::Leaf } else { Rule::CoordinatorOnly })
}

fn join_rule(plan: &Arc<dyn ExecutionPlan>) -> Option<Rule> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return Some(match join.partition_mode() {
            PartitionMode::Partitioned if join.null_aware => Rule::SingleTask,
            PartitionMode::Partitioned => Rule::PartitionWise,
            PartitionMode::CollectLeft => Rule::CollectsLeft { safe: broadcast_safe(join) },
            PartitionMode::Auto => Rule::SingleTask,
        });
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        return Some(Rule::CollectsLeft { safe: right_driven(*join.join_type()) });
    }
    if plan.is::<CrossJoinExec>() {
        return Some(Rule::CollectsLeft { safe: true });
    }
    if plan.is::<SortMergeJoinExec>() || plan.is::<InterleaveExec>() {
        return Some(Rule::PartitionWise);
    }
    plan.is::<UnionExec>().then_some(Rule::Union)
}

fn movement_rule(plan: &Arc<dyn ExecutionPlan>) -> Option<Rule> {
    if plan.is::<ScalarSubqueryExec>() {
        return Some(Rule::ScalarSubqueries);
    }
    if plan.is::<CoalescePartitionsExec>() || plan.is::<SortPreservingMergeExec>() {
        return Some(Rule::Gather);
    }
    let repartition = plan.downcast_ref::<RepartitionExec>()?;
    Some(match repartition.partitioning() {
        Partitioning::Hash(keys, partitions) if !repartition.preserve_order() => {
            Rule::Shuffle { keys: keys.clone(), partitions: *partitions }
        }
        // Round robin depends on the order of arrival, and the others need one instance: never an exchange.
        _ => Rule::SingleTask,
    })
}

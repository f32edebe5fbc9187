//! Keeps DataFusion from relying on what is not so. Two operators hand on constants of their input that do not hold for
//! their output, and plans then leave out sorts, or end groups too early:
//!
//! - an aggregation over grouping sets: a column that a filter has made constant is NULL in the sets without it;
//! - an outer join: the columns of the side that may find no partner are NULL then.
//!
//! Where there are such constants, a [`ForgettingExec`] is put above, before any rule of DataFusion looks at the plan.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::forgetting::ForgettingExec;

/// Puts the operators in.
#[derive(Debug)]
pub struct Overclaims;

impl PhysicalOptimizerRule for Overclaims {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mended = plan.transform_up(|node| {
            if claims_too_much(&node) {
                return Ok(Transformed::yes(Arc::new(ForgettingExec::new(node)) as Arc<dyn ExecutionPlan>));
            }
            Ok(Transformed::no(node))
        })?;
        Ok(mended.data)
    }

    fn name(&self) -> &str {
        "overclaims"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn claims_too_much(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let group = aggregate.group_expr();
        // The final step of one groups by plain columns; what it is told comes from the first step.
        return (!group.is_single() || group.groups().len() > 1) && knows_something(aggregate.input());
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return join_claims_too_much(*join.join_type(), join.left(), join.right());
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        return join_claims_too_much(*join.join_type(), join.left(), join.right());
    }
    plan.downcast_ref::<SortMergeJoinExec>()
        .is_some_and(|join| join_claims_too_much(join.join_type(), join.left(), join.right()))
}

fn join_claims_too_much(join_type: JoinType, left: &Arc<dyn ExecutionPlan>, right: &Arc<dyn ExecutionPlan>) -> bool {
    match join_type {
        JoinType::Left => knows_something(right),
        JoinType::Right => knows_something(left),
        JoinType::Full => knows_something(left) || knows_something(right),
        JoinType::Inner
        | JoinType::LeftSemi
        | JoinType::RightSemi
        | JoinType::LeftAnti
        | JoinType::RightAnti
        | JoinType::LeftMark
        | JoinType::RightMark => false,
    }
}

fn knows_something(plan: &Arc<dyn ExecutionPlan>) -> bool {
    !plan.equivalence_properties().eq_group().is_empty()
}

//! What must hold of the finished stages. A plan that breaks one of these would give wrong answers on some runs, so it is
//! refused before it starts.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::cut::{CutPlan, StageDraft};
use super::rules::{Rule, rule_of};
use crate::codec::OutputDivision;

/// Checks all stages.
pub fn verify(cut: &CutPlan, config: &ConfigOptions) -> Result<()> {
    for (index, stage) in cut.stages.iter().enumerate() {
        verify_tasks(index, stage)?;
        if stage.tasks.len() > 1 {
            verify_spread(index, stage, config)?;
        }
    }
    Ok(())
}

/// Every partition of the plan is run by exactly one task.
fn verify_tasks(index: usize, stage: &StageDraft) -> Result<()> {
    let partitions = stage.plan.output_partitioning().partition_count() as u32;
    let mut next = 0;
    for range in &stage.tasks {
        if range.start != next || range.end <= range.start {
            return internal_err!("stage {index}: its tasks do not cover its partitions once each");
        }
        next = range.end;
    }
    if next != partitions {
        return internal_err!("stage {index}: its tasks cover {next} of {partitions} partitions");
    }
    if let OutputDivision::Hash(keys) = &stage.division
        && keys.is_empty()
    {
        return internal_err!("stage {index}: a shuffle without keys");
    }
    Ok(())
}

fn verify_spread(index: usize, stage: &StageDraft, config: &ConfigOptions) -> Result<()> {
    if config.execution.enable_file_stream_work_stealing {
        return internal_err!("stage {index}: partitions of its scans may take files from each other");
    }
    if config.optimizer.enable_dynamic_filter_pushdown {
        return internal_err!("stage {index}: its operators may wait for filters from other tasks");
    }
    stage.plan.apply(|node| {
        // One partition is run by one task, whatever stands below it.
        if node.output_partitioning().partition_count() == 1 {
            return Ok(TreeNodeRecursion::Jump);
        }
        if node.is::<RepartitionExec>() {
            return internal_err!("stage {index}: {} inside a stage of many tasks", node.name());
        }
        match rule_of(node) {
            Rule::Leaf | Rule::PartitionWise | Rule::Union | Rule::CollectsLeft { safe: true } => {}
            rule => return internal_err!("stage {index}: {} is {rule:?} inside a stage of many tasks", node.name()),
        }
        verify_join(index, node)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Both sides of a join hashed alike: equal count, equal number and types of keys.
fn verify_join(index: usize, node: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let hashed = node.downcast_ref::<HashJoinExec>().is_some_and(|j| *j.partition_mode() == PartitionMode::Partitioned);
    if !hashed && !node.is::<SortMergeJoinExec>() {
        return Ok(());
    }
    let children = node.children();
    let (left, right) = (children[0], children[1]);
    let (Partitioning::Hash(l, ln), Partitioning::Hash(r, rn)) =
        (left.output_partitioning(), right.output_partitioning())
    else {
        let one = |p: &Arc<dyn ExecutionPlan>| p.output_partitioning().partition_count() == 1;
        if one(left) && one(right) {
            return Ok(());
        }
        return internal_err!("stage {index}: the sides of {} are not both hashed", node.name());
    };
    let types = |keys: &[Arc<dyn datafusion::physical_expr::PhysicalExpr>], side: &Arc<dyn ExecutionPlan>| {
        keys.iter().map(|key| key.data_type(&side.schema())).collect::<Result<Vec<_>>>()
    };
    if ln != rn || types(l, left)? != types(r, right)? {
        return internal_err!("stage {index}: the sides of {} are hashed differently", node.name());
    }
    Ok(())
}

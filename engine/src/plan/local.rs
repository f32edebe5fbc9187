//! Leaves that cannot leave the coordinator (`information_schema`, recursive queries, foreign tables) are run there while
//! planning, and their rows become part of the plan. What is run here is bounded: it is for small things.

use std::sync::Arc;

use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use windrow_common::{ByteSize, Error, ErrorKind};

use super::rules::{Rule, rule_of};

/// Bytes of rows that one such leaf may make.
const MAX_LOCAL_BYTES: ByteSize = ByteSize::mib(64);

/// Replaces what cannot be shipped by its rows.
pub async fn run_local_leaves(
    plan: Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut found = vec![];
    plan.apply(|node| {
        if matches!(rule_of(node), Rule::CoordinatorOnly) {
            found.push(Arc::clone(node));
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if found.is_empty() {
        return Ok(plan);
    }
    let mut replacements = Vec::with_capacity(found.len());
    for leaf in found {
        let rows = collect_bounded(&leaf, context).await?;
        let source: Arc<dyn ExecutionPlan> = MemorySourceConfig::try_new_exec(&[rows], leaf.schema(), None)?;
        replacements.push((leaf, source));
    }
    let replaced = plan.transform_down(|node| {
        let replacement = replacements.iter().find(|(leaf, _)| Arc::ptr_eq(leaf, &node));
        Ok(match replacement {
            Some((_, source)) => Transformed::new(Arc::clone(source), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    })?;
    Ok(replaced.data)
}

async fn collect_bounded(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> Result<Vec<datafusion::arrow::array::RecordBatch>> {
    let mut stream = execute_stream(Arc::clone(plan), Arc::clone(context))?;
    let mut batches = vec![];
    let mut bytes = 0_u64;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        bytes += batch.get_array_memory_size() as u64;
        if bytes > MAX_LOCAL_BYTES.0 {
            return Err(DataFusionError::External(Box::new(Error::new(
                ErrorKind::Limit,
                format!(
                    "{} runs on the coordinator, which holds at most {MAX_LOCAL_BYTES} of its rows; narrow it with a \
                     WHERE clause or a LIMIT",
                    plan.name()
                ),
            ))));
        }
        batches.push(batch);
    }
    Ok(batches)
}

//! From a logical plan to operators, for one worker or for many.
//!
//! For many, DataFusion's own planning does the work under other settings: hash exchanges where distribution asks for
//! them, no round robin, no filters that cross from one operator to another behind our back. One rule of ours is put
//! between DataFusion's: joins that cannot have their left side broadcast are hashed on both sides instead. Another comes
//! before all of them, for one worker as for many: `overclaims`.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use super::overclaims::Overclaims;
use super::rules::broadcast_safe;
use crate::files::Snapshot;

/// Bytes below which a file is not split between tasks, unless exchanges are forced.
const MIN_SPLIT_BYTES: usize = 4 << 20;

/// What the operators are planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// One task with so many cores.
    OneTask {
        /// Cores.
        cores: usize,
    },
    /// Many tasks with so many partitions to an exchange.
    ManyTasks {
        /// Partitions.
        partitions: usize,
        /// Split even small files.
        force: bool,
    },
}

/// The session's settings, changed for the given spread.
pub fn settings_for(base: &ConfigOptions, spread: Spread) -> ConfigOptions {
    let mut config = base.clone();
    // Our tables have shared their files out already.
    config.optimizer.repartition_file_scans = false;
    match spread {
        Spread::OneTask { cores } => {
            config.execution.target_partitions = cores;
        }
        Spread::ManyTasks { partitions, force } => {
            config.execution.target_partitions = partitions;
            // Depends on the order of arrival: other rows to a partition on each run.
            config.optimizer.enable_round_robin_repartition = false;
            // Would share one queue of files between partitions that run on different workers.
            config.execution.enable_file_stream_work_stealing = false;
            // Producer and consumer may end up in different stages, and the consumer would wait for ever.
            config.optimizer.enable_dynamic_filter_pushdown = false;
            config.optimizer.enable_join_dynamic_filter_pushdown = false;
            config.optimizer.enable_topk_dynamic_filter_pushdown = false;
            config.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
            config.optimizer.repartition_file_min_size = if force { 1 } else { MIN_SPLIT_BYTES };
        }
    }
    config
}

/// Plans the operators over the files of the snapshot.
pub async fn plan(
    state: &SessionState,
    logical: &LogicalPlan,
    spread: Spread,
    snapshot: &Arc<Snapshot>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut session_config = state.config().clone().with_extension(Arc::clone(snapshot));
    *session_config.options_mut() = settings_for(state.config_options(), spread);
    let builder = SessionStateBuilder::new_from_existing(state.clone()).with_config(session_config);
    let state = builder.with_physical_optimizer_rules(rules(spread)).build();
    state.query_planner().create_physical_plan(logical, &state).await
}

fn rules(spread: Spread) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    if let Spread::ManyTasks { .. } = spread {
        let after_selection =
            rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |position| position + 1);
        rules.insert(after_selection, Arc::new(HashUnsafeBroadcasts));
    }
    rules.insert(0, Arc::new(Overclaims));
    rules
}

/// Turns joins that collect their left side, and may not when their right side is spread, into joins hashed on both
/// sides. Runs right after the join modes are chosen and before exchanges are put in.
#[derive(Debug)]
struct HashUnsafeBroadcasts;

impl PhysicalOptimizerRule for HashUnsafeBroadcasts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            let collects = *join.partition_mode() == PartitionMode::CollectLeft;
            // A null-aware anti join must see all of its right side: it stays as it is and runs in one task.
            if !collects || broadcast_safe(join) || join.null_aware || join.on().is_empty() {
                return Ok(Transformed::no(node));
            }
            let hashed = join.builder().with_partition_mode(PartitionMode::Partitioned).build_exec()?;
            Ok(Transformed::yes(hashed))
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &str {
        "hash_unsafe_broadcasts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

//! What a second run of a stage's task may change. The scheduler decides by this who must be run again when an output is
//! lost: nobody else, or everybody who read the first version.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use windrow_common::Determinism;

use super::cut::StageDraft;
use super::leaves::partition_count;
use super::rules::{Rule, rule_of};
use crate::codec::OutputDivision;
use crate::codec::encode::file_scan;
use crate::exchange::reader::ExchangeReaderExec;

/// Classifies a stage.
pub fn of_stage(stage: &StageDraft) -> Result<Determinism> {
    // Within one task, partitions may take files from each other.
    let mut facts = Facts { shared_files: stage.tasks.len() == 1, ..Facts::default() };
    facts.visit(&stage.plan)?;
    if facts.volatile || (facts.arrival_order && facts.picks_rows) {
        return Ok(Determinism::Indeterminate);
    }
    if !facts.arrival_order && !facts.parallel {
        return Ok(Determinism::Exact);
    }
    // A float made from rows in another order may differ in its last bit, and then hashes to another partition: two
    // versions of such an output must not be mixed.
    if let OutputDivision::Hash(keys) = &stage.division {
        let schema = stage.plan.schema();
        for key in keys {
            if holds_float(&key.data_type(&schema)?) {
                return Ok(Determinism::Indeterminate);
            }
        }
    }
    Ok(Determinism::SameMultiset)
}

#[derive(Default)]
struct Facts {
    /// Scans of several partitions share their files.
    shared_files: bool,
    /// Reads something whose rows arrive in no fixed order.
    arrival_order: bool,
    /// Runs several partitions of one instance at once, or keeps rows in hash tables.
    parallel: bool,
    /// Keeps some rows and drops others, or numbers them, by the order in which they come.
    picks_rows: bool,
    /// Calls a function that gives something else each time.
    volatile: bool,
}

impl Facts {
    fn visit(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
        plan.apply(|node| {
            self.look_at(node)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    fn look_at(&mut self, node: &Arc<dyn ExecutionPlan>) -> Result<()> {
        let moves = matches!(rule_of(node), Rule::Shuffle { .. } | Rule::Gather | Rule::SingleTask);
        let shares = self.shared_files && file_scan(node).is_some() && partition_count(node) > 1;
        self.arrival_order |= moves || shares || node.is::<ExchangeReaderExec>();
        self.parallel |= node.children().len() > 1 || node.is::<AggregateExec>();
        self.picks_rows |= node.fetch().is_some()
            || node.is::<LocalLimitExec>()
            || node.is::<GlobalLimitExec>()
            || node.is::<WindowAggExec>()
            || node.is::<BoundedWindowAggExec>();
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            self.picks_rows |= aggregate.limit_options().is_some();
            self.picks_rows |= aggregate.aggr_expr().iter().any(|f| !order_free(f.fun().name()));
        }
        let exprs: Vec<&Arc<dyn PhysicalExpr>> = if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
            projection.expr().iter().map(|p| &p.expr).collect()
        } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
            vec![filter.predicate()]
        } else {
            vec![]
        };
        self.volatile |= exprs.into_iter().any(is_volatile);
        node.apply_expressions(&mut |expr| {
            self.volatile |= is_volatile(expr);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }
}

/// Aggregates whose value does not depend on the order of their input, up to float rounding.
fn order_free(name: &str) -> bool {
    matches!(
        name,
        "sum"
            | "count"
            | "avg"
            | "mean"
            | "min"
            | "max"
            | "bool_and"
            | "bool_or"
            | "bit_and"
            | "bit_or"
            | "bit_xor"
            | "var"
            | "var_pop"
            | "var_samp"
            | "stddev"
            | "stddev_pop"
            | "median"
            | "corr"
            | "covar_pop"
            | "covar_samp"
            | "approx_distinct"
            | "grouping"
    ) || name.starts_with("regr_")
}

fn is_volatile(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is_volatile_node() || expr.children().into_iter().any(is_volatile)
}

fn holds_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_float(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| holds_float(f.data_type())),
        _ => false,
    }
}

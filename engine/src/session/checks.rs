//! What is refused of a statement's logical plan, before the planner spends time on it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use windrow_common::{Error, Result, limits};

use super::external_table::without_columns;
use crate::error::classify;

/// Refuses what cannot end well.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    refuse_deep_expressions(plan)?;
    refuse_tables_without_columns(plan)
}

/// The optimiser takes time that grows with the square of an expression's depth.
fn refuse_deep_expressions(plan: &LogicalPlan) -> Result<()> {
    let mut deepest = 0;
    let visit = |node: &LogicalPlan| {
        node.apply_expressions(|expr| {
            deepest = deepest.max(depth(expr)?);
            Ok(TreeNodeRecursion::Continue)
        })
    };
    plan.apply_with_subqueries(visit).map_err(|e| classify(&e))?;
    if deepest > limits::MAX_EXPRESSION_DEPTH {
        let limit = limits::MAX_EXPRESSION_DEPTH;
        let text = format!("an expression is nested {deepest} levels deep; the limit is {limit}");
        return Err(Error::user(format!("{text}. Write long chains of OR as IN (…)")));
    }
    Ok(())
}

/// Walks with a stack of its own: the thread's could be too small.
fn depth(expr: &Expr) -> datafusion::error::Result<usize> {
    let mut deepest = 0;
    let mut pending = vec![(expr, 1)];
    while let Some((expr, depth)) = pending.pop() {
        deepest = deepest.max(depth);
        expr.apply_children(|child| {
            pending.push((child, depth + 1));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(deepest)
}

/// A table without columns is an empty file, or none at all, in place of a table.
fn refuse_tables_without_columns(plan: &LogicalPlan) -> Result<()> {
    let mut empty = None;
    let visit = |node: &LogicalPlan| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.source.schema().fields().is_empty()
        {
            empty = Some(scan.table_name.to_string());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    };
    plan.apply_with_subqueries(visit).map_err(|e| classify(&e))?;
    empty.map_or(Ok(()), |table| Err(without_columns(&table)))
}

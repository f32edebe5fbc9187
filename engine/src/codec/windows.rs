//! What datafusion-proto has no place for in window functions: that the planner turned one round to save a sort, and
//! that one ignores NULLs. A function that was turned round is sent as it was written, and turned round again when it
//! has arrived.

use std::sync::Arc;

use datafusion::common::{Result, internal_datafusion_err, internal_err, not_impl_err};
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion_proto::protobuf;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;

/// Refuses window functions with parts that would not arrive.
pub(super) fn check_windows(node: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let windows = windows_of(node);
    if windows.iter().any(|window| mentions(window, "filter: Some(")) {
        return not_impl_err!(
            "FILTER (WHERE …) of this window function does not exist yet; write CASE WHEN … THEN … END as its argument"
        );
    }
    if windows.iter().any(|window| is_reversed(window) && window.get_reverse_expr().is_none()) {
        return internal_err!("a window function was turned round that cannot be turned back");
    }
    Ok(())
}

/// An operator with its functions as they were written.
pub(super) struct Written {
    pub(super) operator: Arc<dyn ExecutionPlan>,
    /// Which of the functions were turned round.
    pub(super) reversed: Vec<bool>,
}

/// The operator with its functions as they were written; none if they are.
pub(super) fn turned_back(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Written>> {
    let reversed: Vec<bool> = windows_of(node).iter().map(is_reversed).collect();
    if !reversed.contains(&true) {
        return Ok(None);
    }
    Ok(Some(Written { operator: turn(node, &reversed)?, reversed }))
}

/// The operator with those of its functions turned round that are marked.
pub(super) fn turn(node: &Arc<dyn ExecutionPlan>, marked: &[bool]) -> Result<Arc<dyn ExecutionPlan>> {
    let windows = windows_of(node);
    if windows.len() != marked.len() {
        return internal_err!("{} has {} window functions and not {}", node.name(), windows.len(), marked.len());
    }
    let turned = windows.iter().zip(marked).map(|(window, marked)| {
        if !marked {
            return Ok(Arc::clone(window));
        }
        window.get_reverse_expr().ok_or_else(|| internal_datafusion_err!("{} cannot be turned round", window.name()))
    });
    let turned = turned.collect::<Result<Vec<_>>>()?;
    if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        let partitioned = !window.partition_keys().is_empty();
        return Ok(Arc::new(WindowAggExec::try_new(turned, Arc::clone(window.input()), partitioned)?));
    }
    let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() else {
        return internal_err!("{} has no window functions", node.name());
    };
    let (input, mode, partitioned) =
        (Arc::clone(window.input()), window.input_order_mode.clone(), !window.partition_keys().is_empty());
    Ok(Arc::new(BoundedWindowAggExec::try_new(turned, input, mode, partitioned)?))
}

/// datafusion-proto forgets IGNORE NULLS of window functions, though it reads it.
pub(super) fn keep_ignore_nulls(plan: &Arc<dyn ExecutionPlan>, node: &mut protobuf::PhysicalPlanNode) {
    let Some(PhysicalPlanType::Window(message)) = &mut node.physical_plan_type else { return };
    for (window, message) in windows_of(plan).iter().zip(&mut message.window_expr) {
        message.ignore_nulls |= mentions(window, "ignore_nulls: true");
    }
}

fn windows_of(node: &Arc<dyn ExecutionPlan>) -> &[Arc<dyn WindowExpr>] {
    if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        window.window_expr()
    } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
        window.window_expr()
    } else {
        &[]
    }
}

fn is_reversed(window: &Arc<dyn WindowExpr>) -> bool {
    mentions(window, "is_reversed: true")
}

/// What a window function keeps private is seen only in its debug form.
fn mentions(window: &Arc<dyn WindowExpr>, what: &str) -> bool {
    format!("{window:?}").contains(what)
}

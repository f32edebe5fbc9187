//! Ends joins from within when their attempt is told to stop.
//!
//! A join with a condition goes through all pairs of one batch before it hands out a row or lets go of the thread: 8192
//! rows with ten thousand partners each are seconds in which nobody can stop it from outside. Its condition is asked for
//! every few thousand pairs; so the condition looks whether it is still wanted, and is an error if not.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use tokio_util::sync::CancellationToken;
use windrow_common::Error;

use crate::error::external;

/// Whether an attempt is still wanted. It is heard at once, whatever the threads that compute are doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(CancellationToken);

impl Stop {
    /// Stops with this, or before.
    pub(crate) fn with(token: &CancellationToken) -> Self {
        Self(token.child_token())
    }

    /// It is not wanted any more.
    pub(crate) fn stop(&self) {
        self.0.cancel();
    }

    fn check(&self) -> Result<()> {
        if self.0.is_cancelled() { Err(external(Error::cancelled())) } else { Ok(()) }
    }
}

/// The same join with a condition that looks whether it is still wanted; anything else as it is.
pub(crate) fn stoppable(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(Some(guarded(filter, stop))).build_exec();
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let builder = NestedLoopJoinExecBuilder::from(join).with_filter(Some(guarded(filter, stop)));
        return Ok(Arc::new(builder.build()?));
    }
    if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>()
        && let Some(filter) = join.filter()
    {
        return Ok(Arc::new(SortMergeJoinExec::try_new(
            Arc::clone(join.left()),
            Arc::clone(join.right()),
            join.on().to_vec(),
            Some(guarded(filter, stop)),
            join.join_type(),
            join.sort_options().to_vec(),
            join.null_equality(),
        )?));
    }
    Ok(plan)
}

fn guarded(filter: &JoinFilter, stop: &Stop) -> JoinFilter {
    let guarded = WhileWanted { condition: Arc::clone(filter.expression()), stop: stop.clone() };
    JoinFilter::new(Arc::new(guarded), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// A condition that is an error when nobody wants its answer any more.
#[derive(Debug)]
struct WhileWanted {
    condition: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PartialEq for WhileWanted {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for WhileWanted {}

impl Hash for WhileWanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for WhileWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for WhileWanted {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [condition] = children.as_slice() else { return internal_err!("a condition stands for one expression") };
        Ok(Arc::new(Self { condition: Arc::clone(condition), stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};
    use datafusion::prelude::SessionContext;
    use futures::StreamExt;
    use windrow_common::ErrorKind;

    use super::*;
    use crate::error::classify;

    fn wrap(plan: &Arc<dyn ExecutionPlan>, stop: &Stop) -> Arc<dyn ExecutionPlan> {
        let children = plan.children().into_iter().map(|child| wrap(child, stop)).collect();
        stoppable(replace_children_if_necessary(Arc::clone(plan), children).unwrap(), stop).unwrap()
    }

    /// Joins of all kinds whose conditions nothing passes end with the first batch of pairs, and not with the last.
    #[tokio::test]
    async fn a_join_that_is_not_wanted_any_more_is_an_error() {
        let series = "(SELECT value AS v, value % 2 AS k FROM generate_series(1, 30000))";
        for (name, on) in [("HashJoinExec", "a.k = b.k AND"), ("NestedLoopJoinExec", "")] {
            let sql = format!("SELECT count(*) FROM {series} a JOIN {series} b ON {on} a.v + b.v < 0");
            let context = SessionContext::new();
            let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
            let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
            assert!(shown.contains(name), "{shown}");
            let stop = Stop::default();
            let plan = wrap(&plan, &stop);
            stop.stop();
            let mut rows = plan.execute(0, context.task_ctx()).unwrap();
            let error = rows.next().await.unwrap().unwrap_err();
            assert_eq!(classify(&error).kind, ErrorKind::Cancelled, "{error}");
        }
    }
}

//! `INTERSECT ALL` and `EXCEPT ALL` count how often a row is there. DataFusion plans them as joins that only ask whether
//! it is there at all, so the equal rows of each side are numbered first:
//!
//! ```text
//!   INTERSECT ALL   the n-th of a row on the left stays if there is an n-th on the right
//!   EXCEPT ALL      it stays if there is none
//! ```

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Distinct, Expr, Join, LogicalPlan, LogicalPlanBuilder, SubqueryAlias, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

/// What the numbers are called, left and right.
const NUMBERS: [&str; 2] = ["__occurrence_left", "__occurrence_right"];

/// Numbers the rows of multisets.
#[derive(Debug)]
pub struct Multiset;

impl AnalyzerRule for Multiset {
    fn name(&self) -> &str {
        "multiset"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Join(join) if is_multiset(&join) => Ok(Transformed::yes(counted(join)?)),
            other => Ok(Transformed::no(other)),
        });
        Ok(counted?.data)
    }
}

/// Only set operations join with equal NULLs before the optimiser has seen the plan; those without ALL make the left side
/// distinct.
fn is_multiset(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && !is_distinct(&join.left)
}

fn is_distinct(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => is_distinct(input),
        _ => false,
    }
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let Join { left, right, on, join_type, null_equality, .. } = join;
    let columns: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    let (lefts, rights): (Vec<Expr>, Vec<Expr>) = on.into_iter().unzip();
    let left = numbered(left, lefts.clone(), NUMBERS[0])?;
    let right = numbered(right, rights.clone(), NUMBERS[1])?;
    let number = |index: usize| Expr::Column(Column::from_name(NUMBERS[index]));
    let keys = (
        lefts.into_iter().chain([number(0)]).collect::<Vec<_>>(),
        rights.into_iter().chain([number(1)]).collect::<Vec<_>>(),
    );
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        keys.0.into_iter().zip(keys.1).collect(),
        None,
        join_type,
        datafusion::common::JoinConstraint::On,
        null_equality,
        false,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(columns)?.build()
}

/// The rows with the number of each among its equals.
fn numbered(plan: Arc<LogicalPlan>, by: Vec<Expr>, name: &str) -> Result<LogicalPlan> {
    let mut number = WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), vec![]);
    number.params.partition_by = by;
    let number = Expr::WindowFunction(Box::new(number));
    let plain = number.schema_name().to_string();
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns.chain([Expr::Column(Column::from_name(plain)).alias(name)]).collect();
    LogicalPlanBuilder::from(plan).window([number])?.project(columns)?.build()
}

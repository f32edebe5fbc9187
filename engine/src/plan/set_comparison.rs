//! `x > ANY (SELECT …)` and its kin: gives the subquery's column a name of its own before DataFusion turns the comparison
//! into `EXISTS`. Otherwise a column of the same name outside would be taken for the one inside, and be compared with
//! itself.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::SetComparison;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

/// What the column is called.
const COLUMN: &str = "__compared";

/// Names the columns of compared subqueries.
#[derive(Debug)]
pub struct NamedComparison;

impl AnalyzerRule for NamedComparison {
    fn name(&self) -> &str {
        "named_comparison"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let named = plan.transform_up_with_subqueries(|plan| plan.map_expressions(|expr| expr.transform_up(named)));
        Ok(named?.data)
    }
}

fn named(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(SetComparison { expr, mut subquery, op, quantifier }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let inner = subquery.subquery.as_ref().clone();
    if let [column] = inner.schema().columns().as_slice() {
        let column = Expr::Column(column.clone()).alias(COLUMN);
        subquery.subquery = Arc::new(LogicalPlanBuilder::from(inner).project([column])?.build()?);
    }
    Ok(Transformed::yes(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })))
}

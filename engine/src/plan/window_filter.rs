//! `FILTER (WHERE …)` of window functions: what the encoding of plans has no place for is written in another way before
//! plans are made. An aggregate that ignores NULLs gives the same for `CASE WHEN … THEN argument END`.
//!
//! The filter of any other aggregate stays, and the codec refuses it.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Case, Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;

/// Aggregates whose result is the same without the rows in which their first argument is NULL.
const IGNORE_NULLS: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "max",
    "median",
    "min",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

/// Writes the filters of window functions as conditions on their argument.
#[derive(Debug)]
pub struct WindowFilter;

impl AnalyzerRule for WindowFilter {
    fn name(&self) -> &str {
        "window_filter"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            if !matches!(plan, LogicalPlan::Window(_)) {
                return Ok(Transformed::no(plan));
            }
            let names = NamePreserver::new(&plan);
            let plan = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(without_filter)?.update_data(|expr| name.restore(expr)))
            })?;
            plan.map_data(LogicalPlan::recompute_schema)
        });
        Ok(rewritten?.data)
    }
}

fn without_filter(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut window) = expr else { return Ok(Transformed::no(expr)) };
    if !ignores_nulls(&window) || window.params.args.is_empty() {
        return Ok(Transformed::no(Expr::WindowFunction(window)));
    }
    let Some(filter) = window.params.filter.take() else {
        return Ok(Transformed::no(Expr::WindowFunction(window)));
    };
    let argument = Box::new(window.params.args.remove(0));
    let case = Expr::Case(Case { expr: None, when_then_expr: vec![(filter, argument)], else_expr: None });
    window.params.args.insert(0, case);
    Ok(Transformed::yes(Expr::WindowFunction(window)))
}

fn ignores_nulls(window: &WindowFunction) -> bool {
    match &window.fun {
        WindowFunctionDefinition::AggregateUDF(function) => IGNORE_NULLS.contains(&function.name()),
        WindowFunctionDefinition::WindowUDF(_) => false,
    }
}

//! `EXISTS (…)` and `x IN (…)` as values: DataFusion plans them in WHERE only. Elsewhere they become scalar subqueries
//! that count:
//!
//! ```text
//!   EXISTS (q)      (SELECT count(1) > 0 FROM q)
//!   x IN (q)        CASE WHEN EXISTS (q WHERE column = x) THEN true
//!                        WHEN x IS NULL AND EXISTS (q) THEN NULL
//!                        WHEN EXISTS (q WHERE column IS NULL) THEN NULL
//!                        ELSE false END
//! ```
//!
//! Scalar subqueries are planned below projections, so those of an aggregation are taken out into one.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue, not_impl_err};
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Aggregate, Case, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, Projection, SkipType, Sort, Subquery, lit, not,
};
use datafusion::optimizer::AnalyzerRule;

/// The column of a subquery that is compared.
const COMPARED: &str = "__compared";
/// The column of a subquery that says whether there are rows.
const EXISTS: &str = "__exists";
/// What is taken out of an aggregation.
const TAKEN_OUT: &str = "__subquery_value";

/// Makes values of subqueries that only ask whether something is there.
#[derive(Debug)]
pub struct SubqueryValue;

impl AnalyzerRule for SubqueryValue {
    fn name(&self) -> &str {
        "subquery_value"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Projection(projection) => in_projection(projection),
            LogicalPlan::Aggregate(aggregate) => in_aggregate(aggregate),
            other => Ok(Transformed::no(other)),
        });
        Ok(rewritten?.data)
    }
}

fn asks(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))))
}

fn in_projection(projection: Projection) -> Result<Transformed<LogicalPlan>> {
    if !any_asks(&projection.expr)? {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    }
    let schema = Arc::clone(projection.input.schema());
    let exprs = projection.expr.into_iter().map(|expr| {
        let name = expr.schema_name().to_string();
        let is_column = matches!(expr, Expr::Column(_) | Expr::Alias(_));
        let value = as_value(expr, &schema)?;
        Ok(if is_column { value } else { value.alias(name) })
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(exprs, projection.input)?)))
}

fn in_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    if !any_asks(&aggregate.group_expr)? && !any_asks(&aggregate.aggr_expr)? {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
    if group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) && any_asks(&group_expr)? {
        return not_impl_err!(
            "EXISTS and IN (SELECT …) inside of grouping sets do not exist yet; compute them in a subquery in FROM"
        );
    }
    let schema = Arc::clone(input.schema());
    let mut columns: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let mut take_out = |expr: Expr| -> Result<Expr> {
        let name = expr.schema_name().to_string();
        let taken = expr.transform_down(|expr| {
            if !matches!(expr, Expr::Exists(_) | Expr::InSubquery(_)) {
                return Ok(Transformed::no(expr));
            }
            let place = format!("{TAKEN_OUT}_{}", columns.len());
            columns.push(as_value(expr, &schema)?.alias(&place));
            let column = Expr::Column(Column::from_name(place));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        Ok(if taken.transformed { taken.data.alias(name) } else { taken.data })
    };
    let group_expr = group_expr.into_iter().map(&mut take_out).collect::<Result<Vec<_>>>()?;
    let aggr_expr = aggr_expr.into_iter().map(&mut take_out).collect::<Result<Vec<_>>>()?;
    let input = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), group_expr, aggr_expr)?)))
}

fn any_asks(exprs: &[Expr]) -> Result<bool> {
    for expr in exprs {
        if asks(expr)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The expression with values in the place of questions. `schema` is that of the rows outside.
fn as_value(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let value = expr.transform_up(|expr| match expr {
        Expr::Exists(Exists { subquery, negated }) => {
            let exists = exists(subquery.subquery.as_ref().clone())?;
            Ok(Transformed::yes(if negated { not(exists) } else { exists }))
        }
        Expr::InSubquery(question) => {
            let negated = question.negated;
            let is_in = is_in(question, schema)?;
            Ok(Transformed::yes(if negated { not(is_in) } else { is_in }))
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(value?.data)
}

/// Whether the plan has rows.
fn exists(plan: LogicalPlan) -> Result<Expr> {
    let plan = without_end(plan);
    if is_one_row(&plan) {
        return Ok(lit(true));
    }
    refuse_inner_aggregate(&plan)?;
    // One row of the same plan for all rows outside is enough to know.
    let plan = match plan.all_out_ref_exprs().is_empty() {
        true => LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?,
        false => plan,
    };
    let rows = count(lit(1_i64)).alias(EXISTS);
    let counted = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![rows])?
        .project([Expr::Column(Column::from_name(EXISTS)).gt(lit(0_i64)).alias(EXISTS)])?
        .build()?;
    Ok(Expr::ScalarSubquery(subquery(counted)))
}

/// The plan without what does not change whether it has rows.
fn without_end(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Sort(Sort { input, fetch: None, .. }) | LogicalPlan::Projection(Projection { input, .. }) => {
            without_end(Arc::unwrap_or_clone(input))
        }
        LogicalPlan::Limit(limit) => match (limit.get_skip_type(), limit.get_fetch_type()) {
            (Ok(SkipType::Literal(0)), Ok(FetchType::Literal(Some(1..)))) => {
                without_end(Arc::unwrap_or_clone(limit.input))
            }
            _ => LogicalPlan::Limit(limit),
        },
        other => other,
    }
}

/// An aggregation without groups has one row, whatever it reads.
fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// A count over an aggregation without groups would be planned as if that had no row where it reads none.
fn refuse_inner_aggregate(plan: &LogicalPlan) -> Result<()> {
    let mut inside = false;
    if !plan.all_out_ref_exprs().is_empty() {
        plan.apply(|node| {
            inside |= matches!(node, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty());
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    if inside {
        return not_impl_err!(
            "EXISTS or IN as a value, over an aggregate without GROUP BY that refers to the query outside, does not exist \
             yet; write it in WHERE, or join with the aggregate"
        );
    }
    Ok(())
}

fn subquery(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() }
}

fn is_in(question: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, subquery, .. } = question;
    let compares_subquery = expr.exists(|expr| {
        Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)))
    })?;
    if compares_subquery || expr.is_volatile() {
        return not_impl_err!(
            "IN (SELECT …) as a value does not take a subquery, or a function such as random(), on its left side yet; \
             compute that in a subquery in FROM"
        );
    }
    let inner = subquery.subquery.as_ref().clone();
    let columns = inner.schema().columns().into_iter().take(1).map(|column| Expr::Column(column).alias(COMPARED));
    let inner = LogicalPlanBuilder::from(inner).project(columns)?.build()?;
    let compared = || Expr::Column(Column::from_name(COMPARED));
    let filtered = |filter: Expr| LogicalPlanBuilder::from(inner.clone()).filter(filter)?.build();
    let equal = exists(filtered(compared().eq(outer(*expr.clone(), schema)?))?)?;
    let unknown_inside = exists(filtered(compared().is_null())?)?;
    let anything = exists(inner.clone())?;
    let unknown = || Box::new(Expr::Literal(ScalarValue::Boolean(None), None));
    Ok(Expr::Case(Case {
        expr: None,
        when_then_expr: vec![
            (Box::new(equal), Box::new(lit(true))),
            (Box::new(expr.is_null().and(anything)), unknown()),
            (Box::new(unknown_inside), unknown()),
        ],
        else_expr: Some(Box::new(lit(false))),
    }))
}

/// An expression over the rows outside, as it is written inside.
fn outer(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(outer?.data)
}

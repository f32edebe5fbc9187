//! Parameters of statements: `?` and `$1` in the text, and the values that take their place.
//!
//! Values come as a batch with a column for each parameter. With several rows the statement is meant once for each of
//! them: an INSERT … VALUES becomes one with as many rows, a query the union of its answers. Either is one plan, so that
//! a thousand rows are one job and appear at once or not at all.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union, Values};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use windrow_common::{Error, ErrorKind, Result, limits};

use crate::error::{classify, external};

/// The text with each `?` numbered in order: `$1`, `$2`, …
pub fn numbered(sql: &str) -> Result<String> {
    if !sql.contains('?') {
        return Ok(sql.to_owned());
    }
    // A text that is not SQL is refused by the parser, with a better message.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Ok(sql.to_owned());
    };
    let other = tokens.iter().find_map(|token| match &token.token {
        Token::Placeholder(text) if text != "?" => Some(text),
        _ => None,
    });
    let unnumbered = |token: &Token| matches!(token, Token::Question) || *token == Token::Placeholder("?".to_owned());
    if let Some(other) = other
        && (other.starts_with('?') || tokens.iter().any(|token| unnumbered(&token.token)))
    {
        return Err(Error::user(format!("parameters are written ? or $1, $2, …; '{other}' cannot stand beside ?")));
    }
    let places = tokens.iter().filter(|token| match &token.token {
        Token::Placeholder(text) => text == "?",
        Token::Question => true,
        _ => false,
    });
    let mut places = places.map(|token| (token.span.start.line, token.span.start.column)).peekable();
    let (mut line, mut column, mut count) = (1, 1, 0);
    let mut text = String::with_capacity(sql.len() + 16);
    for sign in sql.chars() {
        if places.peek() == Some(&(line, column)) {
            places.next();
            count += 1;
            text.push_str(&format!("${count}"));
        } else {
            text.push(sign);
        }
        (line, column) = if sign == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Ok(text)
}

/// Puts values in the place of a plan's parameters. A plan without parameters takes none.
pub(super) fn bind(plan: LogicalPlan, values: Option<&RecordBatch>) -> Result<LogicalPlan> {
    if matches!(plan, LogicalPlan::Statement(_)) {
        // PREPARE has parameters that get their values later.
        return Ok(plan);
    }
    let names = plan.get_parameter_names().map_err(|e| classify(&e))?;
    let rows = match values {
        None if names.is_empty() => return Ok(plan),
        None => return Err(missing(names.len(), 0)),
        Some(batch) if batch.num_columns() == 0 && names.is_empty() => return Ok(plan),
        Some(batch) => rows_of(batch)?,
    };
    let columns = rows.first().map_or(0, Vec::len);
    let highest = names.iter().filter_map(|id| id.trim_start_matches('$').parse::<usize>().ok()).max().unwrap_or(0);
    if names.iter().any(|id| id.trim_start_matches('$').parse::<usize>().is_err()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "parameters are written ? or $1, $2, …; names do not exist here",
        ));
    }
    if highest != columns {
        return Err(missing(highest, columns));
    }
    bind_rows(plan, rows).map_err(|e| classify(&e))
}

fn missing(wanted: usize, given: usize) -> Error {
    Error::user(format!("the statement has {wanted} parameters, and {given} values were given"))
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<ScalarValue>>> {
    let rows = batch.num_rows();
    if rows == 0 {
        return Err(Error::user("the parameters have no row of values; bind at least one"));
    }
    if rows > limits::MAX_PARAMETER_ROWS {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{rows} rows of parameters were given; the limit is {} (MAX_PARAMETER_ROWS). Ingest them as a table instead",
                limits::MAX_PARAMETER_ROWS
            ),
        ));
    }
    let value = |row: usize, column: &Arc<dyn Array>| ScalarValue::try_from_array(column, row);
    (0..rows)
        .map(|row| batch.columns().iter().map(|column| value(row, column)).collect())
        .collect::<std::result::Result<_, DataFusionError>>()
        .map_err(|e| classify(&e))
}

fn bind_rows(plan: LogicalPlan, mut rows: Vec<Vec<ScalarValue>>) -> std::result::Result<LogicalPlan, DataFusionError> {
    if only_in_values(&plan)? {
        return bind_values(plan, &rows);
    }
    if rows.len() == 1 {
        let row = rows.pop().unwrap_or_default();
        return plan.with_param_values(ParamValues::from(row));
    }
    match plan {
        LogicalPlan::Dml(mut dml) => {
            dml.input = Arc::new(union_of(&dml.input, rows)?);
            Ok(LogicalPlan::Dml(dml))
        }
        LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) | LogicalPlan::Explain(_) | LogicalPlan::Statement(_) => {
            let text = "this statement takes one row of parameters; queries and INSERT take several";
            Err(external(Error::user(text)))
        }
        query => union_of(&query, rows),
    }
}

/// The answers for all rows, one behind the other.
fn union_of(plan: &LogicalPlan, rows: Vec<Vec<ScalarValue>>) -> std::result::Result<LogicalPlan, DataFusionError> {
    if rows.len() > limits::MAX_PARAMETER_UNION {
        return Err(external(Error::new(
            ErrorKind::Limit,
            format!(
                "{} rows of parameters were given; a statement that is not INSERT … VALUES takes at most {} \
                 (MAX_PARAMETER_UNION)",
                rows.len(),
                limits::MAX_PARAMETER_UNION
            ),
        )));
    }
    let bound = rows.into_iter().map(|row| plan.clone().with_param_values(ParamValues::from(row)).map(Arc::new));
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(bound.collect::<std::result::Result<_, _>>()?)?))
}

/// Whether every parameter stands in the one VALUES of an INSERT of nothing else.
fn only_in_values(plan: &LogicalPlan) -> std::result::Result<bool, DataFusionError> {
    let (mut values, mut elsewhere) = (0, false);
    plan.apply_with_subqueries(|node| {
        let is_values = matches!(node, LogicalPlan::Values(_));
        values += usize::from(is_values);
        node.apply_expressions(|expression| {
            elsewhere |= !is_values && expression.exists(|e| Ok(matches!(e, Expr::Placeholder(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let LogicalPlan::Dml(dml) = plan else { return Ok(false) };
    Ok(values == 1 && !elsewhere && hands_on(&dml.input))
}

/// Whether every row of a VALUES becomes one row of the plan, whatever the other rows are.
fn hands_on(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Values(_) => true,
        LogicalPlan::Projection(projection) => hands_on(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => hands_on(&alias.input),
        _ => false,
    }
}

/// The plan with all rows in its VALUES. The operators above were planned for the types that the parameters were thought
/// to have, so the values get these types.
fn bind_values(plan: LogicalPlan, rows: &[Vec<ScalarValue>]) -> std::result::Result<LogicalPlan, DataFusionError> {
    let bound = plan.transform_up(|node| {
        let LogicalPlan::Values(Values { values, .. }) = node else { return Ok(Transformed::no(node)) };
        let tuples = rows.iter().flat_map(|row| values.iter().map(move |tuple| (row, tuple)));
        let tuples = tuples
            .map(|(row, tuple)| tuple.iter().map(|expression| bound_expression(expression.clone(), row)).collect());
        let tuples = tuples.collect::<std::result::Result<Vec<Vec<Expr>>, DataFusionError>>()?;
        Ok(Transformed::yes(LogicalPlanBuilder::values(tuples)?.build()?))
    })?;
    bound.data.transform_up(|node| node.recompute_schema().map(Transformed::yes)).map(|bound| bound.data)
}

fn bound_expression(expression: Expr, row: &[ScalarValue]) -> std::result::Result<Expr, DataFusionError> {
    let bound = expression.transform_up(|e| {
        let Expr::Placeholder(Placeholder { id, field }) = &e else { return Ok(Transformed::no(e)) };
        let index = id.trim_start_matches('$').parse::<usize>().unwrap_or(0);
        let Some(value) = index.checked_sub(1).and_then(|index| row.get(index)) else {
            return Err(external(missing(index, row.len())));
        };
        let value = match field {
            Some(field) if *field.data_type() != DataType::Null => value.cast_to(field.data_type())?,
            _ => value.clone(),
        };
        Ok(Transformed::yes(Expr::Literal(value, None)))
    })?;
    Ok(bound.data)
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn question_marks_are_numbered_where_they_are_parameters() {
        for (given, wanted) in [
            ("SELECT ?, ?", "SELECT $1, $2"),
            ("SELECT '?' || ? -- ?\n, \"?\", ?", "SELECT '?' || $1 -- ?\n, \"?\", $2"),
            ("SELECT 'ä', ?", "SELECT 'ä', $1"),
            ("SELECT $1", "SELECT $1"),
            ("/* ? */ INSERT INTO t VALUES (?,?)", "/* ? */ INSERT INTO t VALUES ($1,$2)"),
        ] {
            assert_eq!(numbered(given).unwrap(), wanted);
        }
        for mixed in ["SELECT ?, $1", "SELECT ?1"] {
            assert!(numbered(mixed).is_err(), "{mixed}");
        }
    }
}

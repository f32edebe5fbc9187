//! Queries built in Rust instead of SQL: named tables, and operators over them. A frame ends as SQL text, so that it runs
//! wherever SQL runs, with the catalog and the planner of that place; nothing is known here but the tables' columns.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{JoinType, TableReference};
use datafusion::logical_expr::builder::LogicalTableSource;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr};
use datafusion::sql::unparser::plan_to_sql;
use windrow_common::Result;

use crate::error::classify;

/// What expressions are made of: columns, literals, functions, aggregates.
pub mod expr {
    pub use datafusion::functions::expr_fn::*;
    pub use datafusion::functions_aggregate::expr_fn::*;
    pub use datafusion::logical_expr::{Expr, SortExpr, cast, col, ident, lit, when};
}

pub use datafusion::common::JoinType as Join;

/// A query that is not run yet.
#[derive(Clone, Debug)]
pub struct Frame {
    plan: LogicalPlan,
}

impl Frame {
    /// All rows of a table, or of a file or directory if `name` is a path, with these columns.
    pub fn table(name: &str, columns: &SchemaRef) -> Result<Self> {
        let source = Arc::new(LogicalTableSource::new(Arc::clone(columns)));
        let name = if name.contains('/') { TableReference::bare(name) } else { TableReference::parse_str(name) };
        Self::built(LogicalPlanBuilder::scan(name, source, None))
    }

    /// All rows of a file or directory with these columns. The whole path is the name, dots and all.
    pub fn file(path: &str, columns: &SchemaRef) -> Result<Self> {
        let source = Arc::new(LogicalTableSource::new(Arc::clone(columns)));
        Self::built(LogicalPlanBuilder::scan(TableReference::bare(path), source, None))
    }

    fn built(builder: datafusion::error::Result<LogicalPlanBuilder>) -> Result<Self> {
        let plan = builder.and_then(LogicalPlanBuilder::build).map_err(|e| classify(&e))?;
        Ok(Self { plan })
    }

    fn builder(self) -> LogicalPlanBuilder {
        LogicalPlanBuilder::from(self.plan)
    }

    /// The columns of its rows.
    pub fn schema(&self) -> &Schema {
        self.plan.schema().as_arrow()
    }

    /// The same rows under a name, so that columns of two tables can be told apart.
    pub fn alias(self, name: &str) -> Result<Self> {
        self.named(TableReference::bare(name))
    }

    /// Rows for which the predicate holds.
    pub fn filter(self, predicate: Expr) -> Result<Self> {
        Self::built(self.open_to(Clause::From)?.builder().filter(predicate))
    }

    /// These expressions of each row.
    pub fn select(self, columns: Vec<Expr>) -> Result<Self> {
        Self::built(self.open_to(Clause::Where)?.builder().project(columns))
    }

    /// The rows with one more column, or with another value in a column that is there.
    pub fn with_column(self, name: &str, value: Expr) -> Result<Self> {
        let table = self.open_to(Clause::Where)?;
        let kept = table.plan.schema().columns().into_iter().filter(|column| column.name() != name);
        let columns = kept.map(Expr::Column).chain([value.alias(name)]).collect();
        table.select(columns)
    }

    /// Aggregates over groups of equal values; over all rows if there are no groups. The groups come first.
    pub fn aggregate(self, groups: Vec<Expr>, aggregates: Vec<Expr>) -> Result<Self> {
        let aggregated = Self::built(self.open_to(Clause::Where)?.builder().aggregate(groups, aggregates))?;
        let columns: Vec<Expr> = aggregated.plan.schema().columns().into_iter().map(Expr::Column).collect();
        Self::built(aggregated.builder().project(columns))
    }

    /// Rows of both sides whose columns are equal, pair by pair.
    pub fn join(self, right: Frame, how: JoinType, left_on: &[&str], right_on: &[&str]) -> Result<Self> {
        let (left, right) = (self.open_to(Clause::From)?, right.open_to(Clause::Table)?);
        Self::built(left.builder().join(right.plan, how, (left_on.to_vec(), right_on.to_vec()), None))
    }

    /// The rows of both, which have the same columns.
    pub fn union(self, other: Frame) -> Result<Self> {
        let (left, right) = (self.all_columns()?, other.all_columns()?);
        Self::built(left.builder().union(right.plan))
    }

    /// Each row once.
    pub fn distinct(self) -> Result<Self> {
        Self::built(self.all_columns()?.builder().distinct())
    }

    /// The rows in order.
    pub fn sort(self, by: Vec<SortExpr>) -> Result<Self> {
        Self::built(self.open_to(Clause::Where)?.builder().sort(by))
    }

    /// At most so many rows, behind the first `skip`.
    pub fn limit(self, skip: usize, rows: usize) -> Result<Self> {
        Self::built(self.open_to(Clause::OrderBy)?.builder().limit(skip, Some(rows)))
    }

    /// The query as SQL.
    pub fn to_sql(&self) -> Result<String> {
        plan_to_sql(&self.plan).map(|statement| statement.to_string()).map_err(|e| classify(&e))
    }

    /// One SELECT says its clauses in a fixed order. What is built so far, if the next clause can follow it in the same
    /// SELECT, else as a table in the FROM of a new one.
    fn open_to(self, last: Clause) -> Result<Self> {
        if clause_of(&self.plan) <= last { Ok(self) } else { self.closed() }
    }

    /// As a table that the next SELECT reads. It keeps its name if all of its columns are of one table.
    fn closed(self) -> Result<Self> {
        let name = one_relation(&self.plan).unwrap_or_else(|| TableReference::bare(DERIVED));
        self.named(name)
    }

    /// A table of FROM under a name: a table that is there, or a whole SELECT with all of its columns.
    fn named(self, name: TableReference) -> Result<Self> {
        let table = match &self.plan {
            LogicalPlan::TableScan(_) => self,
            plan if clause_of(plan) <= Clause::Where => self.all_columns()?,
            _ => self,
        };
        Self::built(table.builder().alias(name))
    }

    /// With every column said, in the SELECT of a table.
    fn all_columns(self) -> Result<Self> {
        let table = self.open_to(Clause::Where)?;
        let columns: Vec<Expr> = table.plan.schema().columns().into_iter().map(Expr::Column).collect();
        Self::built(table.builder().project(columns))
    }
}

/// The table that all columns are of, if it is one.
fn one_relation(plan: &LogicalPlan) -> Option<TableReference> {
    let mut relations = plan.schema().iter().map(|(relation, _)| relation);
    let first = relations.next()??;
    relations.all(|relation| relation == Some(first)).then(|| first.clone())
}

/// What a query in FROM is called.
const DERIVED: &str = "q";

/// How far a SELECT is, in the order in which its clauses are carried out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clause {
    /// It is one table.
    Table,
    /// Tables that are joined.
    From,
    Where,
    OrderBy,
    /// It has more than a clause can follow.
    Whole,
}

fn clause_of(plan: &LogicalPlan) -> Clause {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_) => Clause::Table,
        LogicalPlan::Join(_) => Clause::From,
        LogicalPlan::Filter(_) => Clause::Where,
        LogicalPlan::Sort(_) => Clause::OrderBy,
        _ => Clause::Whole,
    }
}

/// Only rows for which the predicate holds count for this aggregate.
pub fn only_where(aggregate: Expr, predicate: Expr) -> Result<Expr> {
    aggregate.filter(predicate).build().map_err(|e| classify(&e))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::expr::{col, ident, lit, sum};
    use super::*;

    fn orders() -> Frame {
        let columns = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("Amount", DataType::Int64, true),
            Field::new("city", DataType::Utf8, true),
        ]);
        Frame::table("orders", &Arc::new(columns)).unwrap()
    }

    #[test]
    fn a_frame_is_said_in_sql() {
        let frame = orders()
            .filter(col("city").eq(lit("Bern")))
            .and_then(|f| f.aggregate(vec![col("city")], vec![sum(ident("Amount")).alias("total")]))
            .and_then(|f| f.sort(vec![col("total").sort(false, true)]))
            .and_then(|f| f.limit(0, 3))
            .unwrap();
        let sql = frame.to_sql().unwrap();
        for part in ["FROM orders", "WHERE", "'Bern'", "GROUP BY", "\"Amount\"", "ORDER BY", "LIMIT 3"] {
            assert!(sql.contains(part), "{part}: {sql}");
        }
        assert_eq!(frame.schema().fields().len(), 2);
    }

    #[test]
    fn a_path_stays_one_name() {
        let frame = Frame::table("/data/a.b/x.parquet", &Arc::new(orders().schema().clone())).unwrap();
        assert!(frame.to_sql().unwrap().contains("\"/data/a.b/x.parquet\""), "{}", frame.to_sql().unwrap());
    }

    #[test]
    fn a_file_without_a_directory_is_no_table_of_a_schema() {
        let frame = Frame::file("orders.parquet", &Arc::new(orders().schema().clone())).unwrap();
        assert!(frame.to_sql().unwrap().contains("\"orders.parquet\""), "{}", frame.to_sql().unwrap());
    }

    #[test]
    fn unknown_columns_are_refused_with_a_suggestion() {
        let error = orders().filter(col("citi").eq(lit(1))).unwrap_err();
        assert!(error.message.contains("citi"), "{error}");
    }
}

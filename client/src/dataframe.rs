//! Queries written as expressions instead of SQL.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use futures::Stream;
use futures::future::BoxFuture;
use windrow_common::Result;
use windrow_engine::frame::expr::{Expr, SortExpr};
use windrow_engine::frame::{Frame, Join};

use crate::execution::Execution;
use crate::session::Session;

/// A query on a session. Nothing runs before it is collected, streamed or written.
#[derive(Clone, Debug)]
pub struct DataFrame<'a> {
    session: &'a Session,
    frame: Frame,
}

/// The rows of a query as they come.
pub type Rows<'a> = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send + 'a>>;

impl<'a> DataFrame<'a> {
    pub(crate) fn new(session: &'a Session, frame: Frame) -> Self {
        Self { session, frame }
    }

    fn with(self, frame: Result<Frame>) -> Result<Self> {
        Ok(Self { session: self.session, frame: frame? })
    }

    /// The columns of its rows.
    pub fn schema(&self) -> &Schema {
        self.frame.schema()
    }

    /// The same rows under a name, so that columns of two tables can be told apart.
    pub fn alias(self, name: &str) -> Result<Self> {
        let frame = self.frame.clone().alias(name);
        self.with(frame)
    }

    /// Rows for which the predicate holds.
    pub fn filter(self, predicate: Expr) -> Result<Self> {
        let frame = self.frame.clone().filter(predicate);
        self.with(frame)
    }

    /// These expressions of each row.
    pub fn select(self, columns: Vec<Expr>) -> Result<Self> {
        let frame = self.frame.clone().select(columns);
        self.with(frame)
    }

    /// The rows with one more column, or with another value in a column that is there.
    pub fn with_column(self, name: &str, value: Expr) -> Result<Self> {
        let frame = self.frame.clone().with_column(name, value);
        self.with(frame)
    }

    /// Aggregates over groups of equal values; over all rows if there are no groups.
    pub fn aggregate(self, groups: Vec<Expr>, aggregates: Vec<Expr>) -> Result<Self> {
        let frame = self.frame.clone().aggregate(groups, aggregates);
        self.with(frame)
    }

    /// Rows of both sides whose columns are equal, pair by pair.
    pub fn join(self, right: DataFrame<'_>, how: Join, left_on: &[&str], right_on: &[&str]) -> Result<Self> {
        let frame = self.frame.clone().join(right.frame, how, left_on, right_on);
        self.with(frame)
    }

    /// The rows of both, which have the same columns.
    pub fn union(self, other: DataFrame<'_>) -> Result<Self> {
        let frame = self.frame.clone().union(other.frame);
        self.with(frame)
    }

    /// Each row once.
    pub fn distinct(self) -> Result<Self> {
        let frame = self.frame.clone().distinct();
        self.with(frame)
    }

    /// The rows in order.
    pub fn sort(self, by: Vec<SortExpr>) -> Result<Self> {
        let frame = self.frame.clone().sort(by);
        self.with(frame)
    }

    /// At most so many rows, behind the first `skip`.
    pub fn limit(self, skip: usize, rows: usize) -> Result<Self> {
        let frame = self.frame.clone().limit(skip, rows);
        self.with(frame)
    }

    /// The query as SQL.
    pub fn to_sql(&self) -> Result<String> {
        self.frame.to_sql()
    }

    /// Starts it.
    pub fn execute(&self) -> BoxFuture<'_, Result<Execution>> {
        Box::pin(async { self.session.execute(&self.to_sql()?).await })
    }

    /// Runs it and gives all of its rows.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>> {
        Ok(self.execute().await?.collect().await?.0)
    }

    /// Runs it and prints its rows as a table on standard output.
    pub async fn show(&self) -> Result<()> {
        self.execute().await?.show().await
    }

    /// Runs it and gives its rows as they come. Dropping the stream cancels the job.
    pub async fn stream(&self) -> Result<Rows<'static>> {
        Ok(self.execute().await?.into_rows())
    }

    /// Runs it and writes its rows as Parquet files to a directory, or to one file if the path ends in `.parquet`; says how
    /// many rows. All of them appear, or none.
    pub async fn write_parquet(&self, location: &str) -> Result<u64> {
        let location = location.replace('\'', "''");
        let sql = format!("COPY ({}) TO '{location}' STORED AS PARQUET", self.to_sql()?);
        self.session.write(&sql).await
    }

    /// Runs it and adds its rows to a table; says how many.
    pub async fn insert_into(&self, table: &str) -> Result<u64> {
        let sql = format!("INSERT INTO {table} {}", self.to_sql()?);
        self.session.write(&sql).await
    }

    /// Runs it and makes a table of its rows; says how many.
    pub async fn create_table(&self, table: &str) -> Result<u64> {
        let sql = format!("CREATE TABLE {table} AS {}", self.to_sql()?);
        self.session.write(&sql).await
    }
}

//! One statement, from text to what it is: parse, plan, and hand it to the file that owns its kind.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement};
use futures::future::BoxFuture;
use windrow_common::{Error, ErrorKind, Result, limits};

use super::adapted::{self, Adapted};
use super::table_storage::TableStorage;
use super::{EngineSession, PlanContext, Planned, checks, parameters, sink_plan, text_depth};

impl EngineSession {
    /// Plans one statement. Definitions, settings and EXPLAIN are done at once.
    pub fn plan<'a>(&'a self, sql: &'a str, context: PlanContext) -> BoxFuture<'a, Result<Planned>> {
        Box::pin(self.plan_text(sql, None, context))
    }

    /// Plans one statement with values for its parameters (`$1`, `?`): a column for each parameter; the statement is run
    /// for each row, as one.
    pub fn plan_bound<'a>(
        &'a self,
        sql: &'a str,
        parameters: Option<&'a RecordBatch>,
        context: PlanContext,
    ) -> BoxFuture<'a, Result<Planned>> {
        Box::pin(self.plan_text(sql, parameters, context))
    }

    async fn plan_text(&self, sql: &str, values: Option<&RecordBatch>, context: PlanContext) -> Result<Planned> {
        let (logical, storage) = self.logical(sql).await?;
        let logical = parameters::bind(logical, values)?;
        match (logical, storage) {
            (LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)), storage @ Some(_)) => {
                self.create_table(create, storage, &context).await
            }
            (logical, _) => self.plan_logical(logical, context).await,
        }
    }

    /// The logical plan of a statement, with its parameters in it; and how the table that it makes is to be stored, if it
    /// says so.
    pub(super) async fn logical(&self, sql: &str) -> Result<(LogicalPlan, Option<TableStorage>)> {
        if sql.len() > limits::MAX_SQL_BYTES {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("the statement has {} bytes; the limit is {}", sql.len(), limits::MAX_SQL_BYTES),
            ));
        }
        text_depth::check(sql)?;
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let sql = parameters::numbered(sql)?;
        let mut statement = state.sql_to_statement(&sql, &dialect).map_err(|e| self.explain_error(&e))?;
        let Adapted { temporary, storage } = adapted::adapt(&mut statement)?;
        let mut logical = state.statement_to_plan(statement).await.map_err(|e| self.explain_error(&e))?;
        if let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) = &mut logical {
            create.temporary = temporary;
        }
        checks::check(&logical)?;
        Ok((logical, storage))
    }

    pub(super) async fn plan_logical(&self, logical: LogicalPlan, context: PlanContext) -> Result<Planned> {
        match logical {
            LogicalPlan::Explain(explain) => self.explain(&explain.plan, &context).await,
            LogicalPlan::Analyze(analyze) => {
                // What is explained is itself any statement.
                Box::pin(self.explain_analyze(Arc::unwrap_or_clone(analyze.input), &context)).await
            }
            LogicalPlan::Copy(copy) => self.write(sink_plan::copy(&self.engine, copy, &context)?, &context).await,
            LogicalPlan::Dml(dml) => {
                self.write(sink_plan::insert(&self.engine, dml, self.header(), &context)?, &context).await
            }
            LogicalPlan::Ddl(definition) => self.define(definition, &context).await,
            plan @ LogicalPlan::Statement(
                Statement::SetVariable(_)
                | Statement::ResetVariable(_)
                | Statement::Prepare(_)
                | Statement::Deallocate(_),
            ) => self.run_here(plan).await,
            LogicalPlan::Statement(Statement::Execute(execute)) => {
                let plan = self.prepared(LogicalPlan::Statement(Statement::Execute(execute))).await?;
                self.query(plan, &context).await
            }
            LogicalPlan::Statement(other) => {
                Err(Error::new(ErrorKind::Unsupported, format!("{} does not exist here", other.name())))
            }
            query => self.query(query, &context).await,
        }
    }

    /// The plan that an EXECUTE stands for.
    pub(super) async fn prepared(&self, execute: LogicalPlan) -> Result<LogicalPlan> {
        let frame = self.context.execute_logical_plan(execute).await.map_err(|e| self.explain_error(&e))?;
        Ok(frame.logical_plan().clone())
    }
}

pub(super) fn done(batches: Vec<RecordBatch>) -> Result<Planned> {
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    Ok(Planned::Done { schema, batches })
}

//! What a statement is, without running it: whether it answers with rows, and the types of its columns and parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement};
use futures::future::BoxFuture;
use windrow_common::Result;

use super::{EngineSession, count_schema, explaining, parameters};
use crate::error::classify;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// Answers with rows.
    Query,
    /// Writes rows, and answers with their number.
    Update,
    /// Defines something or changes a setting.
    Definition,
}

/// A statement, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it does.
    pub kind: StatementKind,
    /// The columns of its answer. Nullability and metadata may differ from those of the rows.
    pub columns: SchemaRef,
    /// Its parameters in order. One whose type nothing tells has the type `Null`.
    pub parameters: SchemaRef,
}

impl EngineSession {
    /// Describes a statement, given values for its parameters or not.
    pub fn describe<'a>(&'a self, sql: &'a str, values: Option<&'a RecordBatch>) -> BoxFuture<'a, Result<Description>> {
        Box::pin(self.describe_text(sql, values))
    }

    async fn describe_text(&self, sql: &str, values: Option<&RecordBatch>) -> Result<Description> {
        let (logical, _) = self.logical(sql).await?;
        let parameters = parameter_schema(&logical)?;
        let logical = if values.is_some() { parameters::bind(logical, values)? } else { logical };
        let (kind, columns) = match logical {
            LogicalPlan::Copy(_) | LogicalPlan::Dml(_) => (StatementKind::Update, count_schema()),
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(_)) => (StatementKind::Update, count_schema()),
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => (StatementKind::Query, explaining::schema()),
            execute @ LogicalPlan::Statement(Statement::Execute(_)) => {
                (StatementKind::Query, self.columns_of(&self.prepared(execute).await?)?)
            }
            LogicalPlan::Ddl(_) | LogicalPlan::Statement(_) => (StatementKind::Definition, Arc::new(Schema::empty())),
            query => (StatementKind::Query, self.columns_of(&query)?),
        };
        Ok(Description { kind, columns, parameters })
    }

    /// The columns of a query, with the types that coercion gives them.
    fn columns_of(&self, query: &LogicalPlan) -> Result<SchemaRef> {
        let state = self.context.state();
        let analyzed = state.analyzer().execute_and_check(query.clone(), state.config_options(), |_, _| {});
        // A parameter without a value may keep a plan from being analysed; what is known of it then is good enough.
        let analyzed = analyzed.unwrap_or_else(|_| query.clone());
        Ok(Arc::new(analyzed.schema().as_arrow().clone()))
    }
}

fn parameter_schema(plan: &LogicalPlan) -> Result<SchemaRef> {
    let fields = plan.get_parameter_fields().map_err(|e| classify(&e))?;
    let mut known = BTreeMap::new();
    let mut named = BTreeMap::new();
    for (id, field) in fields {
        let data_type = field.map_or(DataType::Null, |field| field.data_type().clone());
        match id.trim_start_matches('$').parse::<usize>() {
            Ok(number) => drop(known.insert(number, data_type)),
            Err(_) => drop(named.insert(id, data_type)),
        }
    }
    let last = known.keys().next_back().copied().unwrap_or(0);
    let numbered = (1..=last).map(|number| {
        let data_type = known.get(&number).cloned().unwrap_or(DataType::Null);
        Field::new(format!("${number}"), data_type, true)
    });
    let named = named.iter().map(|(id, data_type)| Field::new(id, data_type.clone(), true));
    Ok(Arc::new(Schema::new(numbered.chain(named).collect::<Vec<_>>())))
}

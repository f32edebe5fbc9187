//! EXPLAIN of a statement: its optimised plan and the stages that it would become.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use windrow_common::{Error, Result};

use super::{EngineSession, PlanContext, Planned, sink_plan};
use crate::error::classify;
use crate::plan::explain;

impl EngineSession {
    /// Both ways of running the statement, without running it.
    pub(super) async fn explain(&self, plan: &LogicalPlan, context: &PlanContext) -> Result<Planned> {
        let (input, sink) = match plan.clone() {
            LogicalPlan::Copy(copy) => {
                let write = sink_plan::copy(&self.engine, copy, context)?;
                (write.input, Some(write.sink))
            }
            LogicalPlan::Dml(dml) => {
                let write = sink_plan::insert(&self.engine, dml, context)?;
                (write.input, Some(write.sink))
            }
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => (create.input.as_ref().clone(), None),
            other @ (LogicalPlan::Ddl(_) | LogicalPlan::Statement(_)) => {
                let text = other.display_indent().to_string();
                return rows(vec![("logical_plan", text)]);
            }
            query => (query, None),
        };
        let plans = self.alternatives(&input, sink.as_ref(), context, true).await?;
        let one = plans.one.as_ref().unwrap_or(&plans.many);
        let text =
            explain::render(one, &plans.many, &plans.costs, plans.chosen(), &plans.reason).map_err(|e| classify(&e))?;
        let optimised = self.context.state().optimize(&input).map_err(|e| classify(&e))?;
        rows(vec![("logical_plan", optimised.display_indent().to_string()), ("stages", text)])
    }
}

/// The schema of what EXPLAIN says.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![text("plan_type"), text("plan")]))
}

fn rows(lines: Vec<(&str, String)>) -> Result<Planned> {
    let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(kind, _)| *kind)));
    let plans: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(_, plan)| plan)));
    let batch = RecordBatch::try_new(schema(), vec![kinds, plans]).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Planned::Done { schema: schema(), batches: vec![batch] })
}

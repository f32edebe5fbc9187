//! EXPLAIN of a statement: its optimised plan and the stages that it would become. EXPLAIN ANALYZE runs it, and says what
//! became of the stages instead of giving rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement};
use windrow_common::{Error, JobReport, Result};

use super::queries::Alternatives;
use super::{EngineSession, PlanContext, Planned, sink_plan};
use crate::error::classify;
use crate::plan::explain::Explanation;

impl EngineSession {
    /// Both ways of running the statement, without running it.
    pub(super) async fn explain(&self, plan: &LogicalPlan, context: &PlanContext) -> Result<Planned> {
        let (input, sink) = match plan.clone() {
            LogicalPlan::Copy(copy) => {
                let write = sink_plan::copy(&self.engine, copy, context)?;
                (write.input, Some(write.sink))
            }
            LogicalPlan::Dml(dml) => {
                let write = sink_plan::insert(&self.engine, dml, self.header(), context)?;
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
        let stages = plans.explanation()?.plan();
        let optimised = self.context.state().optimize(&input).map_err(|e| classify(&e))?;
        rows(vec![("logical_plan", optimised.display_indent().to_string()), ("stages", stages)])
    }

    /// Runs the statement, with what it does for an answer.
    pub(super) async fn explain_analyze(&self, plan: LogicalPlan, context: &PlanContext) -> Result<Planned> {
        let runs = match &plan {
            LogicalPlan::Ddl(definition) => matches!(definition, DdlStatement::CreateMemoryTable(_)),
            LogicalPlan::Statement(statement) => matches!(statement, Statement::Execute(_)),
            _ => true,
        };
        if !runs {
            let text = format!(
                "EXPLAIN ANALYZE {}: no tasks run for it; EXPLAIN ANALYZE is for queries and writes",
                plan.display()
            );
            return Err(Error::user(text));
        }
        self.plan_logical(plan, PlanContext { analyze: true, ..*context }).await
    }
}

impl Alternatives {
    /// What EXPLAIN says of them.
    pub(super) fn explanation(&self) -> Result<Explanation> {
        let one = self.one.as_ref().unwrap_or(&self.many);
        Explanation::new(one, &self.many, &self.costs, self.chosen(), &self.reason).map_err(|e| classify(&e))
    }
}

/// What is known of a job that is analysed, to be told when it has ended.
#[derive(Debug)]
pub struct Analysis(Explanation);

impl Analysis {
    pub(super) fn new(plans: &Alternatives) -> Result<Self> {
        plans.explanation().map(Self)
    }

    /// The columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        schema()
    }

    /// The answer, when the job has ended.
    pub fn answer(&self, report: &JobReport) -> Result<RecordBatch> {
        batch(&[("stages", self.0.run(report))])
    }
}

/// The schema of what EXPLAIN says.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![text("plan_type"), text("plan")]))
}

fn rows(lines: Vec<(&str, String)>) -> Result<Planned> {
    Ok(Planned::Done { schema: schema(), batches: vec![batch(&lines)?] })
}

fn batch(lines: &[(&str, String)]) -> Result<RecordBatch> {
    let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(kind, _)| *kind)));
    let plans: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(_, plan)| plan)));
    RecordBatch::try_new(schema(), vec![kinds, plans]).map_err(|e| Error::internal(e.to_string()))
}

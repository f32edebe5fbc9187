//! Statements that write rows: from the plan of a write to its job, and the answer that counts its rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use windrow_common::{Error, Result};

use super::sink_plan::WritePlan;
use super::{Analysis, EngineSession, PlanContext, Planned, PlannedJob};
use crate::sink::{self, AbortOnDrop};

impl EngineSession {
    /// The job of a write.
    pub(super) async fn write(&self, write: WritePlan, context: &PlanContext) -> Result<Planned> {
        // A table that cannot be planned, or that nobody wants any more, leaves no directory.
        let undone = write.sink.table.is_some().then(|| AbortOnDrop::new(self.engine.stores(), &write.sink.spec, true));
        sink::prepare(self.engine.stores(), &write.sink.spec).await?;
        let alternatives = self.alternatives(&write.input, Some(&write.sink), context, false).await?;
        let built = self.build(&alternatives, context, true)?;
        undone.into_iter().for_each(AbortOnDrop::keep);
        Ok(Planned::Job(Box::new(PlannedJob {
            graph: built.graph,
            blobs: built.blobs,
            schema: count_schema(),
            sink: Some(write.sink),
            settings: self.changed_settings(),
            analysis: context.analyze.then(|| Analysis::new(&alternatives)).transpose()?,
        })))
    }
}

/// The schema of the answer of a statement that writes rows.
pub fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]))
}

/// The answer of a statement that wrote rows.
pub fn count_row(rows: u64) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![rows]));
    RecordBatch::try_new(count_schema(), vec![column]).map_err(|e| Error::internal(e.to_string()))
}

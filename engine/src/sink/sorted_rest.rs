//! Sorts the rest of a task's rows by their partition columns, when there are more directories than open files.
//!
//! The order that the rows came in is kept within a directory as far as it is a known order: it follows behind the
//! partition columns in what is sorted by. DataFusion's sort does the work, and spills when memory is short.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use windrow_common::Error;

use super::partition_values::PartitionColumns;
use crate::error::external;

/// By what the rest of some rows would be sorted, and with which memory.
pub(super) struct RestOrder {
    ordering: LexOrdering,
    context: Arc<TaskContext>,
}

impl RestOrder {
    /// For rows that come in the order `kept`, if in a known one.
    pub(super) fn try_new(
        columns: &PartitionColumns,
        schema: &SchemaRef,
        kept: Option<&LexOrdering>,
        context: Arc<TaskContext>,
    ) -> Result<Self> {
        let by_directory = columns.indices().iter().map(|index| {
            let column = Column::new(schema.field(*index).name(), *index);
            PhysicalSortExpr::new(Arc::new(column), SortOptions::default())
        });
        let kept = kept.into_iter().flat_map(|ordering| ordering.iter().cloned());
        let ordering = LexOrdering::new(by_directory.chain(kept));
        let ordering = ordering.ok_or_else(|| external(Error::internal("a write is partitioned by no columns")))?;
        Ok(Self { ordering, context })
    }

    /// The rows, sorted.
    pub(super) fn sort(self, rows: SendableRecordBatchStream) -> Result<SendableRecordBatchStream> {
        let schema = rows.schema();
        let once = Arc::new(Once { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) });
        let source = StreamingTableExec::try_new(schema, vec![once], None, [], false, None)?;
        SortExec::new(self.ordering, Arc::new(source)).execute(0, self.context)
    }
}

/// Rows that are there once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| {
            let error = DataFusionError::Internal("rows that were there once are read again".into());
            let stream = futures::stream::iter([Err(error)]);
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
        })
    }
}

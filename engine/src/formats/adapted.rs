//! Batches of a file in the columns of its table: found by name, cast where the table's type is wider, null where the file
//! does not have them.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::physical_expr_adapter::{BatchAdapter, BatchAdapterFactory};

/// From the columns of a file to those that are wanted.
#[derive(Clone, Debug)]
pub struct Adapted {
    projection: Vec<usize>,
    adapter: Option<Arc<BatchAdapter>>,
    wanted: SchemaRef,
}

impl Adapted {
    /// Fails if a column cannot be cast, or is missing and may not be null.
    pub fn new(file: &SchemaRef, wanted: &SchemaRef) -> Result<Self> {
        let find = |field: &Arc<arrow::datatypes::Field>| file.index_of(field.name()).ok();
        let mut projection: Vec<usize> = wanted.fields().iter().filter_map(find).collect();
        projection.sort_unstable();
        projection.dedup();
        let projected = Arc::new(file.project(&projection)?);
        let adapter = if wanted.fields().is_empty() {
            None
        } else {
            Some(Arc::new(BatchAdapterFactory::new(Arc::clone(wanted)).make_adapter(&projected)?))
        };
        Ok(Self { projection, adapter, wanted: Arc::clone(wanted) })
    }

    /// The columns of the file that are needed, in their order in the file.
    pub fn projection(&self) -> &[usize] {
        &self.projection
    }

    /// A batch of the needed columns in those that are wanted.
    pub fn adapt(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        match &self.adapter {
            Some(adapter) => adapter.adapt_batch(batch),
            None => {
                let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                Ok(RecordBatch::try_new_with_options(Arc::clone(&self.wanted), vec![], &rows)?)
            }
        }
    }
}

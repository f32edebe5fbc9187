//! Rows that wait until there are enough of them for a block of their own. A block has costs of its own, and batches that
//! were divided by their partition may be of a few rows.

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

/// Rows of a block.
const BLOCK_ROWS: usize = 32 << 10;
/// Bytes of a block's columns.
const BLOCK_BYTES: usize = 4 << 20;

/// The rows of the next block.
pub(super) struct Pending {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Pending {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Bytes that the rows take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds rows; gives a block when there are enough.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows += batch.num_rows();
        self.bytes += bytes_of(&batch);
        self.batches.push(batch);
        if self.rows >= BLOCK_ROWS || self.bytes >= BLOCK_BYTES { self.take() } else { Ok(None) }
    }

    /// What there is, if anything.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let batches = std::mem::take(&mut self.batches);
        (self.rows, self.bytes) = (0, 0);
        match batches.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            many => concat_batches(&self.schema, many).map(Some),
        }
    }
}

/// What the rows take: not what the buffers take that they may share with others.
fn bytes_of(batch: &RecordBatch) -> usize {
    let column = |column: &dyn Array| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(|c| column(c.as_ref())).sum()
}

//! What a text format has to bring along: turning whole records into batches.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

/// Parses records. Which bytes are records is decided by others.
pub trait RowParser: Send {
    /// Takes whole records up to the batch's size, and says how many bytes it took. After an error it is of no use until
    /// it is reset.
    fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError>;

    /// Whether the batch has all the rows it can have.
    fn is_full(&self) -> bool;

    /// The rows taken since the last call, if any.
    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError>;

    /// Forgets what was taken, and gets ready for about so many records; none: for as many as make a batch.
    fn reset(&mut self, records: Option<usize>) -> Result<(), ArrowError>;

    /// Why a single record cannot be parsed, for people. Leaves the parser reset.
    fn reason(&mut self, record: &[u8], error: &ArrowError) -> String;
}

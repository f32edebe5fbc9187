//! A parser of all columns that hands out some of them. Where bad records are left out, which records those are must not
//! depend on the columns that a query asks for: `count(*)` and `SELECT a` have to see the same rows.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::parser::RowParser;

/// Hands out some of the columns that another parser makes.
pub struct Projected {
    parser: Box<dyn RowParser>,
    columns: Vec<usize>,
}

impl Projected {
    /// Of the columns that `parser` makes, those at these places.
    pub fn new(parser: Box<dyn RowParser>, columns: Vec<usize>) -> Self {
        Self { parser, columns }
    }
}

impl RowParser for Projected {
    fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        self.parser.decode(bytes)
    }

    fn is_full(&self) -> bool {
        self.parser.is_full()
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.parser.flush()?.map(|batch| batch.project(&self.columns)).transpose()
    }

    fn reset(&mut self, records: Option<usize>) -> Result<(), ArrowError> {
        self.parser.reset(records)
    }

    fn reason(&mut self, record: &[u8], error: &ArrowError) -> String {
        self.parser.reason(record, error)
    }
}

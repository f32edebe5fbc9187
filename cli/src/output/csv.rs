//! Rows as CSV: a header, then a line a row. NULL is an empty field; nested values are text.

use arrow::array::RecordBatch;
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{DataType, SchemaRef};
use windrow_common::Result;

use super::text::as_text;
use super::{Destination, RowSink, Summary, failed};

pub(super) struct CsvSink {
    schema: SchemaRef,
    writer: Writer<Destination>,
    began: bool,
}

impl CsvSink {
    pub(super) fn new(schema: SchemaRef, out: Destination) -> CsvSink {
        CsvSink { schema, writer: WriterBuilder::new().with_header(true).build(out), began: false }
    }
}

impl RowSink for CsvSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.began = true;
        let batch = as_text(batch, DataType::is_nested).map_err(failed)?;
        self.writer.write(&batch).map_err(failed)
    }

    fn finish(&mut self, _summary: Summary) -> Result<()> {
        // An answer without rows still has its header.
        if self.began { Ok(()) } else { self.write(&RecordBatch::new_empty(self.schema.clone())) }
    }
}

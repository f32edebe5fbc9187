//! Rows as JSON: one object a line, NULL as `null`.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::json::writer::{LineDelimited, Writer, WriterBuilder};
use std::io::Write;
use windrow_common::Result;

use super::text::as_text;
use super::{Destination, RowSink, Summary, failed};

pub(super) struct JsonSink {
    writer: Writer<Destination, LineDelimited>,
}

impl JsonSink {
    pub(super) fn new(out: Destination) -> JsonSink {
        JsonSink { writer: WriterBuilder::new().with_explicit_nulls(true).build(out) }
    }
}

impl RowSink for JsonSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = as_text(batch, |kind| matches!(kind, DataType::Union(..))).map_err(failed)?;
        self.writer.write(&batch).map_err(failed)?;
        self.writer.get_mut().flush().map_err(failed)
    }

    fn finish(&mut self, _summary: Summary) -> Result<()> {
        self.writer.finish().map_err(failed)
    }
}

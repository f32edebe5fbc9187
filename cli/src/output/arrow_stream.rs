//! Rows as an Arrow IPC stream. Several statements give several streams, one after another.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use windrow_common::Result;

use super::{Destination, RowSink, Summary, failed};

pub(super) struct ArrowSink {
    writer: StreamWriter<Destination>,
}

impl ArrowSink {
    pub(super) fn new(schema: SchemaRef, out: Destination) -> Result<ArrowSink> {
        Ok(ArrowSink { writer: StreamWriter::try_new(out, &schema).map_err(failed)? })
    }
}

impl RowSink for ArrowSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(failed)?;
        self.writer.get_mut().flush().map_err(failed)
    }

    fn finish(&mut self, _summary: Summary) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        self.writer.get_mut().flush().map_err(failed)
    }
}

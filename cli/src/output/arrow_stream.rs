//! Rows as an Arrow IPC stream. Several statements give several streams, one after another.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use windrow_common::Result;

use super::{RowSink, Summary, failed};
use crate::stdout::Out;

pub(super) struct ArrowSink {
    writer: StreamWriter<Out>,
}

impl ArrowSink {
    pub(super) fn new(schema: SchemaRef, out: Out) -> Result<ArrowSink> {
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

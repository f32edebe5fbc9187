//! Avro object containers: a header with the schema, and blocks of rows, each compressed by itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::errors::AvroError;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use windrow_common::{Error, Result};

use super::buffered::BufferedOutput;
use super::pending::Pending;
use super::{FileEncoder, arrow_error, store_error};
use crate::sink::format::{AvroSettings, Compression};
use crate::sink::output::StagedOutput;

/// One Avro file.
pub(super) struct AvroEncoder {
    writer: Writer<BufferedOutput, AvroOcfFormat>,
    pending: Pending,
    out: Arc<AtomicU64>,
}

impl AvroEncoder {
    pub(super) fn begin(
        settings: &AvroSettings,
        schema: &SchemaRef,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        let output = BufferedOutput::new(output);
        let out = output.counter();
        let builder = WriterBuilder::new(schema.as_ref().clone()).with_compression(codec(settings.compression)?);
        let writer = builder.build::<_, AvroOcfFormat>(output).map_err(|e| error(path, e))?;
        Ok(Self { writer, pending: Pending::new(Arc::clone(schema)), out })
    }

    fn put(&mut self, block: Result<Option<RecordBatch>, ArrowError>, path: &Path) -> Result<()> {
        match block.map_err(|e| arrow_error("Avro", path, e))? {
            Some(block) if block.num_rows() > 0 => self.writer.write(&block).map_err(|e| error(path, e)),
            _ => Ok(()),
        }
    }
}

impl FileEncoder for AvroEncoder {
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        let block = self.pending.push(batch.clone());
        self.put(block, path)
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        let block = self.pending.take();
        self.put(block, path)
    }

    fn memory(&self) -> usize {
        self.pending.bytes() + BufferedOutput::MEMORY
    }

    fn size(&self) -> u64 {
        self.out.load(Ordering::Relaxed) + self.pending.bytes() as u64
    }

    fn finish(mut self: Box<Self>, path: &Path) -> Result<u64> {
        self.flush(path)?;
        self.writer.finish().map_err(|e| error(path, e))?;
        self.writer.into_inner().finish(|e| store_error(path, e))
    }
}

fn codec(compression: Compression) -> Result<Option<CompressionCodec>> {
    match compression {
        Compression::None => Ok(None),
        Compression::Deflate => Ok(Some(CompressionCodec::Deflate)),
        Compression::Snappy => Ok(Some(CompressionCodec::Snappy)),
        Compression::Zstd(_) => Ok(Some(CompressionCodec::ZStandard)),
        other => Err(Error::internal(format!("Avro is not compressed with {other:?}"))),
    }
}

fn error(path: &Path, source: AvroError) -> Error {
    match source {
        AvroError::IoError(_, io) => store_error(path, &io),
        AvroError::External(inner) => arrow_error("Avro", path, ArrowError::ExternalError(inner)),
        AvroError::ArrowError(inner) => arrow_error("Avro", path, *inner),
        other => Error::user(format!("these rows cannot be written as Avro: {other}")),
    }
}

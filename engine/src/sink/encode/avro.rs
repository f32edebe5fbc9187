//! Avro object containers: a header with the schema, and blocks of rows, each compressed by itself.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::errors::AvroError;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use windrow_common::{Error, Result};

use super::blocks::{BlockEncoder, BlockWriter};
use super::buffered::BufferedOutput;
use super::{arrow_error, store_error};
use crate::sink::format::{AvroSettings, Compression};
use crate::sink::output::StagedOutput;

/// Writes the blocks of one Avro file.
pub(super) struct AvroWriter(Writer<BufferedOutput, AvroOcfFormat>);

/// Begins a file.
pub(super) fn begin(
    settings: &AvroSettings,
    schema: &SchemaRef,
    output: Box<dyn StagedOutput>,
    path: &Path,
) -> Result<BlockEncoder<AvroWriter>> {
    let builder = WriterBuilder::new(schema.as_ref().clone()).with_compression(codec(settings.compression)?);
    BlockEncoder::begin(schema, output, |output| {
        builder.build::<_, AvroOcfFormat>(output).map(AvroWriter).map_err(|e| error(path, e))
    })
}

impl BlockWriter for AvroWriter {
    const FORMAT: &'static str = "Avro";

    fn write(&mut self, block: &RecordBatch, path: &Path) -> Result<()> {
        self.0.write(block).map_err(|e| error(path, e))
    }

    fn finish(mut self, path: &Path) -> Result<BufferedOutput> {
        self.0.finish().map_err(|e| error(path, e))?;
        Ok(self.0.into_inner())
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

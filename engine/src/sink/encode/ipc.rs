//! Arrow IPC: files, which can be read from anywhere in them, and streams.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use windrow_common::{Error, Result};

use super::arrow_error;
use super::blocks::{BlockEncoder, BlockWriter};
use super::buffered::BufferedOutput;
use crate::sink::format::{ArrowSettings, Compression};
use crate::sink::output::StagedOutput;

/// Writes the blocks of one file of Arrow's own columns.
pub(super) enum IpcWriter {
    File(Box<FileWriter<BufferedOutput>>),
    Stream(Box<StreamWriter<BufferedOutput>>),
}

/// Begins a file.
pub(super) fn begin(
    settings: &ArrowSettings,
    schema: &SchemaRef,
    output: Box<dyn StagedOutput>,
    path: &Path,
) -> Result<BlockEncoder<IpcWriter>> {
    let options = options(settings.compression)?;
    BlockEncoder::begin(schema, output, |output| {
        let writer = match settings.stream {
            false => FileWriter::try_new_with_options(output, schema, options).map(|w| IpcWriter::File(Box::new(w))),
            true => StreamWriter::try_new_with_options(output, schema, options).map(|w| IpcWriter::Stream(Box::new(w))),
        };
        writer.map_err(|e| error(path, e))
    })
}

impl BlockWriter for IpcWriter {
    const FORMAT: &'static str = "Arrow";

    fn write(&mut self, block: &RecordBatch, path: &Path) -> Result<()> {
        let written = match self {
            IpcWriter::File(writer) => writer.write(block),
            IpcWriter::Stream(writer) => writer.write(block),
        };
        written.map_err(|e| error(path, e))
    }

    fn finish(self, path: &Path) -> Result<BufferedOutput> {
        let output = match self {
            IpcWriter::File(writer) => writer.into_inner(),
            IpcWriter::Stream(writer) => writer.into_inner(),
        };
        output.map_err(|e| error(path, e))
    }
}

fn error(path: &Path, source: ArrowError) -> Error {
    arrow_error(IpcWriter::FORMAT, path, source)
}

fn options(compression: Compression) -> Result<IpcWriteOptions> {
    let wrong = |e: ArrowError| Error::internal(format!("Arrow IPC cannot be compressed like this: {e}"));
    let options = IpcWriteOptions::default();
    match compression {
        Compression::None => Ok(options),
        Compression::Lz4 => options.try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(wrong),
        Compression::Zstd(level) => options
            .try_with_compression(Some(CompressionType::ZSTD))
            .and_then(|options| options.try_with_compression_level(Some(level)))
            .map_err(wrong),
        other => Err(Error::internal(format!("Arrow IPC is not compressed with {other:?}"))),
    }
}

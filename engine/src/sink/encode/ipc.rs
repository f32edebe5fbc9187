//! Arrow IPC: files, which can be read from anywhere in them, and streams.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use windrow_common::{Error, Result};

use super::buffered::BufferedOutput;
use super::pending::Pending;
use super::{FileEncoder, arrow_error, store_error};
use crate::sink::format::{ArrowSettings, Compression};
use crate::sink::output::StagedOutput;

enum Writer {
    File(Box<FileWriter<BufferedOutput>>),
    Stream(Box<StreamWriter<BufferedOutput>>),
}

/// One file of Arrow's own columns.
pub(super) struct IpcEncoder {
    writer: Writer,
    pending: Pending,
    out: Arc<AtomicU64>,
}

impl IpcEncoder {
    pub(super) fn begin(
        settings: &ArrowSettings,
        schema: &SchemaRef,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        let options = options(settings.compression)?;
        let output = BufferedOutput::new(output);
        let out = output.counter();
        let writer = match settings.stream {
            false => FileWriter::try_new_with_options(output, schema, options).map(|w| Writer::File(Box::new(w))),
            true => StreamWriter::try_new_with_options(output, schema, options).map(|w| Writer::Stream(Box::new(w))),
        };
        let writer = writer.map_err(|e| error(path, e))?;
        Ok(Self { writer, pending: Pending::new(Arc::clone(schema)), out })
    }

    fn put(&mut self, block: Option<RecordBatch>, path: &Path) -> Result<()> {
        let Some(block) = block else { return Ok(()) };
        let written = match &mut self.writer {
            Writer::File(writer) => writer.write(&block),
            Writer::Stream(writer) => writer.write(&block),
        };
        written.map_err(|e| error(path, e))
    }
}

impl FileEncoder for IpcEncoder {
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        let block = self.pending.push(batch.clone()).map_err(|e| error(path, e))?;
        self.put(block, path)
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        let block = self.pending.take().map_err(|e| error(path, e))?;
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
        let output = match self.writer {
            Writer::File(writer) => writer.into_inner(),
            Writer::Stream(writer) => writer.into_inner(),
        };
        output.map_err(|e| error(path, e))?.finish(|e| store_error(path, e))
    }
}

fn error(path: &Path, source: ArrowError) -> Error {
    arrow_error("Arrow", path, source)
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

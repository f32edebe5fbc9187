//! Turns batches into the bytes of one file. The only place that knows what a format's encoder looks like.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use windrow_common::{Error, Result};

use super::disk;
use super::output::StagedOutput;
use super::spec::{Compression, Format};

/// Encoded bytes of a row group at most, so that very wide rows do not need gigabytes to be written or read.
const MAX_ROW_GROUP_BYTES: usize = 128 << 20;

/// One file being written.
pub(super) enum Encoder {
    /// Parquet.
    Parquet(Box<ArrowWriter<Box<dyn StagedOutput>>>),
}

impl Encoder {
    /// Begins a file of this format and schema in `output`, which errors call `path`.
    pub(super) fn begin(
        format: &Format,
        schema: SchemaRef,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        match format {
            Format::Parquet { compression, row_group_rows } => {
                let rows = usize::try_from(*row_group_rows).unwrap_or(usize::MAX).max(1);
                let properties = WriterProperties::builder()
                    .set_created_by(concat!("windrow ", env!("CARGO_PKG_VERSION")).to_owned())
                    .set_compression(codec(*compression)?)
                    .set_max_row_group_row_count(Some(rows))
                    .set_max_row_group_bytes(Some(MAX_ROW_GROUP_BYTES))
                    .build();
                let writer = ArrowWriter::try_new(output, schema, Some(properties)).map_err(|e| error(path, e))?;
                Ok(Encoder::Parquet(Box::new(writer)))
            }
        }
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        match self {
            Encoder::Parquet(writer) => writer.write(batch).map_err(|e| error(path, e)),
        }
    }

    /// Puts buffered rows into the file, so that their memory is free.
    pub(super) fn flush(&mut self, path: &Path) -> Result<()> {
        match self {
            Encoder::Parquet(writer) => writer.flush().map_err(|e| error(path, e)),
        }
    }

    /// Bytes of memory that buffered rows take.
    pub(super) fn memory(&self) -> usize {
        match self {
            Encoder::Parquet(writer) => writer.memory_size(),
        }
    }

    /// About how many bytes the file would have if it ended here.
    pub(super) fn size(&self) -> u64 {
        match self {
            Encoder::Parquet(writer) => (writer.bytes_written() + writer.in_progress_size()) as u64,
        }
    }

    /// Ends the file and lets it last. Returns its size in bytes.
    pub(super) fn finish(self, path: &Path) -> Result<u64> {
        let output = match self {
            Encoder::Parquet(writer) => writer.into_inner().map_err(|e| error(path, e))?,
        };
        output.finish()
    }
}

fn codec(compression: Compression) -> Result<Codec> {
    let level = |e: ParquetError| Error::user(format!("compression level: {e}"));
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd(n) => Codec::ZSTD(ZstdLevel::try_new(n).map_err(level)?),
        Compression::Gzip(n) => Codec::GZIP(GzipLevel::try_new(n).map_err(level)?),
        Compression::Brotli(n) => Codec::BROTLI(BrotliLevel::try_new(n).map_err(level)?),
    })
}

/// The disk's errors stay errors of the disk; anything else is about the data (a type that Parquet does not have).
fn error(path: &Path, source: ParquetError) -> Error {
    match source {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => disk::error("write", path, &io),
            Err(other) => Error::internal(format!("cannot write '{}': {other}", path.display())),
        },
        ParquetError::NYI(what) => Error::user(format!("Parquet cannot hold this data: {what}; cast it in the query")),
        ParquetError::ArrowError(what) => Error::user(format!("these rows cannot be written as Parquet: {what}")),
        other => Error::internal(format!("cannot write '{}': {other}", path.display())),
    }
}

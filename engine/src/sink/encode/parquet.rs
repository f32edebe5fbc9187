//! Parquet files, by the `parquet` crate's own writer.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use windrow_common::{Error, Result};

use super::{FileEncoder, arrow_error, store_error};
use crate::sink::format::{BloomFilters, Compression, PageVersion, ParquetSettings, Statistics};
use crate::sink::output::StagedOutput;

/// Encoded bytes of a row group at most, so that very wide rows do not need gigabytes to be written or read.
const MAX_ROW_GROUP_BYTES: usize = 128 << 20;

/// One Parquet file.
pub(super) struct ParquetEncoder {
    writer: ArrowWriter<Box<dyn StagedOutput>>,
}

impl ParquetEncoder {
    pub(super) fn begin(
        settings: &ParquetSettings,
        schema: SchemaRef,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        let properties = properties(settings)?;
        let writer = ArrowWriter::try_new(output, schema, Some(properties)).map_err(|e| error(path, e))?;
        Ok(Self { writer })
    }
}

fn properties(settings: &ParquetSettings) -> Result<WriterProperties> {
    let rows = usize::try_from(settings.row_group_rows).unwrap_or(usize::MAX).max(1);
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("windrow ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(codec(settings.compression)?)
        .set_max_row_group_row_count(Some(rows))
        .set_max_row_group_bytes(Some(MAX_ROW_GROUP_BYTES))
        .set_dictionary_enabled(settings.dictionary)
        .set_statistics_enabled(match settings.statistics {
            Statistics::None => EnabledStatistics::None,
            Statistics::Chunk => EnabledStatistics::Chunk,
            Statistics::Page => EnabledStatistics::Page,
        })
        .set_writer_version(match settings.version {
            PageVersion::One => WriterVersion::PARQUET_1_0,
            PageVersion::Two => WriterVersion::PARQUET_2_0,
        });
    match &settings.bloom_filters {
        BloomFilters::None => {}
        BloomFilters::All => properties = properties.set_bloom_filter_enabled(true),
        BloomFilters::Columns(columns) => {
            for column in columns {
                let path = ColumnPath::new(vec![column.clone()]);
                properties = properties.set_column_bloom_filter_enabled(path, true);
            }
        }
    }
    Ok(properties.build())
}

impl FileEncoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        self.writer.write(batch).map_err(|e| error(path, e))
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        self.writer.flush().map_err(|e| error(path, e))
    }

    fn memory(&self) -> usize {
        self.writer.memory_size()
    }

    fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    fn finish(self: Box<Self>, path: &Path) -> Result<u64> {
        self.writer.into_inner().map_err(|e| error(path, e))?.finish()
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
        Compression::Deflate => return Err(Error::internal("Parquet pages are not compressed with deflate")),
    })
}

/// The store's errors stay errors of the store; anything else is about the data (a type that Parquet does not have).
fn error(path: &Path, source: ParquetError) -> Error {
    match source {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => store_error(path, &io),
            Err(other) => match other.downcast::<arrow::error::ArrowError>() {
                Ok(arrow) => arrow_error("Parquet", path, *arrow),
                Err(other) => Error::internal(format!("cannot write '{}': {other}", path.display())),
            },
        },
        ParquetError::NYI(what) => Error::user(format!("Parquet cannot hold this data: {what}; cast it in the query")),
        ParquetError::ArrowError(what) => Error::user(format!("these rows cannot be written as Parquet: {what}")),
        other => Error::internal(format!("cannot write '{}': {other}", path.display())),
    }
}

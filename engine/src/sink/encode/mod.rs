//! Turns batches into the bytes of one file. The only place that knows what a format's encoder looks like: one file for
//! each format, and what several of them share.
//!
//! ```text
//!  parquet ───────────────────────────────────────────────► output
//!  arrow, avro ── plain columns ── blocks of pending rows ── buffered ► output
//!  csv, json ──── plain columns ── text ── gzip, zstd ── buffered ► output
//! ```

mod avro;
mod blocks;
mod buffered;
mod csv;
mod ipc;
mod json;
mod parquet;
mod pending;
mod plain;
mod text;

use std::io;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use windrow_common::{Error, ErrorKind, Result};

pub(super) use self::csv::format_options;
use self::plain::Plain;
use super::disk;
use super::format::Format;
use super::output::StagedOutput;

/// What the encoders of all formats can do. Errors call the file `path`.
trait FileEncoder: Send {
    /// Adds rows, whose columns are those of the file.
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()>;
    /// Puts buffered rows into the file, so that their memory is free.
    fn flush(&mut self, path: &Path) -> Result<()>;
    /// Bytes of memory that buffered rows, and buffers for their bytes, take.
    fn memory(&self) -> usize;
    /// About how many bytes the file would have if it ended here.
    fn size(&self) -> u64;
    /// Ends the file and lets it last. Returns its size in bytes.
    fn finish(self: Box<Self>, path: &Path) -> Result<u64>;
}

/// One file being written.
pub(super) struct Encoder {
    plain: Plain,
    inner: Box<dyn FileEncoder>,
}

impl Encoder {
    /// Begins a file of this format for rows of this schema in `output`, which errors call `path`.
    pub(super) fn begin(
        format: &Format,
        schema: SchemaRef,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        let stored = format.stored_schema(&schema);
        let inner: Box<dyn FileEncoder> = match format {
            Format::Parquet(settings) => {
                Box::new(parquet::ParquetEncoder::begin(settings, stored.clone(), output, path)?)
            }
            Format::Csv(settings) => Box::new(csv::CsvEncoder::begin(settings, &stored, output, path)?),
            Format::Json(settings) => Box::new(json::JsonEncoder::begin(settings, &stored, output, path)?),
            Format::Arrow(settings) => Box::new(ipc::begin(settings, &stored, output, path)?),
            Format::Avro(settings) => Box::new(avro::begin(settings, &stored, output, path)?),
        };
        Ok(Self { plain: Plain::new(format.name(), &schema, stored), inner })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        self.inner.write(&self.plain.convert(batch)?, path)
    }

    /// Puts buffered rows into the file, so that their memory is free.
    pub(super) fn flush(&mut self, path: &Path) -> Result<()> {
        self.inner.flush(path)
    }

    /// Bytes of memory that buffered rows take.
    pub(super) fn memory(&self) -> usize {
        self.inner.memory()
    }

    /// About how many bytes the file would have if it ended here.
    pub(super) fn size(&self) -> u64 {
        self.inner.size()
    }

    /// Ends the file and lets it last. Returns its size in bytes.
    pub(super) fn finish(self, path: &Path) -> Result<u64> {
        self.inner.finish(path)
    }
}

/// An error of the store that the file lies in. One of our own parts comes through as it is.
fn store_error(path: &Path, source: &io::Error) -> Error {
    match source.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(ours) => ours.clone(),
        None => disk::error("write", path, source),
    }
}

/// The store's errors stay errors of the store; anything else is about the data.
fn arrow_error(format: &str, path: &Path, source: ArrowError) -> Error {
    match source {
        ArrowError::IoError(_, io) => store_error(path, &io),
        ArrowError::ExternalError(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => store_error(path, &io),
            Err(other) => Error::internal(format!("cannot write '{}': {other}", path.display())),
        },
        ArrowError::NotYetImplemented(what) => {
            Error::new(ErrorKind::Unsupported, format!("{format} cannot hold this data: {what}; cast it in the query"))
        }
        other => Error::user(format!("these rows cannot be written as {format}: {other}")),
    }
}

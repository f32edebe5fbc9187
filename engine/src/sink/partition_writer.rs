//! Writes one series of files in one attempt, and takes them away again unless it is told to keep them.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use windrow_common::{AttemptId, Error, ErrorKind};

use super::encode::Encoder;
use super::log::Log;
use super::output::{Receipt, Staged};
use super::place::PlaceRef;
use super::spec::{Layout, SinkSpec};
use super::staging::{AttemptContext, Part, Staging};
use super::written::WrittenFile;
use crate::error::external;

/// One series of files: those of one partition of the input, in one directory of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Series {
    /// The number of the partition of the input.
    pub(super) partition: usize,
    /// The directory, relative to the target: `year=2024/month=7`. Empty for the target itself. Each of its parts must
    /// be a plain name that readers are shown.
    pub(super) directory: String,
    /// The number of the first file, if the attempt has written into this directory before.
    pub(super) first: usize,
}

impl Series {
    /// The files of a partition in the target itself.
    pub(super) fn of(partition: usize) -> Self {
        Self { partition, ..Self::default() }
    }
}

/// The files of one series in one attempt; an attempt may have several at once, which share nothing. All of its methods
/// block. Dropping it removes its own files, and only those, unless [`PartitionWriter::keep`] was called.
pub(super) struct PartitionWriter {
    spec: SinkSpec,
    place: PlaceRef,
    staging: Staging,
    attempt: AttemptId,
    series: Series,
    schema: SchemaRef,
    reservation: MemoryReservation,
    open: Option<OpenFile>,
    done: Vec<WrittenFile>,
    /// Staged names.
    begun: Vec<String>,
    kept: bool,
}

struct OpenFile {
    encoder: Encoder,
    path: PathBuf,
    receipt: Arc<Receipt>,
    file: WrittenFile,
}

impl OpenFile {
    /// Bytes of memory that its rows take, encoded or not.
    fn memory(&self) -> usize {
        self.encoder.memory() + self.receipt.held()
    }
}

impl PartitionWriter {
    /// A writer without files, in a directory of the target. `schema` is the files' schema.
    pub(super) fn try_new(
        spec: SinkSpec,
        context: &AttemptContext,
        series: Series,
        schema: SchemaRef,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let place = spec.place(&context.stores).map_err(external)?;
        let staging = Staging::of(&spec, &*place).map_err(external)?;
        let (attempt, open, done, begun) = (context.attempt, None, Vec::new(), Vec::new());
        Ok(Self { spec, place, staging, attempt, series, schema, reservation, open, done, begun, kept: false })
    }

    /// An attempt of a write that has been published or aborted comes too late: it must not stage anything.
    pub(super) fn refuse_if_decided(&self) -> Result<()> {
        if self.spec.layout == Layout::SingleFile && self.place.local().is_some() {
            return Ok(());
        }
        if !self.place.is_ready() {
            let shown = self.place.shown(super::HIDDEN_DIRECTORY);
            return Err(external(Error::io(format!(
                "'{shown}' is gone; was the write cancelled, or is the target not on a disk that all workers and the \
                 coordinator share?"
            ))));
        }
        match self.is_decided().map_err(external)? {
            false => Ok(()),
            true => Err(external(self.too_late())),
        }
    }

    fn is_decided(&self) -> windrow_common::Result<bool> {
        Log::for_write(&self.place, &self.spec)?.is_decided(&self.spec)
    }

    fn too_late(&self) -> Error {
        let (attempt, job) = (self.attempt, self.spec.job());
        let message = format!("{attempt} comes too late: the write of {job} has been decided");
        Error::new(ErrorKind::Cancelled, message)
    }

    /// An error of an upload, which is most likely gone if the write has been decided.
    fn explained(&self, error: Error) -> DataFusionError {
        let uploads = self.place.local().is_none();
        external(if uploads && self.is_decided().unwrap_or(false) { self.too_late() } else { error })
    }

    /// Adds rows; begins a new file when the last one is large enough.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.append(batch)?;
        self.settle()?;
        self.end_if_full()
    }

    /// Adds rows without asking for their memory: [`Self::settle`] must follow.
    pub(super) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                self.refuse_if_decided()?;
                self.begin().map_err(external)?
            }
        };
        open.encoder.write(batch, &open.path).map_err(|e| self.explained(e))?;
        open.file.rows += batch.num_rows() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Asks for the memory of the rows that wait; where there is too little, they go into the file at once.
    pub(super) fn settle(&mut self) -> Result<()> {
        let memory = self.open.as_ref().map_or(0, OpenFile::memory);
        if self.reservation.try_resize(memory).is_ok() {
            return Ok(());
        }
        // Short of memory: a smaller row group, and fewer parts on their way, are better than no file.
        self.flush()
    }

    /// Puts the rows that wait into the file, and gives their memory back.
    pub(super) fn flush(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.encoder.flush(&open.path).map_err(|e| self.explained(e))?;
        open.receipt.settle().map_err(|e| self.explained(e))?;
        let memory = open.memory();
        self.open = Some(open);
        self.reservation.try_resize(memory)
    }

    /// Ends the file if it is large enough.
    pub(super) fn end_if_full(&mut self) -> Result<()> {
        let limit = self.spec.target_file_bytes;
        let size = self.open.as_ref().map_or(0, |open| open.encoder.size());
        let full = limit > 0 && self.spec.layout == Layout::Directory && size >= limit;
        if full { self.end_file() } else { Ok(()) }
    }

    /// Ends the file that is open, if one is.
    pub(super) fn end(&mut self) -> Result<()> {
        self.end_file()
    }

    /// Whether a file is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The files that are ended.
    pub(super) fn done(&self) -> &[WrittenFile] {
        &self.done
    }

    /// Ends the last file. A partition without rows has none, but for partition 0 in the target itself: it always writes
    /// one, so that a table of no rows still has a schema. (The publication leaves it out when others have rows.)
    pub(super) fn finish(&mut self) -> Result<Vec<WrittenFile>> {
        if self.series == Series::default() && self.open.is_none() && self.done.is_empty() {
            self.open = Some(self.begin().map_err(external)?);
        }
        self.end_file()?;
        self.refuse_if_decided()?;
        Ok(self.done.clone())
    }

    /// The files have been reported: they belong to the commit from now on.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    fn begin(&mut self) -> windrow_common::Result<OpenFile> {
        let Series { partition, directory, first } = self.series.clone();
        let part = Part { attempt: self.attempt, directory, partition, index: first + self.done.len() };
        let (staged, name) = (self.staging.staged(&part), self.staging.final_name(&part));
        let Staged { output, path, receipt } = self.place.begin(&staged, &name, self.spec.layout)?;
        self.begun.push(staged.clone());
        let encoder = Encoder::begin(&self.spec.format, self.schema.clone(), output, &path)?;
        let file = WrittenFile { name, staged, rows: 0, bytes: 0, upload: None, inode: None };
        Ok(OpenFile { encoder, path, receipt, file })
    }

    fn end_file(&mut self) -> Result<()> {
        if let Some(OpenFile { encoder, path, receipt, mut file }) = self.open.take() {
            file.bytes = encoder.finish(&path).map_err(|e| self.explained(e))?;
            file.upload = receipt.upload();
            file.inode = receipt.inode();
            self.done.push(file);
        }
        self.reservation.free();
        Ok(())
    }
}

impl Drop for PartitionWriter {
    fn drop(&mut self) {
        self.open = None;
        if !self.kept {
            self.place.discard(&self.begun, &self.done);
        }
    }
}

//! Writes the files of one partition in one attempt, or those of them that go to one directory, and takes them away
//! again unless it is told to keep them.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use windrow_common::{AttemptId, Error, ErrorKind};

use super::disk;
use super::encode::Encoder;
use super::log::Log;
use super::output::DiskOutput;
use super::spec::{Layout, SinkSpec};
use super::staging::Staging;
use super::written::WrittenFile;
use crate::error::external;

/// Tries to create a file in a directory that another partition of the attempt may be removing because it is empty.
const MAX_CREATE_TRIES: u32 = 16;

/// The files of one partition in one attempt. All of its methods block. Dropping it removes its own files, and only
/// those, unless [`PartitionWriter::keep`] was called.
pub(super) struct PartitionWriter {
    spec: SinkSpec,
    staging: Staging,
    attempt: AttemptId,
    /// Where its files go: `year=2024/month=1`, or nothing for the target itself.
    directory: String,
    partition: usize,
    schema: SchemaRef,
    reservation: MemoryReservation,
    open: Option<OpenFile>,
    done: Vec<WrittenFile>,
    /// Relative to the root.
    created: Vec<String>,
    kept: bool,
}

struct OpenFile {
    encoder: Encoder,
    path: PathBuf,
    file: WrittenFile,
}

impl PartitionWriter {
    /// A writer without files, in a directory of the target. `schema` is the files' schema.
    pub(super) fn try_new(
        spec: SinkSpec,
        attempt: AttemptId,
        directory: &str,
        partition: usize,
        schema: SchemaRef,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let staging = Staging::of(&spec).map_err(external)?;
        let (open, done, created) = (None, Vec::new(), Vec::new());
        let directory = directory.to_owned();
        Ok(Self { spec, staging, attempt, directory, partition, schema, reservation, open, done, created, kept: false })
    }

    /// An attempt of a write that has been published or aborted comes too late: it must not stage anything.
    pub(super) fn refuse_if_decided(&self) -> Result<()> {
        if self.spec.layout == Layout::SingleFile {
            return Ok(());
        }
        let log = Log::of(self.staging.root());
        if !log.directory().is_dir() {
            let directory = log.directory().display();
            return Err(external(Error::io(format!(
                "'{directory}' is gone; was the write cancelled, or is the target not on a disk that all workers and the \
                 coordinator share?"
            ))));
        }
        match log.is_decided(&self.spec.key()).map_err(external)? {
            false => Ok(()),
            true => Err(external(Error::new(
                ErrorKind::Cancelled,
                format!("{} comes too late: the write of {} has been decided", self.attempt, self.spec.job()),
            ))),
        }
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
        open.encoder.write(batch, &open.path).map_err(external)?;
        open.file.rows += batch.num_rows() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Asks for the memory of the rows that wait; where there is too little, they go into the file at once.
    pub(super) fn settle(&mut self) -> Result<()> {
        let memory = self.open.as_ref().map_or(0, |open| open.encoder.memory());
        if self.reservation.try_resize(memory).is_ok() {
            return Ok(());
        }
        // Short of memory: a smaller row group is better than no file.
        self.flush()
    }

    /// Puts the rows that wait into the file, and gives their memory back.
    pub(super) fn flush(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.encoder.flush(&open.path).map_err(external)?;
        self.reservation.try_resize(open.encoder.memory())
    }

    /// Ends the file if it is large enough.
    pub(super) fn end_if_full(&mut self) -> Result<()> {
        let limit = self.spec.target_file_bytes;
        let size = self.open.as_ref().map_or(0, |open| open.encoder.size());
        let full = limit > 0 && self.spec.layout == Layout::Directory && size >= limit;
        if full { self.end_file().map_err(external) } else { Ok(()) }
    }

    /// Ends the file that is open, if one is.
    pub(super) fn end(&mut self) -> Result<()> {
        self.end_file().map_err(external)
    }

    /// Whether a file is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The files that are ended.
    pub(super) fn done(&self) -> &[WrittenFile] {
        &self.done
    }

    /// Ends the last file. A partition without rows has none, but for partition 0: it always writes one, so that a
    /// table of no rows still has a schema. (The publication leaves it out when others have rows.)
    pub(super) fn finish(&mut self) -> Result<Vec<WrittenFile>> {
        if self.partition == 0 && self.open.is_none() && self.done.is_empty() {
            self.open = Some(self.begin().map_err(external)?);
        }
        self.end_file().map_err(external)?;
        self.refuse_if_decided()?;
        Ok(self.done.clone())
    }

    /// The files have been reported: they belong to the commit from now on.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    fn begin(&mut self) -> windrow_common::Result<OpenFile> {
        let index = self.done.len();
        let staged = self.staging.staged(self.attempt, &self.directory, self.partition, index);
        let name = self.staging.final_name(&self.directory, self.partition, index);
        let path = self.staging.root().join(&staged);
        let file = self.create(Path::new(&staged), &path)?;
        self.created.push(staged.clone());
        let output = Box::new(DiskOutput::new(file, path.clone()));
        let encoder = Encoder::begin(&self.spec.format, self.schema.clone(), output, &path)?;
        Ok(OpenFile { encoder, path, file: WrittenFile { name, staged, rows: 0, bytes: 0 } })
    }

    fn create(&self, staged: &Path, path: &Path) -> windrow_common::Result<fs::File> {
        let mut tries = 0;
        loop {
            // Not synced here: the publication does it once for all.
            let made = self.staging.create_directory(staged);
            match made.and_then(|()| OpenOptions::new().write(true).create_new(true).open(path)) {
                Ok(file) => return Ok(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries < MAX_CREATE_TRIES => tries += 1,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let (path, attempt) = (path.display(), self.attempt);
                    return Err(Error::internal(format!("'{path}' is there already: {attempt} runs twice")));
                }
                Err(e) => return Err(disk::error("create", path, &e)),
            }
        }
    }

    fn end_file(&mut self) -> windrow_common::Result<()> {
        if let Some(OpenFile { encoder, path, mut file }) = self.open.take() {
            file.bytes = encoder.finish(&path)?;
            self.done.push(file);
        }
        self.reservation.free();
        Ok(())
    }
}

impl Drop for PartitionWriter {
    fn drop(&mut self) {
        self.open = None;
        if self.kept {
            return;
        }
        for staged in &self.created {
            let _ = fs::remove_file(self.staging.root().join(staged));
        }
        if let (Layout::Directory, Some(staged)) = (self.spec.layout, self.created.first()) {
            // They go with the attempt's last file, and with the write's.
            self.staging.remove_empty(Path::new(staged));
        }
    }
}

//! One file with the spilled blocks of one output, and how a block is found in it again.
//!
//! The index is the [`Segment`]s that the output keeps in memory: the file dies with the process that wrote it, so an
//! index on disk would have no reader. Every block carries its checksum in its segment and is verified when read. All of
//! this blocks: only for blocking threads.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::buffer::MutableBuffer;
use arrow::datatypes::SchemaRef;
use windrow_common::{AttemptId, Error, ErrorKind};
use windrow_engine::exchange::block::{self, Block};

/// Where one block lies in its file, and what it must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    offset: u64,
    rows: u64,
    header: usize,
    body: usize,
    crc: u32,
}

impl Segment {
    /// Bytes on disk.
    pub(crate) fn len(&self) -> u64 {
        (self.header + self.body) as u64
    }
}

/// The spilled blocks of one output. The file is gone as soon as it is unlinked or dropped; whoever still reads it may.
#[derive(Debug)]
pub(crate) struct SpillFile {
    attempt: AttemptId,
    path: PathBuf,
    file: File,
    end: Mutex<u64>,
}

impl SpillFile {
    pub(crate) fn create(path: PathBuf, attempt: AttemptId) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|e| Error::io(format!("cannot make the spill file {}: {e}", path.display())))?;
        Ok(Self { attempt, path, file, end: Mutex::new(0) })
    }

    /// Adds a block. After a failure the file is as it was before.
    pub(crate) fn append(&self, block: &Block) -> Result<Segment, Error> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = *end;
        self.file
            .write_all_at(&block.header, offset)
            .and_then(|()| self.file.write_all_at(&block.body, offset + block.header.len() as u64))
            .map_err(|e| {
                let bytes = block.len();
                Error::io(format!("cannot write {bytes} bytes to the spill file {}: {e}", self.path.display()))
            })?;
        *end = offset + block.len() as u64;
        Ok(Segment { offset, rows: block.rows, header: block.header.len(), body: block.body.len(), crc: block.crc })
    }

    /// Reads a block back. Whatever is wrong with it, the output is lost.
    pub(crate) fn read(&self, segment: &Segment, schema: &SchemaRef) -> Result<RecordBatch, Error> {
        let mut header = vec![0; segment.header];
        let mut body = MutableBuffer::from_len_zeroed(segment.body);
        self.file
            .read_exact_at(&mut header, segment.offset)
            .and_then(|()| self.file.read_exact_at(&mut body, segment.offset + segment.header as u64))
            .map_err(|e| self.lost(segment, &e))?;
        block::decode_in_place(schema, segment.rows, &header, body.into(), segment.crc)
            .map_err(|e| self.lost(segment, &e))
    }

    fn lost(&self, segment: &Segment, cause: &dyn std::error::Error) -> Error {
        let message = format!(
            "the spilled output of {} cannot be read: block of {} bytes at offset {} of {}: {cause}",
            self.attempt,
            segment.len(),
            segment.offset,
            self.path.display()
        );
        Error::new(ErrorKind::LostInput(vec![self.attempt]), message)
    }

    /// Takes the file out of its directory. Readers that have begun go on.
    pub(crate) fn unlink(&self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => tracing::warn!(path = %self.path.display(), error = %e, "a spill file could not be removed"),
        }
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.unlink();
    }
}

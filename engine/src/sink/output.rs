//! Where an encoder's bytes go: one staged file, whichever store it lies in.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use windrow_common::Result;

use super::disk;

/// A staged file that is being written. Errors of `write` are those of the store; they fail the attempt and nothing else.
pub(super) trait StagedOutput: Write + Send {
    /// Ends the file and lets it last. Returns its size in bytes.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// A staged file on a disk.
pub(super) struct DiskOutput {
    file: File,
    path: PathBuf,
}

impl DiskOutput {
    /// An output into `file`, which lies at `path`.
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file, path }
    }
}

impl Write for DiskOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StagedOutput for DiskOutput {
    fn finish(self: Box<Self>) -> Result<u64> {
        let synced = self.file.sync_all().and_then(|()| self.file.metadata());
        synced.map(|m| m.len()).map_err(|e| disk::error("write", &self.path, &e))
    }
}

//! Where an encoder's bytes go: one staged file, whichever place it lies in.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use windrow_common::{Error, Result};

use super::disk;
use super::written::Upload;

/// A staged file that is being written. Errors of `write` are those of the store; they fail the attempt and nothing else.
pub(super) trait StagedOutput: Write + Send {
    /// Ends the file and lets it last. Returns its size in bytes.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// A staged file that has been begun. Dropping the output takes back what a place cannot find again by the file's name.
pub(super) struct Staged {
    /// Takes its bytes.
    pub(super) output: Box<dyn StagedOutput>,
    /// What errors call it.
    pub(super) path: PathBuf,
    /// What the output tells beside.
    pub(super) receipt: Arc<Receipt>,
}

/// What an output tells while an encoder owns it.
#[derive(Debug)]
pub(super) struct Receipt {
    /// Bytes that have been taken and are still in memory.
    held: AtomicUsize,
    /// Parts that may be on their way at once.
    lanes: u32,
    free: Arc<Semaphore>,
    upload: OnceLock<Upload>,
    inode: Option<u64>,
}

impl Receipt {
    /// Of an output that keeps nothing in memory; with the file's number in its file system if that is to be told.
    pub(super) fn local(inode: Option<u64>) -> Arc<Self> {
        Arc::new(Self { inode, ..Self::new(0) })
    }

    /// Of an output that sends as many parts at once.
    pub(super) fn with_lanes(lanes: u32) -> Arc<Self> {
        Arc::new(Self::new(lanes))
    }

    fn new(lanes: u32) -> Self {
        let free = Arc::new(Semaphore::new(lanes as usize));
        Self { held: AtomicUsize::new(0), lanes, free, upload: OnceLock::new(), inode: None }
    }

    /// Bytes that the output holds in memory.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Waits, blocking, until no part is on its way: what remains in memory is less than one part.
    pub(super) fn settle(&self) -> Result<()> {
        if self.lanes == 0 {
            return Ok(());
        }
        let free = block_on(self.free.acquire_many(self.lanes))?;
        free.map(drop).map_err(|_| closed())
    }

    /// The upload that the file is staged as, once it is complete; none in a file system.
    pub(super) fn upload(&self) -> Option<Upload> {
        self.upload.get().cloned()
    }

    /// The file's number in its file system, if it is to be told.
    pub(super) fn inode(&self) -> Option<u64> {
        self.inode
    }

    /// The upload is complete.
    pub(super) fn completed(&self, upload: Upload) {
        // An output ends once.
        let _ = self.upload.set(upload);
    }

    /// Bytes have come into memory.
    pub(super) fn took(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes are no longer in memory.
    pub(super) fn gave(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Waits, blocking, until another part may be on its way.
    pub(super) fn lane(&self) -> Result<OwnedSemaphorePermit> {
        block_on(Arc::clone(&self.free).acquire_owned())?.map_err(|_| closed())
    }
}

/// Waits for a future on a thread that may block and belongs to a runtime.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(_) => Err(Error::internal("object stores are written to by threads of a runtime")),
    }
}

fn closed() -> Error {
    Error::internal("nobody waits for parts any more")
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

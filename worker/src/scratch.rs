//! The worker's own directory for what does not fit into memory: made fresh, removed on drop. Nothing in it outlives the
//! process that made it, so nothing in it is ever adopted.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use windrow_common::{AttemptId, Error};

/// Directories inside one another in which files are counted: DataFusion keeps its own inside ours.
const SCRATCH_DEPTH: u32 = 4;

/// A fresh directory, removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// Makes one inside `parent`, which is made if it does not exist.
    pub(crate) fn create(parent: &Path) -> Result<Self, Error> {
        let failed =
            |e: std::io::Error| Error::io(format!("cannot make a scratch directory in {}: {e}", parent.display()));
        std::fs::create_dir_all(parent).map_err(failed)?;
        let dir = tempfile::Builder::new().prefix("windrow-worker-").tempdir_in(parent).map_err(failed)?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How many files there are, those of operators in their own directories too, and their bytes. Blocks the thread.
    pub(crate) fn files(&self) -> (u64, u64) {
        let (mut count, mut bytes) = (0, 0);
        // What goes while it is counted is gone.
        let _ = count_files(self.dir.path(), SCRATCH_DEPTH, &mut count, &mut bytes);
        (count, bytes)
    }

    /// Where the spilled blocks of this attempt's output lie.
    pub(crate) fn spill_file(&self, attempt: AttemptId) -> PathBuf {
        self.dir.path().join(format!("{}.blocks", attempt.long()))
    }
}

fn count_files(directory: &Path, depth: u32, count: &mut u64, bytes: &mut u64) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            *count += 1;
            *bytes += metadata.len();
        } else if metadata.is_dir() && depth > 0 {
            let _ = count_files(&entry.path(), depth - 1, count, bytes);
        }
    }
    Ok(())
}

//! The worker's own directory for what does not fit into memory: made fresh, removed on drop. Nothing in it outlives the
//! process that made it, so nothing in it is ever adopted.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use windrow_common::{AttemptId, Error};

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

    /// Where the spilled blocks of this attempt's output lie.
    pub(crate) fn spill_file(&self, attempt: AttemptId) -> PathBuf {
        self.dir.path().join(format!("{}.blocks", attempt.long()))
    }
}

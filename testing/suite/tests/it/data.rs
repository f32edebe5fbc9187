//! TPC-H data that the tests of this binary share: made once, removed at the end by the system's cleaner of temporary
//! files if not by us.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use windrow_tpch::{Dataset, Generator};

static DATA: OnceLock<tempfile::TempDir> = OnceLock::new();

/// The directory of a tiny data set.
fn directory() -> PathBuf {
    DATA.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let generator = Generator { scale: 0.01, output: dir.path().join("tpch"), force: false };
        generator.run(&AtomicBool::new(false), |_| {}).unwrap();
        dir
    })
    .path()
    .join("tpch")
}

/// The statements that create its tables.
pub fn tables() -> Vec<String> {
    Dataset::open(&directory()).unwrap().create_tables()
}

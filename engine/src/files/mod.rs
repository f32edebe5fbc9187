//! Tables over files: which files there are, what their columns are, and which task reads what of them.
//!
//! ```text
//!  CREATE EXTERNAL TABLE, FROM 'path' ─► factory: location allowed? format, columns, partition columns
//!  scan ─► listing (pruned by partition columns) ─► statistics (footers, cached) ─► splits ─► FileScanConfig
//! ```

mod factory;
mod format;
mod hive;
mod listing;
mod splits;
mod statistics;
mod table;

/// Whether a name ends like a data file's.
pub fn tells_a_format(name: &str) -> bool {
    format::of_path(name).is_some()
}

pub use factory::{FilesRequest, files_table};
pub use table::{FilesTable, Snapshot};

//! Formats by their names and by the names of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::datasource::file_format::FileFormat;
use windrow_common::Result;

use super::splits::Cuts;
use crate::formats::compression::Compression;
use crate::formats::{self, Format, Parquet};

/// The format that a file's name tells, with its compression.
pub fn of_path(path: &str) -> Option<(&'static str, Compression)> {
    formats::by_path(path)
}

/// Whether a format that STORED AS names is the one that the names of files tell.
pub fn means(stored_as: &str, told: &str) -> bool {
    let canonical = |name: &str| match name {
        "NDJSON" | "JSONL" => "JSON".to_owned(),
        "ARROWS" | "IPC" | "FEATHER" => "ARROW".to_owned(),
        other => other.to_owned(),
    };
    canonical(&stored_as.to_ascii_uppercase()) == canonical(told)
}

/// A format with its options.
pub fn made(name: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn FileFormat>> {
    formats::file_format(name, options)
}

/// How files of the format may be cut, where that does not depend on the file.
pub fn cuts(format: &Arc<dyn FileFormat>) -> Cuts {
    let splits = format.downcast_ref::<Format>().is_some_and(|format| format.0.is_splittable());
    if splits { Cuts::Anywhere } else { Cuts::Whole }
}

/// Whether it is Parquet, whose files are cut between row groups.
pub fn is_parquet(format: &Arc<dyn FileFormat>) -> bool {
    format.is::<Parquet>()
}

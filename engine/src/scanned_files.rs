//! The files of a scan, for its errors: DataFusion says what is wrong with a file, and not with which.

use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::error::DataFusionError;

use crate::error::{classify, external};

/// Files that are named before the rest is only counted.
const NAMED: usize = 3;

/// The files of each partition of a scan.
#[derive(Debug)]
pub struct ScannedFiles {
    partitions: Vec<Vec<String>>,
}

impl ScannedFiles {
    /// Those of a scan.
    pub fn of(scan: &FileScanConfig) -> Self {
        let store = scan.object_store_url.as_str().trim_end_matches('/');
        // What people call a local file begins with its slash.
        let store = store.strip_prefix("file://").unwrap_or(store);
        let name = |location: &object_store::path::Path| format!("{store}/{location}");
        let files = |group: &FileGroup| {
            let mut names: Vec<String> = group.files().iter().map(|file| name(&file.object_meta.location)).collect();
            names.dedup();
            names
        };
        Self { partitions: scan.file_groups.iter().map(files).collect() }
    }

    /// An error of a partition, or of any if none is given, with the files it may be about.
    pub fn named(&self, partition: Option<usize>, error: &DataFusionError) -> DataFusionError {
        let mut files: Vec<&String> = match partition {
            Some(partition) => self.partitions.get(partition).into_iter().flatten().collect(),
            None => self.partitions.iter().flatten().collect(),
        };
        files.dedup();
        let error = classify(error);
        if files.is_empty() || files.iter().any(|file| error.message.contains(file.as_str())) {
            return external(error);
        }
        let named = files.iter().take(NAMED).map(|file| file.as_str()).collect::<Vec<_>>().join(", ");
        let more = files.len().saturating_sub(NAMED);
        external(error.context(match (files.len(), more) {
            (1, _) => format!("reading {named}"),
            (_, 0) => format!("reading one of {named}"),
            _ => format!("reading one of {named} and {more} more"),
        }))
    }
}

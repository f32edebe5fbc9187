//! The files of a scan in its errors: DataFusion says what is wrong with a file, and not with which.

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::path::Path;

use crate::error::{classify, external};
use crate::stores::file_name;

/// Files that are named before the rest is only counted.
const NAMED: usize = 3;

/// An error of a scan's partition, or of any of its partitions if none is given, with the files it may be about.
pub fn name_files(scan: &FileScanConfig, partition: Option<usize>, error: &DataFusionError) -> DataFusionError {
    let error = classify(error);
    let files = files(scan, partition);
    if files.is_empty() || files.iter().any(|file| error.message.contains(file.as_str())) {
        return external(error);
    }
    let named = files[..files.len().min(NAMED)].join(", ");
    let more = files.len().saturating_sub(NAMED);
    external(error.context(match (files.len(), more) {
        (1, _) => format!("reading {named}"),
        (_, 0) => format!("reading one of {named}"),
        _ => format!("reading one of {named} and {more} more"),
    }))
}

/// A file of a store as people write it.
pub(crate) fn shown(store: &ObjectStoreUrl, location: &Path) -> String {
    file_name(store.as_str(), location)
}

/// Each file once, as people write it.
fn files(scan: &FileScanConfig, partition: Option<usize>) -> Vec<String> {
    let groups = match partition {
        Some(partition) => scan.file_groups.get(partition..=partition).unwrap_or_default(),
        None => &scan.file_groups,
    };
    let locations = groups.iter().flat_map(|group| group.files()).map(|file| &file.object_meta.location);
    let mut files: Vec<String> = locations.map(|location| shown(&scan.object_store_url, location)).collect();
    files.dedup();
    files
}

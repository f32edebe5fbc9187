//! What footers say of files: rows, smallest and largest values, and where row groups begin.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::execution::cache::cache_manager::{CachedFileMetadata, SchemaFingerprint, TableScopedPath};
use datafusion_datasource_parquet::metadata::DFParquetMetadata;
use object_store::{ObjectMeta, ObjectStore};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use windrow_common::Error;

use crate::error::external;

/// The statistics of one file, kept for as long as the file is the same.
pub async fn of_file(
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
    format: &Arc<dyn FileFormat>,
    schema: &SchemaRef,
    fingerprint: &Arc<SchemaFingerprint>,
    file: &ObjectMeta,
) -> Result<Arc<Statistics>> {
    let key = TableScopedPath { table: None, path: file.location.clone() };
    let cache = state.runtime_env().cache_manager.get_file_statistic_cache();
    if let Some(known) = cache.as_ref().and_then(|cache| cache.get(&key))
        && known.is_valid_for(file, fingerprint)
    {
        return Ok(Arc::clone(&known.statistics));
    }
    let mut found = format.infer_stats(state, store, Arc::clone(schema), file).await?;
    if super::format::is_parquet(format) {
        let footer = footer(state, store, file).await?;
        forget_reordered(&footer, schema, &mut found);
    }
    let statistics = Arc::new(found);
    if let Some(cache) = cache {
        let entry = CachedFileMetadata::new(file.clone(), Arc::clone(fingerprint), Arc::clone(&statistics), None);
        cache.put(&key, entry);
    }
    Ok(statistics)
}

/// A Parquet file's footer, kept for as long as the file is the same.
async fn footer(state: &dyn Session, store: &Arc<dyn ObjectStore>, file: &ObjectMeta) -> Result<Arc<ParquetMetaData>> {
    DFParquetMetadata::new(store.as_ref(), file)
        .with_file_metadata_cache(Some(state.runtime_env().cache_manager.get_file_metadata_cache()))
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .fetch_metadata()
        .await
}

/// Forgets the smallest and largest values of columns that the table reads as texts and the file has as something else, or
/// the other way round: 9 is less than 10, and '10' is less than '9'.
fn forget_reordered(footer: &ParquetMetaData, schema: &SchemaRef, statistics: &mut Statistics) {
    let columns = footer.file_metadata().schema_descr().columns().iter();
    let texts: BTreeMap<&str, bool> = columns
        .filter_map(|column| {
            let decimal = column.converted_type() == ConvertedType::DECIMAL
                || matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }));
            let text = column.physical_type() == PhysicalType::BYTE_ARRAY && !decimal;
            Some((column.path().parts().first()?.as_str(), text))
        })
        .collect();
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        if texts.get(field.name().as_str()).is_some_and(|text| *text != is_text(field.data_type())) {
            column.min_value = Precision::Absent;
            column.max_value = Precision::Absent;
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        _ => false,
    }
}

/// Where the row groups of a Parquet file begin, in order. A reader of a part of the file reads those that begin in it.
pub async fn row_groups(state: &dyn Session, store: &Arc<dyn ObjectStore>, file: &ObjectMeta) -> Result<Vec<u64>> {
    let footer = footer(state, store, file).await?;
    let begins = footer.row_groups().iter().filter(|group| group.num_columns() > 0).map(|group| {
        let column = group.column(0);
        let begin = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        begin_in(file.size, begin)
    });
    let mut begins: Vec<u64> = begins.collect::<Result<_>>()?;
    begins.sort_unstable();
    Ok(begins)
}

/// Where a footer says that a row group begins. No part of the file would have one that begins outside of it: its rows
/// would be left out.
fn begin_in(size: u64, begin: i64) -> Result<u64> {
    u64::try_from(begin).ok().filter(|begin| *begin < size).ok_or_else(|| {
        external(Error::user(format!("its footer puts a row group at byte {begin}, and it has {size} bytes")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_that_no_part_would_read_are_refused() {
        assert_eq!(begin_in(10, 4).unwrap(), 4);
        assert_eq!(begin_in(10, 0).unwrap(), 0);
        for lie in [-1, 10, i64::MAX] {
            let error = begin_in(10, lie).unwrap_err().to_string();
            assert!(error.contains(&format!("at byte {lie}, and it has 10 bytes")), "{error}");
        }
    }
}

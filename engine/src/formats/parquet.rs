//! Parquet is read by DataFusion's own source. Here stands what it does not do: an error that names the file and says what
//! it is instead, and a table over files whose columns differ.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::evolution::merge_schemas;
use super::fetch::Source;
use super::thrift;
use crate::error::{classify, external};

/// Files that are looked at at once.
const AT_ONCE: usize = 32;
/// A file's mark, at its beginning and its end.
const MAGIC: &[u8; 4] = b"PAR1";
/// The same of a file whose footer is encrypted.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// The length of the footer and the mark.
const TAIL: u64 = 8;
/// Bytes of a file's end that are read first; most footers are shorter.
const LAST: u64 = 64 << 10;
/// What DataFusion and the parquet crate say of files with encrypted columns.
const ENCRYPTION: [&str; 3] = ["encrypt", "Encrypt", "decrypt"];

/// Parquet.
#[derive(Debug, Default)]
pub struct Parquet {
    inner: ParquetFormat,
}

impl Parquet {
    /// The columns of one file.
    async fn columns(&self, state: &dyn Session, source: &Source) -> Result<Schema> {
        check_once(state, source).await?;
        let objects = std::slice::from_ref(&source.meta);
        let read = AssertUnwindSafe(self.inner.infer_schema(state, &source.store, objects)).catch_unwind();
        match read.await {
            Ok(Ok(schema)) => Ok(Arc::unwrap_or_clone(schema)),
            Ok(Err(error)) => {
                let cause = classify(&error);
                if ENCRYPTION.iter().any(|word| cause.message.contains(word)) {
                    return Err(source.error("some of its columns are encrypted, and encrypted files are not read"));
                }
                Err(source.named(&external(cause)))
            }
            Err(_) => Err(source.error("it is damaged in a way that its parser does not survive")),
        }
    }
}

/// Checks a file's footer, unless DataFusion has read it before.
async fn check_once(state: &dyn Session, source: &Source) -> Result<()> {
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let known = cache.get(&source.meta.location);
    if known.is_some_and(|known| known.is_valid_for(&source.meta)) { Ok(()) } else { check(source).await }
}

/// Checks a file's frame and footer.
async fn check(source: &Source) -> Result<()> {
    let size = source.size();
    if size < TAIL + MAGIC.len() as u64 {
        return Err(source.error(format!("it has {size} bytes, and no Parquet file is that short")));
    }
    let end = source.read(size - size.min(LAST)..size).await?;
    let (before, tail) = end.split_at(end.len() - TAIL as usize);
    let (length, mark) = tail.split_at(MAGIC.len());
    if mark == ENCRYPTED {
        return Err(source.error("it is encrypted, and encrypted files are not read; write it without encryption"));
    }
    if mark != MAGIC {
        let begins = source.read(0..MAGIC.len() as u64).await? == MAGIC.as_slice();
        return Err(source.error(if begins {
            "it begins as a Parquet file and does not end as one; it is cut short or damaged"
        } else {
            "it is not a Parquet file: it does not end as one"
        }));
    }
    let length = length.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let room = size - TAIL - MAGIC.len() as u64;
    if u64::from(length) > room {
        return Err(source.error(format!("it claims a footer of {length} bytes and has {size} in all")));
    }
    let checked = match before.len().checked_sub(length as usize) {
        Some(start) => thrift::check(&before[start..]),
        None => thrift::check(&source.read(size - TAIL - u64::from(length)..size - TAIL).await?),
    };
    checked.map_err(|wrong| source.error(wrong))
}

#[async_trait]
impl FileFormat for Parquet {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.inner.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.inner.compression_type()
    }

    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        let columns = objects.iter().map(|object| {
            let source = Source::new(store, object);
            async move {
                let schema = self.columns(state, &source).await?;
                Ok::<_, datafusion::error::DataFusionError>((source.shown.to_string(), schema))
            }
        });
        let columns: Vec<_> = columns.collect();
        let files: Vec<(String, Schema)> = stream::iter(columns).buffered(AT_ONCE).try_collect().await?;
        let merged = merge_schemas(files.iter().map(|(name, schema)| (name.as_str(), schema))).map_err(external)?;
        Ok(Arc::new(merged))
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table_schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        let source = Source::new(store, object);
        check_once(state, &source).await?;
        let statistics = self.inner.infer_stats(state, store, Arc::clone(&table_schema), object).await;
        let mut statistics = statistics.map_err(|error| source.named(&error))?;
        // A file's narrower type gives narrower values than the table's column has.
        for (column, field) in statistics.column_statistics.iter_mut().zip(table_schema.fields()) {
            for value in [&mut column.min_value, &mut column.max_value, &mut column.sum_value] {
                widen(value, field.data_type());
            }
        }
        Ok(statistics)
    }

    async fn infer_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table_schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Option<LexOrdering>> {
        let source = Source::new(store, object);
        check_once(state, &source).await?;
        let ordering = self.inner.infer_ordering(state, store, table_schema, object).await;
        ordering.map_err(|error| source.named(&error))
    }

    async fn create_physical_plan(&self, state: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.create_physical_plan(state, scan).await
    }

    fn file_source(&self, table_schema: TableSchema) -> Arc<dyn FileSource> {
        self.inner.file_source(table_schema)
    }
}

fn widen(value: &mut Precision<ScalarValue>, data_type: &arrow::datatypes::DataType) {
    if let Precision::Exact(scalar) | Precision::Inexact(scalar) = value
        && scalar.data_type() != *data_type
    {
        match scalar.cast_to(data_type) {
            Ok(cast) => *scalar = cast,
            Err(_) => *value = Precision::Absent,
        }
    }
}

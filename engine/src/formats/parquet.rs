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
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::evolution::merge_schemas;
use super::fetch::Source;
use crate::error::{classify, external};

/// Files that are looked at at once.
const AT_ONCE: usize = 32;
/// A file's mark, at its beginning and its end.
const MAGIC: &[u8; 4] = b"PAR1";
/// The same of a file whose footer is encrypted.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// The length of the footer and the mark.
const TAIL: u64 = 8;
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
        let objects = std::slice::from_ref(&source.meta);
        let read = AssertUnwindSafe(self.inner.infer_schema(state, &source.store, objects)).catch_unwind();
        let error = match read.await {
            Ok(Ok(schema)) => return Ok(Arc::unwrap_or_clone(schema)),
            Ok(Err(error)) => error,
            Err(_) => return Err(source.error("it is damaged in a way that its parser does not survive")),
        };
        match wrong(source).await {
            Some(wrong) => Err(source.error(wrong)),
            None => {
                let cause = classify(&error);
                if ENCRYPTION.iter().any(|word| cause.message.contains(word)) {
                    return Err(source.error("some of its columns are encrypted, and encrypted files are not read"));
                }
                Err(source.named(&external(cause)))
            }
        }
    }
}

/// What is wrong with a file's frame, if that is what is wrong.
async fn wrong(source: &Source) -> Option<String> {
    let size = source.size();
    if size < TAIL + MAGIC.len() as u64 {
        return Some(format!("it has {size} bytes, and no Parquet file is that short"));
    }
    let (head, tail) = (source.read(0..4).await.ok()?, source.read(size - TAIL..size).await.ok()?);
    let (length, mark) = tail.split_first_chunk::<4>()?;
    if head == ENCRYPTED.as_slice() || mark == ENCRYPTED {
        return Some("it is encrypted, and encrypted files are not read; write it without encryption".into());
    }
    if head != MAGIC.as_slice() {
        return Some("it is not a Parquet file: it does not begin as one".into());
    }
    if mark != MAGIC {
        return Some("it begins as a Parquet file and does not end as one; it is cut short or damaged".into());
    }
    let length = u64::from(u32::from_le_bytes(*length));
    let room = size - TAIL - MAGIC.len() as u64;
    (length > room).then(|| format!("it claims a footer of {length} bytes and has {size} in all"))
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
        let mut statistics = self.inner.infer_stats(state, store, Arc::clone(&table_schema), object).await?;
        // A file's narrower type gives narrower values than the table's column has.
        for (column, field) in statistics.column_statistics.iter_mut().zip(table_schema.fields()) {
            for value in [&mut column.min_value, &mut column.max_value, &mut column.sum_value] {
                widen(value, field.data_type());
            }
        }
        Ok(statistics)
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

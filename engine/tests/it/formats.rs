//! Reading files of every format: whole and in ranges, good ones and bad ones, here and after a journey.

mod avro;
mod bad_rows;
mod corpus;
mod evolution;
mod ipc;
mod json;
mod malformed;
mod ranges;
mod text_input;
mod travel;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions as Shown};
use bytes::Bytes;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use windrow_common::Error;
use windrow_engine::error::classify;
use windrow_engine::formats::file_format;

/// Files in a store of their own.
struct Files {
    store: Arc<dyn ObjectStore>,
    context: SessionContext,
}

impl Files {
    /// None yet; batches have few rows, so that there are many.
    fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let context = SessionContext::new_with_config(SessionConfig::new().with_batch_size(3));
        context.register_object_store(url().as_ref(), Arc::clone(&store));
        Self { store, context }
    }

    /// A store with one file.
    async fn with(name: &str, bytes: impl Into<Bytes>) -> Self {
        let files = Self::new();
        files.put(name, bytes).await;
        files
    }

    async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        self.store.put(&Path::from(name), bytes.into().into()).await.unwrap();
    }

    /// All files, by name.
    async fn listed(&self) -> Vec<ObjectMeta> {
        let mut files: Vec<ObjectMeta> = self.store.list(None).try_collect().await.unwrap();
        files.sort_by(|one, other| one.location.cmp(&other.location));
        files
    }

    async fn schema(&self, format: &Arc<dyn FileFormat>) -> Result<SchemaRef, Error> {
        let files = self.listed().await;
        format.infer_schema(&self.context.state(), &self.store, &files).await.map_err(|error| classify(&error))
    }

    /// A scan whose partitions read these ranges.
    async fn scan(
        &self,
        format: &Arc<dyn FileFormat>,
        schema: &SchemaRef,
        partitions: Vec<Vec<PartitionedFile>>,
        columns: Option<Vec<usize>>,
    ) -> Arc<dyn ExecutionPlan> {
        let source = format.file_source(TableSchema::from(Arc::clone(schema)));
        let scan = FileScanConfigBuilder::new(url(), source)
            .with_file_groups(partitions.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(columns)
            .unwrap()
            .build();
        format.create_physical_plan(&self.context.state(), scan).await.unwrap()
    }

    /// All files whole, in one partition.
    async fn whole(&self) -> Vec<Vec<PartitionedFile>> {
        vec![self.listed().await.into_iter().map(PartitionedFile::from).collect()]
    }

    /// The only file, cut at these places; each range is a partition.
    async fn cut(&self, places: &[u64]) -> Vec<Vec<PartitionedFile>> {
        let file = self.listed().await.remove(0);
        let mut ends = vec![0];
        ends.extend_from_slice(places);
        ends.push(file.size);
        let range = |ends: &[u64]| vec![PartitionedFile::from(file.clone()).with_range(ends[0] as i64, ends[1] as i64)];
        ends.windows(2).map(range).collect()
    }

    /// The rows of a scan, partition after partition, as texts.
    async fn rows(&self, scan: &Arc<dyn ExecutionPlan>) -> Result<Vec<String>, Error> {
        let mut rows = vec![];
        for partition in 0..scan.output_partitioning().partition_count() {
            let stream = scan.execute(partition, self.context.task_ctx()).map_err(|error| classify(&error))?;
            let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| classify(&error))?;
            rows.extend(texts(&batches));
        }
        Ok(rows)
    }

    /// The rows of all files, in the columns that are found out.
    async fn read(&self, format: &Arc<dyn FileFormat>) -> Result<Vec<String>, Error> {
        let schema = self.schema(format).await?;
        self.read_as(format, &schema).await
    }

    /// The rows of all files, in these columns.
    async fn read_as(&self, format: &Arc<dyn FileFormat>, schema: &SchemaRef) -> Result<Vec<String>, Error> {
        let scan = self.scan(format, schema, self.whole().await, None).await;
        self.rows(&scan).await
    }
}

fn url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("mem://files").unwrap()
}

fn format(name: &str, options: &[(&str, &str)]) -> Arc<dyn FileFormat> {
    let options: BTreeMap<String, String> =
        options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    file_format(name, &options).unwrap()
}

/// Columns that may be null.
fn columns(columns: &[(&str, DataType)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Each row as `a|b`, nulls as `∅`.
fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let shown = Shown::default().with_null("∅");
    let mut rows = vec![];
    for batch in batches {
        let formatters: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &shown).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = formatters.iter().map(|formatter| formatter.value(row).to_string()).collect();
            rows.push(values.join("|"));
        }
    }
    rows
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

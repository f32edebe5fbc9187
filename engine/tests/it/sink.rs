//! Writing once: two attempts, crashes in every step, modes, and what our readers see meanwhile.

mod formats;
mod partitioned;
mod publish;
mod single_file;
mod visible;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use windrow_common::{AttemptId, Error, SinkMode};
use windrow_engine::sink::{
    self, AttemptContext, Format, Layout, SinkSpec, Step, VisibleStore, WriteExec, WrittenFile, commit,
};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A number that no other caller gets.
fn unique() -> u128 {
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// A write of a new job.
fn spec(target: &Path, mode: SinkMode) -> SinkSpec {
    let file = target.extension().is_some_and(|e| e == "parquet");
    SinkSpec {
        cluster: "test".into(),
        job: unique(),
        statement: 0,
        sink: 0,
        target: target.to_str().unwrap().into(),
        layout: if file { Layout::SingleFile } else { Layout::Directory },
        format: Format::default(),
        partition_by: vec![],
        gathers_partitions: true,
        mode,
        target_file_bytes: 0,
        nonce: unique(),
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)]))
}

fn batch(ids: std::ops::Range<i64>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|i| (i % 7 != 0).then(|| format!("row {i}"))).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_new(schema(), vec![ids, Arc::new(texts)]).unwrap()
}

/// A plan whose partitions have these batches.
fn plan(partitions: &[Vec<RecordBatch>], spec: &SinkSpec) -> Arc<WriteExec> {
    let input = MemorySourceConfig::try_new_exec(partitions, schema(), None).unwrap();
    Arc::new(WriteExec::try_new(input, spec.clone()).unwrap())
}

fn context(attempt: AttemptId) -> Arc<TaskContext> {
    let config = SessionConfig::new().with_extension(Arc::new(AttemptContext { attempt }));
    SessionContext::new_with_config(config).task_ctx()
}

fn attempt() -> AttemptId {
    AttemptId(unique())
}

fn start(plan: &Arc<WriteExec>, partition: usize, attempt: AttemptId) -> SendableRecordBatchStream {
    plan.execute(partition, context(attempt)).unwrap()
}

/// Runs one partition as one attempt to its end.
async fn run(plan: &Arc<WriteExec>, partition: usize, attempt: AttemptId) -> Result<Vec<WrittenFile>, DataFusionError> {
    let rows: Vec<RecordBatch> = start(plan, partition, attempt).try_collect().await?;
    Ok(sink::rows_of(&rows).unwrap())
}

/// Runs all partitions, each as a task of its own.
async fn run_all(plan: &Arc<WriteExec>) -> Vec<WrittenFile> {
    let mut files = Vec::new();
    for partition in 0..plan.properties().partitioning.partition_count() {
        files.extend(run(plan, partition, attempt()).await.unwrap());
    }
    files
}

/// Rows `ids` on two partitions, staged.
async fn stage(spec: &SinkSpec, ids: std::ops::Range<i64>) -> Vec<WrittenFile> {
    let middle = (ids.start + ids.end) / 2;
    let partitions = [vec![batch(ids.start..middle)], vec![batch(middle..ids.end)]];
    sink::prepare(spec).await.unwrap();
    run_all(&plan(&partitions, spec)).await
}

/// Rows `ids`, written and published.
async fn write(target: &Path, mode: SinkMode, ids: std::ops::Range<i64>) {
    let spec = spec(target, mode);
    let files = stage(&spec, ids.clone()).await;
    let summary = sink::publish(&spec, files).await.unwrap();
    assert_eq!(summary.rows, ids.count() as u64);
}

/// `count, sum, number of texts` of what a reader sees there. Reads by hand: planning a query is compiled again in each
/// crate that does it, which takes minutes.
async fn read(target: &Path) -> Result<(i64, i64, i64), object_store::Error> {
    let store = VisibleStore::local();
    let path = object_store::path::Path::from_absolute_path(target).unwrap();
    let files: Vec<ObjectMeta> =
        if target.is_dir() { store.list(Some(&path)).try_collect().await? } else { vec![store.head(&path).await?] };
    let (mut rows, mut sum, mut texts) = (0, 0, 0);
    for file in files.iter().filter(|file| belongs_to_a_table(&path, &file.location)) {
        let bytes = store.get(&file.location).await?.bytes().await?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            rows += ids.len() as i64;
            sum += ids.values().iter().sum::<i64>();
            texts += (batch.num_rows() - batch.column(1).null_count()) as i64;
        }
    }
    Ok((rows, sum, texts))
}

/// As readers of directories see it: Parquet files there and in partitions (`key=value`), not in other directories.
fn belongs_to_a_table(table: &object_store::path::Path, file: &object_store::path::Path) -> bool {
    let below: Vec<_> = file.prefix_match(table).into_iter().flatten().collect();
    let directories = &below[..below.len().saturating_sub(1)];
    file.as_ref().ends_with(".parquet") && directories.iter().all(|part| part.as_ref().contains('='))
}

/// What [`read`] gives for these rows.
fn expected(ids: impl Iterator<Item = i64> + Clone) -> (i64, i64, i64) {
    (ids.clone().count() as i64, ids.clone().sum(), ids.filter(|i| i % 7 != 0).count() as i64)
}

/// Names that a reader's listing gives, relative to the target.
async fn listed(target: &Path) -> Vec<String> {
    let prefix = object_store::path::Path::from_absolute_path(target).unwrap();
    let files: Vec<ObjectMeta> = VisibleStore::local().list(Some(&prefix)).try_collect().await.unwrap();
    let mut names: Vec<String> =
        files.iter().map(|m| m.location.as_ref().strip_prefix(prefix.as_ref()).unwrap()[1..].to_owned()).collect();
    names.sort();
    names
}

/// Everything below a directory, hidden or not, with its contents.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.insert(path.strip_prefix(root).unwrap().join(""), Vec::new());
                directories.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Whether anything is staged anywhere below.
fn is_staged(root: &Path) -> bool {
    tree(root).keys().any(|p| {
        let path = p.to_str().unwrap();
        path.contains("staging") || path.contains(".staged") || path.contains(".tmp") || path.contains("probe")
    })
}

/// The typed cause inside a DataFusion error.
fn typed(error: &DataFusionError) -> &Error {
    match error {
        DataFusionError::External(inner) => inner.downcast_ref().unwrap_or_else(|| panic!("{inner}")),
        DataFusionError::Context(_, inner) => typed(inner),
        other => panic!("not typed: {other}"),
    }
}

/// Publishes and dies after the `n`th step; true if it came that far.
fn publish_until(spec: &SinkSpec, files: &[WrittenFile], n: usize, seen: &mut dyn FnMut(&Step)) -> bool {
    let mut steps = 0;
    let result = commit::publish_watched(spec, files.to_vec(), &mut |step| {
        seen(&step);
        steps += 1;
        if steps > n { Err(Error::internal("crash")) } else { Ok(()) }
    });
    result.is_err_and(|e| e.message == "crash")
}

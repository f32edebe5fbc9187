//! Writes to a directory of this machine: what is tried with every format and with partitions.

use std::path::PathBuf;

use windrow_engine::sink::PublishSummary;

use super::*;

/// See [`sink::prepare`].
pub async fn prepare(spec: &SinkSpec) -> Result<(), Error> {
    sink::prepare(&Arc::default(), spec).await
}

/// See [`sink::publish`].
pub async fn publish(spec: &SinkSpec, files: Vec<WrittenFile>) -> Result<PublishSummary, Error> {
    sink::publish(&Arc::default(), spec, files).await
}

/// A write of a new job.
pub fn spec(target: &Path, mode: SinkMode) -> SinkSpec {
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

pub fn context(attempt: AttemptId) -> Arc<TaskContext> {
    let config = SessionConfig::new().with_extension(Arc::new(AttemptContext { attempt, stores: Arc::default() }));
    SessionContext::new_with_config(config).task_ctx()
}

pub fn start(plan: &Arc<WriteExec>, partition: usize, attempt: AttemptId) -> SendableRecordBatchStream {
    plan.execute(partition, context(attempt)).unwrap()
}

/// Runs one partition as one attempt to its end.
pub async fn run(
    plan: &Arc<WriteExec>,
    partition: usize,
    attempt: AttemptId,
) -> Result<Vec<WrittenFile>, DataFusionError> {
    let rows: Vec<RecordBatch> = start(plan, partition, attempt).try_collect().await?;
    Ok(sink::rows_of(&rows).unwrap())
}

/// Runs all partitions, each as a task of its own.
pub async fn run_all(plan: &Arc<WriteExec>) -> Vec<WrittenFile> {
    let mut files = Vec::new();
    for partition in 0..plan.properties().partitioning.partition_count() {
        files.extend(run(plan, partition, attempt()).await.unwrap());
    }
    files
}

/// Names that a reader's listing gives, relative to the target.
pub async fn listed(target: &Path) -> Vec<String> {
    let prefix = StorePath::from_absolute_path(target).unwrap();
    let files: Vec<ObjectMeta> = VisibleStore::local().list(Some(&prefix)).try_collect().await.unwrap();
    let mut names: Vec<String> =
        files.iter().map(|m| m.location.as_ref().strip_prefix(prefix.as_ref()).unwrap()[1..].to_owned()).collect();
    names.sort();
    names
}

/// Everything below a directory, hidden or not, with its contents.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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
pub fn is_staged(root: &Path) -> bool {
    tree(root).keys().any(|p| {
        let path = p.to_str().unwrap();
        path.contains("staging") || path.contains(".staged") || path.contains(".tmp") || path.contains("probe")
    })
}

/// Publishes and dies after the `n`th step; true if it came that far.
pub fn publish_until(spec: &SinkSpec, files: &[WrittenFile], n: usize, seen: &mut dyn FnMut(&Step)) -> bool {
    let mut steps = 0;
    let result = commit::publish_watched(&Arc::default(), spec, files, &mut |step| {
        seen(&step);
        steps += 1;
        if steps > n { Err(Error::internal("crash")) } else { Ok(()) }
    });
    result.is_err_and(|e| e.message == "crash")
}

/// `count, sum, number of texts` of what a reader sees there. Reads by hand: planning a query is compiled again in each
/// crate that does it, which takes minutes.
pub async fn read(target: &Path) -> Result<(i64, i64, i64), object_store::Error> {
    let store = VisibleStore::local();
    let path = StorePath::from_absolute_path(target).unwrap();
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
fn belongs_to_a_table(table: &StorePath, file: &StorePath) -> bool {
    let below: Vec<_> = file.prefix_match(table).into_iter().flatten().collect();
    let directories = &below[..below.len().saturating_sub(1)];
    file.as_ref().ends_with(".parquet") && directories.iter().all(|part| part.as_ref().contains('='))
}

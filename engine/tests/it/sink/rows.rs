//! Rows, and the operator that writes them.

use super::*;

/// The columns of all tables here.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)]))
}

/// The rows of these ids.
pub fn batch(ids: Range<i64>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|i| (i % 7 != 0).then(|| format!("row {i}"))).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_new(schema(), vec![ids, Arc::new(texts)]).unwrap()
}

/// A plan whose partitions have these batches.
pub fn plan(partitions: &[Vec<RecordBatch>], spec: &SinkSpec) -> Arc<WriteExec> {
    let input = MemorySourceConfig::try_new_exec(partitions, schema(), None).unwrap();
    Arc::new(WriteExec::try_new(input, spec.clone()).unwrap())
}

/// The context of an attempt.
pub fn context(lab: &Lab, attempt: AttemptId) -> Arc<TaskContext> {
    let attempt = AttemptContext { attempt, stores: Arc::clone(&lab.stores) };
    let config = SessionConfig::new().with_extension(Arc::new(attempt));
    SessionContext::new_with_config(config).task_ctx()
}

/// Starts one partition as one attempt.
pub fn start(lab: &Lab, plan: &Arc<WriteExec>, partition: usize, attempt: AttemptId) -> SendableRecordBatchStream {
    plan.execute(partition, context(lab, attempt)).unwrap()
}

/// Runs one partition as one attempt to its end.
pub async fn run(
    lab: &Lab,
    plan: &Arc<WriteExec>,
    partition: usize,
    attempt: AttemptId,
) -> Result<Vec<WrittenFile>, DataFusionError> {
    let rows: Vec<RecordBatch> = start(lab, plan, partition, attempt).try_collect().await?;
    Ok(sink::rows_of(&rows).unwrap())
}

/// Runs all partitions, each as a task of its own.
pub async fn run_all(lab: &Lab, plan: &Arc<WriteExec>) -> Vec<WrittenFile> {
    let mut files = Vec::new();
    for partition in 0..plan.properties().partitioning.partition_count() {
        files.extend(run(lab, plan, partition, attempt()).await.unwrap());
    }
    files
}

/// Stages a partition for each range, by these attempts.
pub async fn write(lab: &Lab, spec: &SinkSpec, ranges: &[Range<i64>], attempts: &[AttemptId]) -> Vec<WrittenFile> {
    let partitions: Vec<_> = ranges.iter().map(|ids| vec![batch(ids.clone())]).collect();
    let (plan, mut files) = (plan(&partitions, spec), Vec::new());
    for (partition, attempt) in attempts.iter().enumerate() {
        files.extend(run(lab, &plan, partition, *attempt).await.unwrap());
    }
    files
}

/// `count, sum, number of texts` of a file. Reads by hand: planning a query is compiled again in each crate that does
/// it, which takes minutes.
pub fn decode(bytes: Bytes) -> (i64, i64, i64) {
    let (mut rows, mut sum, mut texts) = (0, 0, 0);
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        rows += ids.len() as i64;
        sum += ids.values().iter().sum::<i64>();
        texts += (batch.num_rows() - batch.column(1).null_count()) as i64;
    }
    (rows, sum, texts)
}

/// The typed cause inside a DataFusion error.
pub fn typed(error: &DataFusionError) -> &Error {
    match error {
        DataFusionError::External(inner) => inner.downcast_ref().unwrap_or_else(|| panic!("{inner}")),
        DataFusionError::Context(_, inner) => typed(inner),
        other => panic!("not typed: {other}"),
    }
}

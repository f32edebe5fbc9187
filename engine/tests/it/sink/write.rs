//! The operator by itself: what it stages, what it reports, what it takes away.

use std::fmt;

use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, StreamExt};
use tokio::sync::Notify;
use windrow_common::ErrorKind;

use super::*;

#[tokio::test]
async fn two_attempts_at_once_leave_the_accepted_ones_files_only() {
    let dir = TempDir::new().unwrap();
    let spec = spec(dir.path(), SinkMode::ErrorIfExists);
    sink::prepare(&spec).await.unwrap();
    let partitions = [vec![batch(0..1000)], vec![batch(1000..3000)]];
    let (a, b) = (attempt(), attempt());
    // Each attempt has a plan of its own, as on two workers.
    let (plan_a, plan_b) = (plan(&partitions, &spec), plan(&partitions, &spec));
    let (a0, b0) = tokio::join!(run(&plan_a, 0, a), run(&plan_b, 0, b));
    let (a1, b1) = tokio::join!(run(&plan_a, 1, a), run(&plan_b, 1, b));
    let (a0, b0, a1, b1) = (a0.unwrap(), b0.unwrap(), a1.unwrap(), b1.unwrap());
    assert_eq!(a0[0].name, b0[0].name, "the name is the task's");
    assert_ne!(a0[0].staged, b0[0].staged, "the place is the attempt's");
    assert!(listed(dir.path()).await.is_empty(), "nothing is visible before the decision");

    let both = [a0.clone(), b0, a1].concat();
    let error = sink::publish(&spec, both).await.unwrap_err();
    assert!(error.message.contains("two attempts"), "{error}");

    let summary = sink::publish(&spec, [a0, b1].concat()).await.unwrap();
    assert_eq!((summary.rows, summary.files), (3000, 2));
    assert_eq!(read(dir.path()).await.unwrap(), expected(0..3000));
    assert!(!is_staged(dir.path()));
}

#[tokio::test]
async fn a_table_without_rows_keeps_its_schema() {
    let dir = TempDir::new().unwrap();
    let spec = spec(dir.path(), SinkMode::ErrorIfExists);
    sink::prepare(&spec).await.unwrap();
    let files = run_all(&plan(&[vec![], vec![], vec![]], &spec)).await;
    assert_eq!(files.len(), 1);
    sink::publish(&spec, files).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), (0, 0, 0));
    // Where there is a schema already, or rows in other partitions, an empty file is not needed.
    write(dir.path(), SinkMode::Append, 0..0).await;
    assert_eq!(listed(dir.path()).await.len(), 1);
    let spec = spec_of(dir.path());
    let files = run_all(&plan(&[vec![], vec![batch(0..10)]], &spec)).await;
    assert_eq!((files.len(), sink::publish(&spec, files).await.unwrap().files), (2, 1));
    assert_eq!(read(dir.path()).await.unwrap(), expected(0..10));
}

fn spec_of(target: &Path) -> SinkSpec {
    spec(target, SinkMode::Append)
}

#[tokio::test]
async fn large_outputs_are_cut_into_files() {
    let dir = TempDir::new().unwrap();
    let spec = SinkSpec { target_file_bytes: 1, ..spec(dir.path(), SinkMode::Append) };
    sink::prepare(&spec).await.unwrap();
    let partitions = [vec![batch(0..10), batch(10..20), batch(20..30)], vec![batch(30..40)]];
    let files = run_all(&plan(&partitions, &spec)).await;
    let ends: Vec<&str> = files.iter().map(|f| &f.name[f.name.len() - 17..]).collect();
    assert_eq!(ends, ["00000-000.parquet", "00000-001.parquet", "00000-002.parquet", "00001-000.parquet"]);
    sink::publish(&spec, files).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), expected(0..40));
}

#[tokio::test]
async fn little_memory_makes_smaller_row_groups_and_no_failure() {
    let dir = TempDir::new().unwrap();
    let spec = spec(dir.path(), SinkMode::Append);
    sink::prepare(&spec).await.unwrap();
    let batches: Vec<_> = (0..40).map(|i| batch(i * 5000..(i + 1) * 5000)).collect();
    let config = SessionConfig::new().with_extension(Arc::new(AttemptContext { attempt: attempt() }));
    let pool = Arc::new(GreedyMemoryPool::new(400 << 10));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let context = SessionContext::new_with_config_rt(config, Arc::clone(&runtime)).task_ctx();
    let stream = plan(&[batches], &spec).execute(0, context).unwrap();
    let rows: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    assert_eq!(runtime.memory_pool.reserved(), 0);
    let files = sink::rows_of(&rows).unwrap();
    let file = std::fs::File::open(dir.path().join(&files[0].staged)).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert!(reader.metadata().num_row_groups() > 1, "the pool was never short: the test shows nothing");
    sink::publish(&spec, files).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), expected(0..200_000));
}

/// What comes behind the first batch.
#[derive(Clone)]
pub(super) enum Then {
    Fail,
    Hang,
    EndAfter(Arc<Notify>),
}

/// One batch, then a signal, then whatever `then` says.
struct OneBatch {
    schema: SchemaRef,
    written: Arc<Notify>,
    then: Then,
}

impl fmt::Debug for OneBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneBatch")
    }
}

impl PartitionStream for OneBatch {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (written, then) = (Arc::clone(&self.written), self.then.clone());
        let then = stream::once(async move {
            // Polled again: the first batch has been written.
            written.notify_one();
            match then {
                Then::Fail => Err(DataFusionError::Execution("no more".into())),
                Then::Hang => std::future::pending().await,
                Then::EndAfter(signal) => {
                    signal.notified().await;
                    Ok(batch(100..101))
                }
            }
        });
        let batches = stream::iter([Ok(batch(0..100))]).chain(then);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

pub(super) fn one_batch(spec: &SinkSpec, then: Then) -> (Arc<WriteExec>, Arc<Notify>) {
    let written = Arc::new(Notify::new());
    let source = Arc::new(OneBatch { schema: schema(), written: Arc::clone(&written), then });
    let input = StreamingTableExec::try_new(schema(), vec![source], None, [], false, None).unwrap();
    (Arc::new(WriteExec::try_new(Arc::new(input), spec.clone()).unwrap()), written)
}

#[tokio::test]
async fn a_cancelled_or_failed_attempt_takes_its_own_files_away() {
    for target in ["", "x.parquet"] {
        let dir = TempDir::new().unwrap();
        let spec = spec(&dir.path().join(target), SinkMode::Overwrite);
        sink::prepare(&spec).await.unwrap();
        let (hanging, written) = one_batch(&spec, Then::Hang);
        let mut stream = start(&hanging, 0, attempt());
        tokio::select! {
            _ = stream.next() => panic!("it hangs"),
            () = written.notified() => {}
        }
        assert!(is_staged(dir.path()), "the file is being written");
        let (failing, _) = one_batch(&spec, Then::Fail);
        let before = tree(dir.path());
        let error = run(&failing, 0, attempt()).await.unwrap_err();
        assert!(error.to_string().contains("no more"));
        assert_eq!(tree(dir.path()), before, "a failed attempt takes its file, not the other's");
        drop(stream);
        sink::abort(&spec).await.unwrap();
        assert!(!tree(dir.path()).keys().any(|p| p.extension().is_some_and(|e| e == "parquet" || e == "staged")));
    }
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_file_even_without_abort() {
    let dir = TempDir::new().unwrap();
    let spec = spec(dir.path(), SinkMode::Overwrite);
    sink::prepare(&spec).await.unwrap();
    let (hanging, written) = one_batch(&spec, Then::Hang);
    let mut stream = start(&hanging, 0, attempt());
    tokio::select! {
        _ = stream.next() => panic!("it hangs"),
        () = written.notified() => {}
    }
    drop(stream);
    assert!(!tree(dir.path()).keys().any(|p| p.extension().is_some_and(|e| e == "parquet")));
}

#[tokio::test]
async fn an_attempt_that_comes_after_the_decision_stages_nothing() {
    for aborted in [false, true] {
        let dir = TempDir::new().unwrap();
        let spec = spec(dir.path(), SinkMode::Append);
        let files = stage(&spec, 0..10).await;
        // One that runs while the decision falls, and one that begins later.
        let end = Arc::new(Notify::new());
        let (running, written) = one_batch(&spec, Then::EndAfter(Arc::clone(&end)));
        let mut late = start(&running, 0, attempt());
        tokio::select! {
            _ = late.next() => panic!("it waits"),
            () = written.notified() => {}
        }
        if aborted {
            assert_eq!(sink::abort(&spec).await.unwrap(), sink::Ending::Aborted);
        } else {
            sink::publish(&spec, files).await.unwrap();
        }
        end.notify_one();
        let error = late.next().await.unwrap().unwrap_err();
        assert_eq!(typed(&error).kind, ErrorKind::Cancelled);
        let error = run(&plan(&[vec![batch(0..10)]], &spec), 0, attempt()).await.unwrap_err();
        assert_eq!(typed(&error).kind, ErrorKind::Cancelled);
        assert!(!is_staged(dir.path()));
    }
}

#[tokio::test]
async fn errors_of_the_disk_are_typed_and_name_the_path() {
    let dir = TempDir::new().unwrap();
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let under = spec(&blocked.join("table"), SinkMode::Append);
    assert_eq!(sink::prepare(&under).await.unwrap_err().kind, ErrorKind::Io);
    let at = spec(&blocked, SinkMode::Append);
    assert_eq!(sink::prepare(&at).await.unwrap_err().kind, ErrorKind::User);

    let spec = spec(&dir.path().join("t"), SinkMode::Append);
    sink::prepare(&spec).await.unwrap();
    std::fs::write(dir.path().join("t/_windrow/staging"), "").unwrap();
    let error = run(&plan(&[vec![batch(0..10)]], &spec), 0, attempt()).await.unwrap_err();
    assert_eq!(typed(&error).kind, ErrorKind::Io);
    assert!(typed(&error).message.contains("_windrow/staging"), "{error}");
}

#[tokio::test]
async fn a_write_without_an_attempt_is_refused() {
    let dir = TempDir::new().unwrap();
    let plan = plan(&[vec![batch(0..10)]], &spec(dir.path(), SinkMode::Append));
    let error = plan.execute(0, SessionContext::new().task_ctx()).err().unwrap();
    assert_eq!(typed(&error).kind, ErrorKind::Internal);
}

#[test]
fn a_spec_survives_its_encoding() {
    let spec = spec(Path::new("/tmp/x"), SinkMode::ErrorIfExists);
    let json = serde_json::to_vec(&spec).unwrap();
    assert_eq!(serde_json::from_slice::<SinkSpec>(&json).unwrap(), spec);
}

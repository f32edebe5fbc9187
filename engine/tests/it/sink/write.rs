//! The operator by itself: what it stages, what it reports, what it takes away.

use std::fmt;

use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, StreamExt};
use tokio::sync::Notify;
use windrow_common::ErrorKind;
use windrow_engine::sink::Compression;
use windrow_engine::sink::format::ParquetSettings;
use windrow_engine::stores::{Allowed, StoresConfig};

use super::rows::{batch, context, plan, run, run_all, schema, start, typed};
use super::*;

#[tokio::test]
async fn two_attempts_at_once_leave_the_accepted_ones_files_only() {
    for lab in Lab::each() {
        let spec = lab.spec("", SinkMode::ErrorIfExists);
        lab.prepare(&spec).await.unwrap();
        let partitions = [vec![batch(0..1000)], vec![batch(1000..3000)]];
        let (a, b) = (attempt(), attempt());
        // Each attempt has a plan of its own, as on two workers.
        let (plan_a, plan_b) = (plan(&partitions, &spec), plan(&partitions, &spec));
        let (a0, b0) = tokio::join!(run(&lab, &plan_a, 0, a), run(&lab, &plan_b, 0, b));
        let (a1, b1) = tokio::join!(run(&lab, &plan_a, 1, a), run(&lab, &plan_b, 1, b));
        let (a0, b0, a1, b1) = (a0.unwrap(), b0.unwrap(), a1.unwrap(), b1.unwrap());
        // Uploads are made to their final names, and no two may be made to one.
        assert_eq!(a0[0].name == b0[0].name, lab.is_local(), "in a file system the name is the task's");
        assert_ne!(a0[0].staged, b0[0].staged, "the place is the attempt's");
        assert!(lab.listed("").await.is_empty(), "nothing is visible before the decision");

        let both = [a0.clone(), b0, a1].concat();
        let error = lab.publish(&spec, &both).await.unwrap_err();
        assert!(error.message.contains("two attempts"), "{error}");

        let summary = lab.publish(&spec, &[a0, b1].concat()).await.unwrap();
        assert_eq!((summary.rows, summary.files), (3000, 2));
        assert_eq!(lab.read("").await.unwrap(), expected(0..3000));
        assert!(!lab.is_staged().await);
    }
}

#[tokio::test]
async fn a_table_without_rows_keeps_its_schema() {
    for lab in Lab::each() {
        let spec = lab.spec("", SinkMode::ErrorIfExists);
        lab.prepare(&spec).await.unwrap();
        let files = run_all(&lab, &plan(&[vec![], vec![], vec![]], &spec)).await;
        assert_eq!(files.len(), 1);
        lab.publish(&spec, &files).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), (0, 0, 0));
        // Where there is a schema already, or rows in other partitions, an empty file is not needed.
        lab.write("", SinkMode::Append, 0..0).await;
        assert_eq!(lab.listed("").await.len(), 1);
        let spec = lab.spec("", SinkMode::Append);
        let files = run_all(&lab, &plan(&[vec![], vec![batch(0..10)]], &spec)).await;
        assert_eq!((files.len(), lab.publish(&spec, &files).await.unwrap().files), (2, 1));
        assert_eq!(lab.read("").await.unwrap(), expected(0..10));
        assert!(!lab.is_staged().await, "the upload of the empty file is aborted");
    }
}

#[tokio::test]
async fn large_outputs_are_cut_into_files() {
    for lab in Lab::each() {
        let spec = SinkSpec { target_file_bytes: 1, ..lab.spec("", SinkMode::Append) };
        lab.prepare(&spec).await.unwrap();
        let partitions = [vec![batch(0..10), batch(10..20), batch(20..30)], vec![batch(30..40)]];
        let files = run_all(&lab, &plan(&partitions, &spec)).await;
        let ends: Vec<&str> = files.iter().map(|f| &f.staged[f.staged.len() - 17..]).collect();
        assert_eq!(ends, ["00000-000.parquet", "00000-001.parquet", "00000-002.parquet", "00001-000.parquet"]);
        lab.publish(&spec, &files).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), expected(0..40));
    }
}

/// Enough rows for an upload of several parts.
async fn write_large(lab: &Lab, spec: &SinkSpec) -> Result<Vec<WrittenFile>, DataFusionError> {
    let format = Format::Parquet(ParquetSettings {
        compression: Compression::None,
        row_group_rows: 100_000,
        ..ParquetSettings::default()
    });
    let spec = SinkSpec { format, ..spec.clone() };
    // The ids alone are 16 MB.
    let batches = (0..20).map(|i| batch(i * 100_000..(i + 1) * 100_000)).collect();
    run(lab, &plan(&[batches], &spec), 0, attempt()).await
}

#[tokio::test]
async fn a_large_file_is_sent_in_parts() {
    let lab = Lab::bucket();
    let spec = lab.spec("", SinkMode::Append);
    lab.prepare(&spec).await.unwrap();
    let files = write_large(&lab, &spec).await.unwrap();
    let upload = files[0].upload.clone().unwrap();
    assert!(upload.parts.len() > 2, "{upload:?}");
    lab.publish(&spec, &files).await.unwrap();
    assert_eq!(lab.read("").await.unwrap(), expected(0..2_000_000));
}

#[tokio::test]
async fn an_attempt_whose_part_is_lost_fails_and_leaves_nothing() {
    for lost in 0..3 {
        let lab = Lab::bucket();
        let spec = lab.spec("", SinkMode::Append);
        lab.prepare(&spec).await.unwrap();
        let mut seen = 0;
        lab.store().fail(move |op, _| {
            seen += usize::from(op == Op::Part);
            if op == Op::Part && seen > lost { Fault::Refused } else { Fault::None }
        });
        let error = write_large(&lab, &spec).await.unwrap_err();
        assert_eq!(typed(&error).kind, ErrorKind::Io, "{error}");
        assert!(typed(&error).message.contains("s3://bucket/lab/part-"), "{error}");
        lab.store().heal();
        lab.until_nothing_is_staged().await;
        assert!(lab.listed("").await.is_empty());
    }
}

#[tokio::test]
async fn little_memory_makes_smaller_row_groups_and_no_failure() {
    let lab = Lab::local();
    let spec = lab.spec("", SinkMode::Append);
    lab.prepare(&spec).await.unwrap();
    let batches: Vec<_> = (0..40).map(|i| batch(i * 5000..(i + 1) * 5000)).collect();
    let attempt = AttemptContext { attempt: attempt(), stores: Arc::clone(&lab.stores) };
    let config = SessionConfig::new().with_extension(Arc::new(attempt));
    let pool = Arc::new(GreedyMemoryPool::new(400 << 10));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let context = SessionContext::new_with_config_rt(config, Arc::clone(&runtime)).task_ctx();
    let stream = plan(&[batches], &spec).execute(0, context).unwrap();
    let rows: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    assert_eq!(runtime.memory_pool.reserved(), 0);
    let files = sink::rows_of(&rows).unwrap();
    let file = std::fs::File::open(lab.directory().join(&files[0].staged)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert!(reader.metadata().num_row_groups() > 1, "the pool was never short: the test shows nothing");
    lab.publish(&spec, &files).await.unwrap();
    assert_eq!(lab.read("").await.unwrap(), expected(0..200_000));
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

/// Whether rows are in a staged file, or an upload of one is under way.
async fn has_staged(lab: &Lab) -> bool {
    let tree = lab.tree().await;
    tree.keys().any(|name| name.ends_with(".parquet") || name.ends_with(".staged"))
}

#[tokio::test]
async fn a_cancelled_or_failed_attempt_takes_its_own_files_away() {
    for (lab, name) in Lab::each().into_iter().zip(["", ""]).chain(Lab::each().into_iter().zip(["x.parquet"; 2])) {
        let spec = lab.spec(name, SinkMode::Overwrite);
        lab.prepare(&spec).await.unwrap();
        let (hanging, written) = one_batch(&spec, Then::Hang);
        let mut stream = start(&lab, &hanging, 0, attempt());
        tokio::select! {
            _ = stream.next() => panic!("it hangs"),
            () = written.notified() => {}
        }
        assert!(lab.is_staged().await, "the file is being written");
        let (failing, _) = one_batch(&spec, Then::Fail);
        let before = lab.tree().await;
        let error = run(&lab, &failing, 0, attempt()).await.unwrap_err();
        assert!(error.to_string().contains("no more"));
        let clock = windrow_common::time::Clock::start();
        while lab.tree().await != before {
            // Uploads are aborted in the background.
            assert!(!lab.is_local() && clock.now() < Timestamp(20_000_000), "it takes its own file, not the other's");
            tokio::task::yield_now().await;
        }
        drop(stream);
        lab.abort(&spec).await.unwrap();
        lab.until_nothing_is_staged().await;
    }
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_file_even_without_abort() {
    for lab in Lab::each() {
        let spec = lab.spec("", SinkMode::Overwrite);
        lab.prepare(&spec).await.unwrap();
        let (hanging, written) = one_batch(&spec, Then::Hang);
        let mut stream = start(&lab, &hanging, 0, attempt());
        tokio::select! {
            _ = stream.next() => panic!("it hangs"),
            () = written.notified() => {}
        }
        assert!(has_staged(&lab).await);
        drop(stream);
        lab.until_nothing_is_staged().await;
    }
}

#[tokio::test]
async fn an_attempt_that_comes_after_the_decision_stages_nothing() {
    for (lab, aborted) in Lab::each().into_iter().zip([false; 2]).chain(Lab::each().into_iter().zip([true; 2])) {
        let spec = lab.spec("", SinkMode::Append);
        let files = lab.stage(&spec, 0..10).await;
        // One that runs while the decision falls, and one that begins later.
        let end = Arc::new(Notify::new());
        let (running, written) = one_batch(&spec, Then::EndAfter(Arc::clone(&end)));
        let mut late = start(&lab, &running, 0, attempt());
        tokio::select! {
            _ = late.next() => panic!("it waits"),
            () = written.notified() => {}
        }
        if aborted {
            assert_eq!(lab.abort(&spec).await.unwrap(), sink::Ending::Aborted);
        } else {
            lab.publish(&spec, &files).await.unwrap();
        }
        end.notify_one();
        let error = late.next().await.unwrap().unwrap_err();
        assert_eq!(typed(&error).kind, ErrorKind::Cancelled, "{error}");
        let error = run(&lab, &plan(&[vec![batch(0..10)]], &spec), 0, attempt()).await.unwrap_err();
        assert_eq!(typed(&error).kind, ErrorKind::Cancelled);
        lab.until_nothing_is_staged().await;
    }
}

#[tokio::test]
async fn an_attempt_of_a_table_that_is_gone_makes_none() {
    for lab in Lab::each() {
        let spec = lab.spec("table", SinkMode::ErrorIfExists);
        lab.stage(&spec, 0..10).await;
        sink::abort_new(&lab.stores, &spec).await.unwrap();
        let before = lab.tree().await;
        let error = run(&lab, &plan(&[vec![batch(0..10)]], &spec), 0, attempt()).await.unwrap_err();
        let says = if lab.is_local() { "is gone" } else { "comes too late" };
        assert!(typed(&error).message.contains(says), "{error}");
        assert_eq!(lab.tree().await, before);
    }
}

#[tokio::test]
async fn errors_of_the_disk_are_typed_and_name_the_path() {
    let lab = Lab::local();
    lab.put("file", b"").await;
    let under = lab.spec("file/table", SinkMode::Append);
    assert_eq!(lab.prepare(&under).await.unwrap_err().kind, ErrorKind::Io);
    let at = lab.spec("file", SinkMode::Append);
    assert_eq!(lab.prepare(&at).await.unwrap_err().kind, ErrorKind::User);

    let spec = lab.spec("t", SinkMode::Append);
    lab.prepare(&spec).await.unwrap();
    lab.put("t/_windrow/staging", b"").await;
    let error = run(&lab, &plan(&[vec![batch(0..10)]], &spec), 0, attempt()).await.unwrap_err();
    assert_eq!(typed(&error).kind, ErrorKind::Io);
    assert!(typed(&error).message.contains("_windrow/staging"), "{error}");
}

#[tokio::test]
async fn a_write_without_an_attempt_or_of_one_file_from_many_partitions_is_refused() {
    for lab in Lab::each() {
        let plan_of = |partitions: &[Vec<RecordBatch>], name| plan(partitions, &lab.spec(name, SinkMode::Append));
        let error = plan_of(&[vec![batch(0..10)]], "").execute(0, SessionContext::new().task_ctx()).err().unwrap();
        assert_eq!(typed(&error).kind, ErrorKind::Internal);
        let two = plan_of(&[vec![batch(0..1)], vec![batch(1..2)]], "x.parquet");
        assert_eq!(typed(&two.execute(0, context(&lab, attempt())).err().unwrap()).kind, ErrorKind::Internal);
    }
}

#[tokio::test]
async fn a_store_that_nobody_may_use_is_refused() {
    let allowed = Allowed::only(&["s3://bucket".to_owned()], Path::new("/")).unwrap();
    let lab = Lab { stores: Arc::new(Stores::new(StoresConfig::default(), allowed, None)), ..Lab::bucket() };
    let spec = SinkSpec { target: "s3://elsewhere/x".into(), ..lab.spec("", SinkMode::Append) };
    let error = lab.prepare(&spec).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User, "{error}");
    assert!(error.message.contains("s3://elsewhere/x") && error.message.contains("--allow"), "{error}");
    let error = plan(&[vec![batch(0..1)]], &spec).execute(0, context(&lab, attempt())).err().unwrap();
    assert!(typed(&error).message.contains("s3://elsewhere/x"), "{error}");
}

#[test]
fn a_spec_and_what_was_written_survive_their_encoding() {
    for lab in Lab::each() {
        let spec = lab.spec("x", SinkMode::ErrorIfExists);
        let json = serde_json::to_vec(&spec).unwrap();
        assert_eq!(serde_json::from_slice::<SinkSpec>(&json).unwrap(), spec);
    }
    let upload = Some(Upload { id: "\"id".into(), parts: vec!["a".into(), String::new()], bytes: 7 });
    for upload in [None, upload] {
        let file = WrittenFile {
            name: "n".into(),
            staged: "s".into(),
            rows: 1,
            bytes: 7,
            inode: upload.is_none().then_some(5),
            upload,
        };
        let json = serde_json::to_vec(&file).unwrap();
        assert_eq!(serde_json::from_slice::<WrittenFile>(&json).unwrap(), file);
    }
}

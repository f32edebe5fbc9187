//! Writes by the values of columns: which rows go where, how many files are open, and how many there are in the end.

use std::collections::BTreeSet;

use datafusion::arrow::compute::SortOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use futures::StreamExt;
use windrow_common::ErrorKind;
use windrow_engine::sink::FormatName;

use super::rows::{batch, run, run_all, schema, start, typed};
use super::write::{Then, one_batch};
use super::*;

/// Files that a task may have open at once.
const MAX_OPEN: usize = 16;

fn keyed_schema() -> SchemaRef {
    let mut fields = schema().fields().to_vec();
    fields.push(Arc::new(Field::new("key", DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

/// The rows of [`batch`] with a key each.
fn keyed(ids: std::ops::Range<i64>, key: impl Fn(i64) -> Option<String>) -> RecordBatch {
    let rows = batch(ids.clone());
    let keys: StringArray = ids.map(key).collect();
    let columns = [rows.columns(), &[Arc::new(keys) as ArrayRef]].concat();
    RecordBatch::try_new(keyed_schema(), columns).unwrap()
}

/// One of `count` keys; neighbours have different ones.
fn scattered(count: i64) -> impl Fn(i64) -> Option<String> {
    move |id| Some(format!("{:03}", id.wrapping_mul(7919).rem_euclid(count)))
}

fn by_key(lab: &Lab, mode: SinkMode) -> SinkSpec {
    SinkSpec { partition_by: vec!["key".into()], ..lab.spec("", mode) }
}

fn keyed_plan(partitions: &[Vec<RecordBatch>], spec: &SinkSpec) -> Arc<WriteExec> {
    let input = MemorySourceConfig::try_new_exec(partitions, keyed_schema(), None).unwrap();
    Arc::new(WriteExec::try_new(input, spec.clone()).unwrap())
}

fn most_open(plan: &WriteExec) -> usize {
    plan.metrics().unwrap().sum_by_name("most_open_files").unwrap().as_usize()
}

/// The ids in each directory, in the order of its files and rows.
async fn ids_by_directory(lab: &Lab) -> BTreeMap<String, Vec<i64>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for name in lab.listed("").await {
        let (directory, _) = name.rsplit_once('/').unwrap();
        let file = lab.get(&name).await.unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.schema().fields().iter().map(|f| f.name()).collect::<Vec<_>>(), ["id", "text"]);
            let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            found.entry(directory.to_owned()).or_default().extend(ids.values());
        }
    }
    found
}

#[tokio::test]
async fn rows_lie_in_the_directories_of_their_values() {
    for lab in Lab::each() {
        let key = |id: i64| match id % 5 {
            0 => None,
            1 => Some(String::new()),
            2 => Some("a/b=c%".to_owned()),
            3 => Some("São Paulo".to_owned()),
            _ => Some("plain".to_owned()),
        };
        let spec = by_key(&lab, SinkMode::ErrorIfExists);
        lab.prepare(&spec).await.unwrap();
        let partitions = [vec![keyed(0..100, key)], vec![keyed(100..150, key), keyed(150..200, key)]];
        let plan = keyed_plan(&partitions, &spec);
        let files = run_all(&lab, &plan).await;
        let again = run_all(&lab, &keyed_plan(&partitions, &spec)).await;
        let names = |files: &[WrittenFile]| files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            names(&files) == names(&again),
            lab.is_local(),
            "in a file system names are the same in every attempt"
        );
        let summary = lab.publish(&spec, &files).await.unwrap();
        assert_eq!((summary.rows, summary.files), (200, 8), "one file for each directory and task");
        let found = ids_by_directory(&lab).await;
        let in_order = |ids: &[i64]| ids.iter().copied().collect::<BTreeSet<_>>();
        let expected =
            |modulo: &'static [i64]| (0..200).filter(|id| modulo.contains(&(id % 5))).collect::<BTreeSet<_>>();
        let found: BTreeMap<&str, BTreeSet<i64>> = found.iter().map(|(d, ids)| (d.as_str(), in_order(ids))).collect();
        let wanted = BTreeMap::from([
            ("key=__HIVE_DEFAULT_PARTITION__", expected(&[0, 1])),
            ("key=a%2Fb%3Dc%25", expected(&[2])),
            ("key=São Paulo", expected(&[3])),
            ("key=plain", expected(&[4])),
        ]);
        assert_eq!(found, wanted);
        assert_eq!(lab.read("").await.unwrap(), super::expected(0..200));
        assert!(!lab.is_staged().await);
    }
}

#[tokio::test]
async fn many_directories_get_one_file_each_and_few_are_open() {
    let all = [(100, FormatName::Parquet), (5, FormatName::Parquet), (40, FormatName::Csv)];
    for ((keys, format), lab) in all.into_iter().flat_map(|all| Lab::each().map(|lab| (all, lab))) {
        let spec = SinkSpec { format: Format::of(format), ..by_key(&lab, SinkMode::ErrorIfExists) };
        lab.prepare(&spec).await.unwrap();
        let batches = (0..40).map(|b| keyed(b * 500..(b + 1) * 500, scattered(keys))).collect();
        let plan = keyed_plan(&[batches], &spec);
        let files = run_all(&lab, &plan).await;
        assert_eq!(files.len() as i64, keys, "one file for each key");
        let most = most_open(&plan);
        assert!(most <= MAX_OPEN && most >= MAX_OPEN.min(keys as usize) - 1, "{most} files were open");
        lab.publish(&spec, &files).await.unwrap();
        if format == FormatName::Parquet {
            assert_eq!(lab.read("").await.unwrap(), expected(0..20_000));
            for (directory, ids) in ids_by_directory(&lab).await {
                let wrong = ids.iter().find(|id| format!("key={}", scattered(keys)(**id).unwrap()) != directory);
                assert_eq!(wrong, None, "{directory}");
            }
        }
    }
}

#[tokio::test]
async fn full_files_are_followed_by_others() {
    for lab in Lab::each() {
        let spec = SinkSpec { target_file_bytes: 1, ..by_key(&lab, SinkMode::ErrorIfExists) };
        lab.prepare(&spec).await.unwrap();
        let batches = (0..3).map(|b| keyed(b * 10..(b + 1) * 10, scattered(2))).collect();
        let files = run_all(&lab, &keyed_plan(&[batches], &spec)).await;
        // A name in a bucket ends with the attempt.
        let behind = ".parquet".len() + if lab.is_local() { 0 } else { 17 };
        let number = |file: &WrittenFile| file.name[file.name.len() - behind - 3..][..3].to_owned();
        let mut ends: Vec<String> = files.iter().map(number).collect();
        ends.sort_unstable();
        assert_eq!(ends, ["000", "000", "001", "001", "002", "002"]);
        lab.publish(&spec, &files).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), expected(0..30));
    }
}

#[tokio::test]
async fn a_known_order_is_kept_in_each_file() {
    for lab in Lab::each() {
        let spec = by_key(&lab, SinkMode::ErrorIfExists);
        lab.prepare(&spec).await.unwrap();
        let batches: Vec<RecordBatch> = (0..30).map(|b| keyed(b * 400..(b + 1) * 400, scattered(60))).collect();
        let by_id = PhysicalSortExpr::new(Arc::new(Column::new("id", 0)), SortOptions::default());
        let memory = MemorySourceConfig::try_new(&[batches], keyed_schema(), None).unwrap();
        let memory = memory.try_with_sort_information(vec![LexOrdering::new([by_id]).unwrap()]).unwrap();
        let input = DataSourceExec::from_data_source(memory);
        let plan = Arc::new(WriteExec::try_new(input, spec.clone()).unwrap());
        let files = run_all(&lab, &plan).await;
        assert_eq!(files.len(), 60);
        lab.publish(&spec, &files).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), expected(0..12_000));
        for (directory, ids) in ids_by_directory(&lab).await {
            assert!(ids.is_sorted(), "{directory}: {ids:?}");
        }
    }
}

#[tokio::test]
async fn little_memory_is_enough() {
    // A bucket takes no small parts: there each open file needs 8 MiB before anything of it can go.
    let lab = Lab::local();
    let spec = by_key(&lab, SinkMode::ErrorIfExists);
    lab.prepare(&spec).await.unwrap();
    let batches = (0..40).map(|b| keyed(b * 5000..(b + 1) * 5000, scattered(8))).collect();
    let context = AttemptContext { attempt: attempt(), stores: Arc::clone(&lab.stores) };
    let config = SessionConfig::new().with_extension(Arc::new(context));
    let pool = Arc::new(GreedyMemoryPool::new(600 << 10));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let context = SessionContext::new_with_config_rt(config, Arc::clone(&runtime)).task_ctx();
    let stream = keyed_plan(&[batches], &spec).execute(0, context).unwrap();
    let rows: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    assert_eq!(runtime.memory_pool.reserved(), 0);
    lab.publish(&spec, &sink::rows_of(&rows).unwrap()).await.unwrap();
    assert_eq!(lab.read("").await.unwrap(), expected(0..200_000));
}

#[tokio::test]
async fn a_failed_or_dropped_attempt_leaves_nothing() {
    for lab in Lab::each() {
        // Each text is a directory of its own: the rows are being sorted when it ends.
        let spec = SinkSpec { partition_by: vec!["text".into()], ..lab.spec("", SinkMode::Overwrite) };
        lab.prepare(&spec).await.unwrap();
        let (failing, _) = one_batch(&spec, Then::Fail);
        let error = run(&lab, &failing, 0, attempt()).await.unwrap_err();
        assert!(error.to_string().contains("no more"), "{error}");
        // Uploads are aborted in the background, files are gone at once.
        assert!(!lab.is_local() || !has_files(&lab).await);
        lab.until_nothing_is_staged().await;
        let (hanging, written) = one_batch(&spec, Then::Hang);
        let mut stream = start(&lab, &hanging, 0, attempt());
        tokio::select! {
            _ = stream.next() => panic!("it hangs"),
            () = written.notified() => {}
        }
        assert!(has_files(&lab).await, "files are being written");
        drop(stream);
        assert!(!lab.is_local() || !has_files(&lab).await);
        lab.until_nothing_is_staged().await;
        lab.abort(&spec).await.unwrap();
        assert!(!lab.is_staged().await);
    }
}

/// Whether there are Parquet files, hidden or not, or what stands for them.
async fn has_files(lab: &Lab) -> bool {
    lab.tree().await.keys().any(|name| name.ends_with(".parquet"))
}

/// Old rows, and an overwrite that dies after so many steps; whether it did.
fn overwritten_until(lab: &Lab, runtime: &tokio::runtime::Runtime, steps: usize) -> bool {
    let key = |id: i64| Some((id % 3).to_string());
    let staged = |spec: &SinkSpec, ids: Range<i64>| {
        runtime.block_on(async {
            lab.prepare(spec).await.unwrap();
            run_all(lab, &keyed_plan(&[vec![keyed(ids, key)]], spec)).await
        })
    };
    let old = by_key(lab, SinkMode::Append);
    let files = staged(&old, 0..60);
    runtime.block_on(lab.publish(&old, &files)).unwrap();
    let new = by_key(lab, SinkMode::Overwrite);
    let files = staged(&new, 60..90);
    let mut decided = false;
    let killed = lab.publish_until(&new, &files, steps, &mut |step| decided |= *step == Step::Decided);
    let seen = runtime.block_on(lab.read("")).unwrap();
    assert_eq!(seen, if decided { expected(60..90) } else { expected(0..60) }, "after {steps} steps");
    killed
}

#[test]
fn a_reader_sees_all_of_the_old_or_all_of_the_new() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for new_lab in [Lab::local, Lab::bucket] {
        let mut steps = 0;
        while overwritten_until(&new_lab(), &runtime, steps) {
            steps += 1;
        }
        // Verified, decided, opened, three renamed, three deleted, succeeded, published, cleaned.
        assert_eq!(steps, 12);
    }
}

#[tokio::test]
async fn no_rows_make_no_files_and_replace_what_was_there() {
    for lab in Lab::each() {
        for (ids, files_left) in [(0..10, 2), (0..0, 0)] {
            let spec = by_key(&lab, SinkMode::Overwrite);
            lab.prepare(&spec).await.unwrap();
            let files = run_all(&lab, &keyed_plan(&[vec![keyed(ids, scattered(2))]], &spec)).await;
            lab.publish(&spec, &files).await.unwrap();
            assert_eq!(lab.listed("").await.len(), files_left);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_partitioned_is_refused_before_anything_runs() {
    for lab in Lab::each() {
        let refused = |spec: SinkSpec| {
            let input = MemorySourceConfig::try_new_exec(&[vec![]], keyed_schema(), None).unwrap();
            let error = WriteExec::try_new(input, spec).unwrap_err();
            typed(&error).clone()
        };
        let unknown = SinkSpec { partition_by: vec!["nope".into()], ..lab.spec("", SinkMode::Append) };
        assert_eq!(refused(unknown).kind, ErrorKind::NotFound);
        let single = SinkSpec { partition_by: vec!["key".into()], ..lab.spec("x.parquet", SinkMode::Overwrite) };
        assert!(refused(single).message.contains("single file"));
        assert!(lab.tree().await.is_empty());
    }
}

#[tokio::test]
async fn files_outside_of_their_directories_are_not_published() {
    for lab in Lab::each() {
        let spec = by_key(&lab, SinkMode::Append);
        lab.prepare(&spec).await.unwrap();
        let files = run_all(&lab, &keyed_plan(&[vec![keyed(0..10, scattered(1))]], &spec)).await;
        let moves = [("key=000/", ""), ("key=000/", "../"), ("key=000/", "key=0/key=1/"), ("key=000/", "plain/")];
        for (from, to) in moves {
            let mut wrong = files.clone();
            wrong[0].name = wrong[0].name.replace(from, to);
            let error = lab.publish(&spec, &wrong).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Internal, "{to}: {error}");
        }
        assert_eq!(lab.publish(&spec, &files).await.unwrap().rows, 10);
    }
}

#[tokio::test]
async fn an_overwrite_replaces_what_its_table_reads() {
    for lab in Lab::each() {
        lab.write("source", SinkMode::Append, 0..10).await;
        let source = lab.get(&format!("source/{}", lab.listed("source").await[0])).await.unwrap();
        let of_its_format = (false, vec!["key=1/no-ending", "other/table.csv", "plain.txt"]);
        for (replaces_all, left) in [of_its_format, (true, vec!["other/table.csv"])] {
            for name in ["plain.txt", "key=1/no-ending", "key=1/old.parq", "key=1/old.parquet", "_hidden"] {
                lab.put(&format!("t/{name}"), &source).await;
            }
            lab.put("t/other/table.csv", b"mine").await;
            let spec = SinkSpec { replaces_all, ..lab.spec("t", SinkMode::Overwrite) };
            let files = lab.stage(&spec, 20..30).await;
            lab.publish(&spec, &files).await.unwrap();
            let names = lab.listed("t").await;
            let others: Vec<&str> = names.iter().map(String::as_str).filter(|n| !n.starts_with("part-")).collect();
            assert_eq!(others, left, "{replaces_all}");
            assert_eq!(names.len(), others.len() + 2);
            assert!(lab.exists("t/_hidden").await);
        }
    }
}

//! Runs the sqllogictest files: embedded, and on three workers with exchanges forced. A record that is known to fail must
//! fail, so that its mark goes when its reason does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow::{ByteSize, Deployment, JobReport, Session};
use windrow_suite::cluster::Cluster;
use windrow_suite::slt::{Expected, Known, Record, Script};

/// No statement of these files takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// The file that makes the tables of the others.
const TABLES: &str = "tables";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("slt")
}

/// All files, that of the tables first.
fn scripts() -> Vec<Script> {
    let mut scripts = BTreeMap::new();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "slt") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            scripts.insert((name != TABLES, name.clone()), Script::parse(&name, &text).unwrap());
        }
    }
    scripts.into_values().collect()
}

/// The rows as the files write them.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> =
            columns.map(|column| (column, ArrayFormatter::try_new(column.as_ref(), &options).unwrap())).collect();
        let cell = |row: usize, column: &dyn Array, formatter: &ArrayFormatter<'_>| {
            let text = formatter.value(row).to_string();
            match text.as_str() {
                _ if column.is_null(row) => "NULL".to_owned(),
                "" => "(empty)".to_owned(),
                _ => text,
            }
        };
        rows.extend((0..batch.num_rows()).map(|row| {
            columns
                .iter()
                .map(|(column, formatter)| cell(row, column.as_ref(), formatter))
                .collect::<Vec<_>>()
                .join(" ")
        }));
    }
    rows
}

async fn run(session: &Session, sql: &str) -> windrow::Result<(Vec<RecordBatch>, JobReport)> {
    let run = async { session.execute(sql).await?.collect().await };
    tokio::time::timeout(PATIENCE, run)
        .await
        .unwrap_or_else(|_| Err(windrow::Error::internal(format!("no answer within {} s", PATIENCE.as_secs()))))
}

/// What is wrong with a record, if anything is.
async fn complaint(session: &Session, record: &Record, directory: &str, on_workers: bool) -> Option<String> {
    let result = run(session, &record.sql.replace("{dir}", directory)).await;
    match (&record.expected, result) {
        (Expected::Ok, Ok(_)) => None,
        (Expected::Error(text), Err(error)) => {
            let found = error.message.to_lowercase().contains(&text.to_lowercase());
            (!found).then(|| format!("another error: {error}"))
        }
        (Expected::Error(_), Ok((batches, _))) => Some(format!("no error, but {:?}", rows(&batches))),
        (Expected::Contains(text), Ok((batches, _))) => {
            let answer = rows(&batches);
            let found = !answer.is_empty() && answer.iter().any(|row| row.contains(text));
            (!found).then(|| format!("'{text}' is not in {answer:?}"))
        }
        (Expected::Rows { columns, rows: expected, sorted, distributed }, Ok((batches, report))) => {
            let mut found = rows(&batches);
            if *sorted {
                found.sort();
            }
            let has_columns = batches.iter().all(|batch| batch.num_columns() == *columns);
            let workers = report.workers().len();
            if found != *expected {
                Some(format!("expected {expected:?}\n      found    {found:?}"))
            } else if !has_columns {
                Some(format!("not {columns} columns"))
            } else if *distributed && on_workers && workers < 2 {
                Some(format!("{} tasks on {workers} workers only", report.tasks()))
            } else {
                None
            }
        }
        (_, Err(error)) => Some(format!("{:?} error: {error}", error.kind)),
    }
}

/// Runs all files; gives the number of records, and what is wrong.
async fn complaints(session: &Session, on_workers: bool) -> (usize, Vec<String>) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().to_str().unwrap();
    let (mut count, mut all) = (0, Vec::new());
    for script in scripts() {
        for record in &script.records {
            count += 1;
            let is_known = record.known == Known::Wrong || (record.known == Known::WrongOnWorkers && on_workers);
            let complaint = complaint(session, record, directory, on_workers).await;
            let place = format!("{}.slt:{}: {}", script.name, record.line, record.sql);
            match complaint {
                Some(complaint) if !is_known => all.push(format!("{place}\n      {complaint}")),
                None if is_known => all.push(format!("{place}\n      is right now: take its mark away")),
                _ => {}
            }
        }
    }
    (count, all)
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} records:\n{}", complaints.len(), complaints.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_right_embedded() {
    let session = Session::open(Deployment::Embedded { cores: 2, memory: ByteSize::gib(1) }).await.unwrap();
    let (count, complaints) = complaints(&session, false).await;
    session.close().await;
    assert!(count > 100, "only {count} records were found");
    assert_none(&complaints);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_right_on_three_workers() {
    let cluster = Cluster::start(3, 1).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off"), ("windrow.partitions", "3")]).await.unwrap();
    let (_, complaints) = complaints(&session, true).await;
    session.close().await;
    assert_none(&complaints);
    cluster.wait_until_empty().await.unwrap();
    cluster.stop().await;
}

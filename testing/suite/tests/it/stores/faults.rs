//! Stores that throttle, fail, answer late, cut answers short, forget conditions, or whose files change between two reads:
//! the right rows, or an error that says what happened; what is written is there once or not at all.

use std::time::Duration;

use windrow_common::ErrorKind;
use windrow_stores_testing::{Config, Fault, Operation, Rule};

use super::{Lake, rows};

const SOURCE: &str = "SELECT value AS n, concat('row ', value) AS s FROM generate_series(1, 50000)";

async fn written(lake: &Lake, target: &str) {
    let sql = format!("COPY ({SOURCE}) TO 's3://lake/{target}/' STORED AS PARQUET");
    assert_eq!(rows(&lake.session, &sql).await.unwrap(), ["50000"]);
}

async fn sum(lake: &Lake, target: &str) -> Result<Vec<String>, windrow_common::Error> {
    rows(&lake.session, &format!("SELECT count(*), sum(n), sum(length(s)) FROM 's3://lake/{target}'")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_throttles_and_stumbles_costs_time_and_no_row() {
    let lake = Lake::open(Config::default()).await;
    written(&lake, "calm").await;
    let expected = sum(&lake, "calm/").await.unwrap();
    for (name, fault, times) in [
        ("slow_down", Fault::Status(503), 5),
        ("error", Fault::Status(500), 5),
        ("cut", Fault::CutBody(100), 5),
        ("late", Fault::Delay(Duration::from_millis(20)), 50),
    ] {
        let rule = Rule::new(fault).times(times);
        // Answers with data go on where they were cut.
        let rule = if name == "cut" { rule.on(Operation::Get) } else { rule };
        let hits = lake.server.faults().add(rule);
        written(&lake, name).await;
        assert_eq!(sum(&lake, &format!("{name}/")).await.unwrap(), expected, "{name}");
        assert!(hits.count() > 0, "{name} was never hit");
        lake.server.faults().clear();
        assert_eq!(sum(&lake, &format!("{name}/")).await.unwrap(), expected, "{name}, calm again");
    }
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_breaks_off_is_asked_for_again() {
    let lake = Lake::open(Config::default()).await;
    written(&lake, "t").await;
    let expected = sum(&lake, "t/").await.unwrap();
    let hits = lake.server.faults().add(Rule::new(Fault::CutBody(100)).on(Operation::List).times(2));
    assert_eq!(sum(&lake, "t/").await.unwrap(), expected);
    assert_eq!(hits.count(), 2);
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_after_the_deed_does_not_double_it() {
    let lake = Lake::open(Config::default()).await;
    written(&lake, "calm").await;
    let expected = sum(&lake, "calm/").await.unwrap();
    for (index, operation) in
        [Operation::Put, Operation::CreateUpload, Operation::UploadPart, Operation::CompleteUpload, Operation::Delete]
            .into_iter()
            .enumerate()
    {
        let target = format!("t{index}");
        let hits = lake.server.faults().add(Rule::new(Fault::DoneButStatus(500)).on(operation).times(3));
        written(&lake, &target).await;
        assert_eq!(sum(&lake, &format!("{target}/")).await.unwrap(), expected, "{operation:?}");
        if !matches!(operation, Operation::Delete) {
            assert!(hits.count() > 0, "{operation:?} was never hit");
        }
        lake.server.faults().clear();
    }
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_ignores_conditions_is_refused_before_anything_is_written() {
    let lake = Lake::open(Config::default().without_conditions()).await;
    let sql = format!("COPY ({SOURCE}) TO 's3://lake/t/' STORED AS PARQUET");
    let error = rows(&lake.session, &sql).await.unwrap_err();
    assert!(error.message.contains("s3://lake/t") && error.message.contains("create"), "{error}");
    let visible: Vec<String> = lake.server.keys().into_iter().filter(|key| !key.contains("/_")).collect();
    assert!(visible.is_empty(), "{visible:?}");
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_between_two_reads_is_an_error() {
    let lake = Lake::open(Config::default()).await;
    let line = |n: u32| format!("{n:07},{}\n", "x".repeat(92));
    let csv: String = std::iter::once("n,s\n".to_owned()).chain((0..400_000).map(line)).collect();
    lake.server.put("big.csv", csv.clone());
    assert_eq!(rows(&lake.session, "SELECT count(*) FROM 's3://lake/big.csv'").await.unwrap(), ["400000"]);
    // Some reads behind the first ones it is another file, with as many bytes.
    let other = csv.replace("0,x", "1,x");
    let hits = lake.server.faults().add(Rule::new(Fault::Replace(other.into())).on(Operation::Get).skip(4).times(1));
    let error = rows(&lake.session, "SELECT sum(n), count(s) FROM 's3://lake/big.csv'").await.unwrap_err();
    assert!(hits.count() > 0);
    assert_eq!(error.kind, ErrorKind::User, "{error}");
    assert!(error.message.contains("s3://lake/big.csv has changed"), "{error}");
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_forbidden_is_said() {
    let lake = Lake::open(Config::default()).await;
    let error = rows(&lake.session, "SELECT * FROM 's3://lake/nothing.parquet'").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.message.contains("s3://lake/nothing.parquet"), "{error}");
    lake.server.faults().add(Rule::new(Fault::Status(403)));
    let error = rows(&lake.session, "SELECT * FROM 's3://lake/secret.parquet'").await.unwrap_err();
    assert!(error.message.contains("s3://lake/secret.parquet"), "{error}");
    assert!(!error.message.contains(lake.server.secret_key()), "{error}");
    lake.server.faults().clear();
    lake.close().await;
}

//! Malformed rows: an error that says where, or left out, counted, and kept where the table wants them.

use std::collections::BTreeSet;

use windrow_common::ErrorKind;
use windrow_suite::cluster::Cluster;

use super::{failure, rows};

/// Rows of which each hundredth has one column too many, and each thousandth no number.
fn text(count: usize) -> (String, u64) {
    let (mut text, mut bad) = ("n,s\n".to_owned(), 0);
    for row in 0..count {
        match row {
            _ if row % 1000 == 999 => text.push_str("many,x\n"),
            _ if row % 100 == 50 => text.push_str(&format!("{row},a,b\n")),
            _ => text.push_str(&format!("{row},\"x, {row}\"\n")),
        }
        bad += u64::from(row % 1000 == 999 || row % 100 == 50);
    }
    (text, bad)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_fail_or_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (contents, bad) = text(20_000);
    std::fs::write(dir.path().join("a.csv"), &contents).unwrap();
    std::fs::write(dir.path().join("b.csv"), &contents).unwrap();
    let cluster = Cluster::start(2, 1).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off"), ("windrow.partitions", "6")]).await.unwrap();
    let place = dir.path().display();
    let rejected = dir.path().join("rejected");
    let create = |name: &str, options: &str| {
        format!("CREATE EXTERNAL TABLE {name} (n BIGINT, s VARCHAR) STORED AS CSV LOCATION '{place}/*.csv' {options}")
    };
    rows(&session, &create("strict", "")).await;
    let error = failure(&session, "SELECT sum(n) FROM strict").await;
    assert_eq!(error.kind, ErrorKind::User, "{error}");
    assert!(error.message.contains(".csv") && error.message.contains("byte"), "{error}");
    assert!(error.message.contains("line"), "{error}");

    let options = format!("OPTIONS (on_error 'skip', rejects '{}')", rejected.display());
    rows(&session, &create("lenient", &options)).await;
    let sql = "SELECT count(*), count(n), count(s) FROM lenient";
    let (batches, report) = session.execute(sql).await.unwrap().collect().await.unwrap();
    let good = 2 * (20_000 - bad);
    assert_eq!(super::texts(&batches), [format!("{good}|{good}|{good}")]);
    assert_eq!(report.rejected_rows(), 2 * bad);
    // How many there are does not depend on what is asked.
    assert_eq!(rows(&session, "SELECT count(*) FROM lenient").await, [good.to_string()]);
    assert_eq!(rows(&session, "SELECT count(s) FROM lenient").await, [good.to_string()]);

    let jobs: Vec<_> = std::fs::read_dir(&rejected).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(jobs.len(), 3, "a directory for each job: {jobs:?}");
    for job in jobs {
        let found = rows(&session, &format!("SELECT count(*), count(DISTINCT file) FROM '{}/'", job.display())).await;
        assert_eq!(found, [format!("{}|2", 2 * bad)], "{}", job.display());
        let sql = format!("SELECT DISTINCT substr(text, 1, 5) FROM '{}/' WHERE text LIKE 'many%'", job.display());
        assert_eq!(rows(&session, &sql).await, ["many,"]);
        // An offset is where the row begins.
        let sql = format!("SELECT offset, text FROM '{}/' WHERE file LIKE '%a.csv' ORDER BY offset", job.display());
        let mut seen = BTreeSet::new();
        for row in rows(&session, &sql).await {
            let (offset, text) = row.split_once('|').unwrap();
            let offset: usize = offset.parse().unwrap();
            assert!(contents[offset..].starts_with(text.trim_end()), "{row}");
            assert!(seen.insert(offset), "{offset} twice");
        }
    }
    session.close().await;
    cluster.stop().await;
}

//! Wrong input, each with a clear error of the right kind, and nothing left behind.

use windrow_common::ErrorKind;
use windrow_suite::cluster::Cluster;
use windrow_suite::tables;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_input_is_said_clearly_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(2, 1).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off")]).await.unwrap();
    for statement in tables::write(dir.path()).unwrap() {
        session.execute(&statement).await.unwrap().collect().await.unwrap();
    }
    let truncated = dir.path().join("truncated.parquet");
    let whole = std::fs::read(dir.path().join("l_plain/0.parquet")).unwrap();
    std::fs::write(&truncated, &whole[..whole.len() - 20]).unwrap();
    let nested = format!("SELECT {}1{}", "(".repeat(400), ")".repeat(400));
    let create = format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{}'", truncated.display());
    let long = format!("SELECT 1{}", " + 1".repeat(100_000));
    let cases: [(&str, ErrorKind, &str); 11] = [
        ("SELEC 1", ErrorKind::User, "Line: 1"),
        ("SELECT * FROM l_plan", ErrorKind::NotFound, "l_plain"),
        ("SELECT kk FROM l_plain", ErrorKind::NotFound, "kk"),
        ("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/no/such/place'", ErrorKind::NotFound, "/no/such/place"),
        (&create, ErrorKind::User, "truncated.parquet"),
        ("SELECT k / (v - v) FROM l_plain", ErrorKind::User, "zero"),
        ("SELECT l.k, (SELECT r.k FROM r_plain r) AS x FROM l_plain l", ErrorKind::User, "more than one row"),
        (&nested, ErrorKind::User, "recursion limit"),
        ("SELECT array_agg(k) FILTER (WHERE v > 1) OVER () FROM l_plain", ErrorKind::Unsupported, "CASE WHEN"),
        (&long, ErrorKind::Limit, "MAX_OPERATOR_CHAIN"),
        ("SELECT CAST('x' AS INT) FROM l_plain", ErrorKind::User, "x"),
    ];
    for (sql, kind, text) in cases {
        let error = match session.execute(sql).await {
            Ok(execution) => execution.collect().await.expect_err(sql),
            Err(error) => error,
        };
        assert_eq!(error.kind, kind, "{sql}: {error}");
        assert!(error.message.contains(text), "{sql}: {error}");
    }
    let ended = session.execute("SELECT count(*) FROM l_plain").await.unwrap().collect().await;
    assert!(ended.is_ok());
    cluster.wait_until_empty().await.unwrap();
    cluster.stop().await;
}

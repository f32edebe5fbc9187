//! What a path means.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, StringArray};
use windrow::Session;
use windrow_common::ErrorKind;

use super::{failure, numbers, parquet, rows};

async fn check(session: &Session, cases: &[(String, &[&str])]) {
    for (sql, expected) in cases {
        assert_eq!(rows(session, sql).await, *expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_directories_and_patterns() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    numbers(&root.join("t/a1.parquet"), &[1]);
    numbers(&root.join("t/a2.parquet"), &[2]);
    numbers(&root.join("t/b3.parquet"), &[3]);
    numbers(&root.join("t/_hidden.parquet"), &[100]);
    numbers(&root.join("t/.hidden.parquet"), &[100]);
    numbers(&root.join("t/sub/a4.parquet"), &[4]);
    numbers(&root.join("t/sub/deep/a5.parquet"), &[5]);
    numbers(&root.join("t/with space [1].parquet"), &[6]);
    std::fs::write(root.join("t/readme.md"), "no data").unwrap();
    std::fs::write(root.join("t/_SUCCESS"), "").unwrap();
    std::fs::create_dir_all(root.join("void")).unwrap();
    let session = Session::embedded().await.unwrap();
    let t = root.join("t").display().to_string();
    let sum = |place: &str| format!("SELECT sum(a) FROM '{t}{place}'");
    let cases: [(String, &[&str]); 12] = [
        (sum("/a1.parquet"), &["1"]),
        (sum("/*.parquet"), &["12"]),
        (sum("/sub/deep"), &["5"]),
        (sum("/sub/deep/"), &["5"]),
        (sum("/a*.parquet"), &["3"]),
        (sum("/[ab]?.parquet"), &["6"]),
        (sum("/*/a*.parquet"), &["4"]),
        (sum("/**/*.parquet"), &["21"]),
        (sum("/**/a*.parquet"), &["12"]),
        (sum("/with space [1].parquet"), &["6"]),
        (format!("SELECT sum(a) FROM 'file://{t}/with%20space%20%5B1%5D.parquet'"), &["6"]),
        (format!("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{t}/sub/deep/'"), &[]),
    ];
    check(&session, &cases).await;
    assert_eq!(rows(&session, "SELECT sum(a) FROM x").await, ["5"]);
    // A file that comes later belongs to the table.
    numbers(&root.join("t/sub/deep/a6.parquet"), &[60]);
    assert_eq!(rows(&session, "SELECT sum(a) FROM x").await, ["65"]);
    // Nothing is left out without a word: neither files of other directories nor what a pattern means.
    std::fs::create_dir_all(root.join("t/sub/deep/er")).unwrap();
    std::fs::write(root.join("t/sub/deep/er/notes.md"), "no data").unwrap();
    assert_eq!(rows(&session, "SELECT sum(a) FROM x").await, ["65"]);
    numbers(&root.join("t/sub/deep/er/a7.parquet"), &[600]);
    for (sql, says) in [
        ("SELECT sum(a) FROM x".to_owned(), "such as 'er/a7.parquet'"),
        (sum(""), "/t/**/*.parquet' for all"),
        (sum("/"), "/t/*.parquet' for those"),
        (sum("/*"), "readme.md"),
        (
            format!("CREATE EXTERNAL TABLE y STORED AS PARQUET LOCATION '{t}/sub/'"),
            "directories that are no partitions",
        ),
    ] {
        let error = failure(&session, &sql).await;
        assert!(error.kind == ErrorKind::User && error.message.contains(says), "{sql}: {error}");
    }
    std::fs::remove_dir_all(root.join("t/sub/deep/er")).unwrap();
    for (place, kind, says) in [
        (format!("{t}/nothing*.parquet"), ErrorKind::NotFound, "no file matches"),
        (format!("{t}/nothing.parquet"), ErrorKind::NotFound, "there is no file or directory"),
        (root.join("void/").display().to_string(), ErrorKind::NotFound, "subdirectories"),
        (format!("{t}/readme.md"), ErrorKind::User, "does not tell its format"),
        ("hdfs://h/x.parquet".to_owned(), ErrorKind::Unsupported, "no store 'hdfs://'"),
    ] {
        let error = failure(&session, &format!("SELECT * FROM '{place}'")).await;
        assert!(error.kind == kind && error.message.contains(says), "{place}: {:?} {error}", error.kind);
        assert!(error.message.contains(place.trim_end_matches('/')), "{place}: {error}");
    }
    session.close().await;
}

fn hive(root: &Path) {
    let (null, escaped) = ("__HIVE_DEFAULT_PARTITION__", "x%2Fy z");
    for (index, (year, region)) in
        [("2023", "north"), ("2024", "north"), ("2024", "south"), ("2024", null), (null, escaped)].iter().enumerate()
    {
        numbers(&root.join(format!("year={year}/region={region}/f.parquet")), &[1 << index]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_columns_and_prune() {
    let dir = tempfile::tempdir().unwrap();
    hive(dir.path());
    let session = Session::embedded().await.unwrap();
    let t = dir.path().display().to_string();
    let columns = format!("SELECT arrow_typeof(year), arrow_typeof(region) FROM '{t}' WHERE a = 1");
    let by = |condition: &str| format!("SELECT sum(a) FROM '{t}' WHERE {condition}");
    let cases: [(String, &[&str]); 9] = [
        (columns, &["Int64|Utf8"]),
        (by("year = 2024"), &["14"]),
        (by("year > 2023 AND region = 'north'"), &["2"]),
        (by("region IS NULL"), &["8"]),
        (by("year IS NULL"), &["16"]),
        (by("region = 'x/y z'"), &["16"]),
        (by("year IS NULL OR a = 1"), &["17"]),
        (by("region LIKE 'n%' AND a > 1"), &["2"]),
        (by("year = 1999"), &[""]),
    ];
    check(&session, &cases).await;
    // A single file is in its partitions too.
    let single = format!(
        "CREATE EXTERNAL TABLE one (a BIGINT, year INT) STORED AS PARQUET PARTITIONED BY (year) \
         LOCATION '{t}/year=2023/region=north/f.parquet'"
    );
    let cases: [(String, &[&str]); 3] = [
        (single, &[]),
        ("SELECT sum(a) FROM one WHERE year = 2023".to_owned(), &["1"]),
        ("SELECT count(*) FROM one WHERE year = 2024".to_owned(), &["0"]),
    ];
    check(&session, &cases).await;
    // Directories of other partitions are not even looked into: what lies there does not matter.
    std::fs::write(dir.path().join("year=2023/region=north/broken.parquet"), "this is not Parquet").unwrap();
    let declared = format!(
        "CREATE EXTERNAL TABLE p (a BIGINT, year INT, region VARCHAR) STORED AS PARQUET PARTITIONED BY (year, region) LOCATION '{t}'"
    );
    rows(&session, &declared).await;
    assert_eq!(rows(&session, "SELECT sum(a) FROM p WHERE year = 2024").await, ["14"]);
    assert_eq!(rows(&session, "SELECT count(*), max(year) FROM p WHERE region = 'south'").await, ["1|2024"]);
    let error = failure(&session, "SELECT sum(a) FROM p").await;
    assert!(error.message.contains("broken.parquet"), "{error}");
    std::fs::remove_file(dir.path().join("year=2023/region=north/broken.parquet")).unwrap();
    numbers(&dir.path().join("year=soon/region=north/f.parquet"), &[1000]);
    let error = failure(&session, "SELECT sum(a) FROM p").await;
    assert!(error.message.contains("'soon' cannot be a value of partition column year"), "{error}");
    session.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_whose_columns_differ_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let int = |values: &[i32]| Arc::new(Int32Array::from(values.to_vec())) as ArrayRef;
    let long = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let float = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    parquet(&dir.path().join("1.parquet"), vec![("id", int(&[1])), ("name", text(&["one"]))]);
    parquet(&dir.path().join("2.parquet"), vec![("name", text(&["two"])), ("id", long(&[1 << 40]))]);
    parquet(&dir.path().join("3.parquet"), vec![("id", int(&[3])), ("score", float(&[0.5]))]);
    let session = Session::embedded().await.unwrap();
    let t = dir.path().display().to_string();
    let cases: [(String, &[&str]); 3] = [
        (format!("SELECT id, name, score FROM '{t}' ORDER BY id"), &["1|one|", "3||0.5", "1099511627776|two|"]),
        (format!("SELECT count(*) FROM '{t}' WHERE id > 3"), &["1"]),
        (format!("SELECT arrow_typeof(id) FROM '{t}' LIMIT 1"), &["Int64"]),
    ];
    check(&session, &cases).await;
    // Read as another type, values are in another order: what footers say of the smallest is not so.
    parquet(&dir.path().join("apart/numbers.parquet"), vec![("id", int(&[9, 10, 100]))]);
    parquet(&dir.path().join("apart/texts.parquet"), vec![("id", text(&["9", "10", "100"]))]);
    let declared = |name: &str, kind: &str, file: &str| {
        format!("CREATE EXTERNAL TABLE {name} (id {kind}) STORED AS PARQUET LOCATION '{t}/apart/{file}.parquet'")
    };
    let cases: [(String, &[&str]); 4] = [
        (declared("as_text", "VARCHAR", "numbers"), &[]),
        ("SELECT min(id), max(id) FROM as_text".to_owned(), &["10|9"]),
        (declared("as_number", "BIGINT", "texts"), &[]),
        ("SELECT min(id), max(id) FROM as_number".to_owned(), &["9|100"]),
    ];
    check(&session, &cases).await;
    std::fs::remove_dir_all(dir.path().join("apart")).unwrap();
    let days = Arc::new(Date32Array::from(vec![1])) as ArrayRef;
    parquet(&dir.path().join("4.parquet"), vec![("id", days)]);
    let error = failure(&session, &format!("SELECT * FROM '{t}'")).await;
    assert!(error.message.contains("'id'") || error.message.contains(" id"), "{error}");
    assert!(error.message.contains("4.parquet"), "{error}");
    session.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_files_are_few_tasks() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..2000 {
        std::fs::write(dir.path().join(format!("f{index:04}.csv")), format!("a,b\n{index},x\n")).unwrap();
    }
    let cluster = windrow_suite::cluster::Cluster::start(2, 2).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off"), ("windrow.partitions", "8")]).await.unwrap();
    let sql = format!("SELECT count(*), sum(a) FROM '{}'", dir.path().display());
    let (batches, report) = session.execute(&sql).await.unwrap().collect().await.unwrap();
    assert_eq!(super::texts(&batches), ["2000|1999000"]);
    assert!(report.tasks() <= 20, "{} tasks", report.tasks());
    cluster.stop().await;
}

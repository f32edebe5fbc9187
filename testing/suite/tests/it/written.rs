//! What SQL writes, in every format, partitioned and sorted: read back as a table, and looked at as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use tempfile::TempDir;
use windrow::{ByteSize, Deployment, ErrorKind, Session};
use windrow_suite::cluster::Cluster;

/// Rows of the table that is written.
const ROWS: i64 = 50_000;
/// Its columns, for readers of text.
const COLUMNS: &str = "(id BIGINT, word VARCHAR, price DECIMAL(12,2), day DATE, flag BOOLEAN, ratio DOUBLE)";

/// A session, and a place to write to.
struct Writing {
    session: Session,
    cluster: Option<Cluster>,
    directory: TempDir,
}

impl Writing {
    async fn embedded() -> Self {
        let session = Session::open(Deployment::Embedded { cores: 2, memory: ByteSize::gib(1) }).await.unwrap();
        Self::with(session, None).await
    }

    /// Three workers and an exchange wherever one can be.
    async fn on_workers() -> Self {
        let cluster = Cluster::start(3, 1).await.unwrap();
        let session = cluster.session(&[("windrow.fast_path", "off"), ("windrow.partitions", "3")]).await.unwrap();
        Self::with(session, Some(cluster)).await
    }

    async fn with(session: Session, cluster: Option<Cluster>) -> Self {
        let writing = Self { session, cluster, directory: tempfile::tempdir().unwrap() };
        let create = format!(
            "CREATE TABLE base AS SELECT i AS id, \
             CASE WHEN i % 7 = 0 THEN NULL WHEN i % 11 = 0 THEN concat('say \"', i, '\", or; not, ü') \
             ELSE concat('w', i % 100) END AS word, \
             CAST(CAST(i AS DECIMAL(12,2)) / 8 AS DECIMAL(12,2)) AS price, \
             CAST(CAST(19723 + i % 40 AS INT) AS DATE) AS day, i % 3 = 0 AS flag, CAST(i AS DOUBLE) / 7 AS ratio \
             FROM generate_series(1, {ROWS}) t(i)"
        );
        writing.run(&create).await;
        writing.run("CREATE VIEW src AS SELECT id, word, price, day, flag, ratio FROM base").await;
        writing
    }

    async fn run(&self, sql: &str) -> Vec<RecordBatch> {
        self.try_run(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    async fn try_run(&self, sql: &str) -> windrow::Result<Vec<RecordBatch>> {
        Ok(self.session.execute(sql).await?.collect().await?.0)
    }

    /// The number in the first column of the only row.
    async fn number(&self, sql: &str) -> i64 {
        let batches = self.run(sql).await;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0).unwrap_or_else(|| panic!("{sql}: no row"));
        let column = arrow::compute::cast(batch.column(0), &DataType::Int64).unwrap();
        column.as_primitive::<Int64Type>().value(0)
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Asserts that a table holds every row so many times, each of them equal to one of the source.
    async fn assert_holds(&self, table: &str, copies: i64) {
        let columns = "id, word, price, day, flag, ratio";
        assert_eq!(self.number(&format!("SELECT count(*) FROM {table}")).await, copies * ROWS, "{table}");
        for (from, without) in [(table, "src"), ("src", table)] {
            let sql = format!(
                "SELECT count(*) FROM (SELECT {columns} FROM {from} EXCEPT SELECT {columns} FROM {without}) AS other"
            );
            assert_eq!(self.number(&sql).await, 0, "rows of {from} that are not in {without}");
        }
    }

    async fn stop(self) {
        self.session.close().await;
        if let Some(cluster) = self.cluster {
            cluster.wait_until_empty().await.unwrap();
            cluster.stop().await;
        }
    }
}

/// The visible files below a directory, by their names relative to it.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(root.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_str().unwrap().to_owned();
            let relative = directory.join(&name);
            match entry.file_type().unwrap().is_dir() {
                true if name.contains('=') => directories.push(relative),
                false if !name.starts_with(['_', '.']) => found.push(relative.to_str().unwrap().to_owned()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The numbers in the first column of CSV files without a header, file by file in the order of their names.
fn first_numbers(root: &Path, files: &[String]) -> Vec<Vec<i64>> {
    let numbers = |file: &String| {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        text.lines().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
    };
    files.iter().map(numbers).collect()
}

/// Formats that a table reads back: the name, the columns that it must be told, and its options.
fn readable() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("PARQUET", "", ""),
        ("CSV", COLUMNS, "OPTIONS (format.has_header true)"),
        ("JSON", COLUMNS, ""),
        ("ARROW", "", ""),
        ("AVRO", "", ""),
    ]
}

async fn every_format_is_copied(writing: &Writing) {
    for (format, columns, options) in readable() {
        let place = writing.place(&format!("copied_{format}"));
        let place = place.display();
        let copied = writing.number(&format!("COPY src TO '{place}/' STORED AS {format}")).await;
        assert_eq!(copied, ROWS, "{format}");
        let table = format!("copied_{}", format.to_lowercase());
        writing
            .run(&format!("CREATE EXTERNAL TABLE {table} {columns} STORED AS {format} LOCATION '{place}/' {options}"))
            .await;
        writing.assert_holds(&table, 1).await;

        writing.run(&format!("INSERT INTO {table} SELECT * FROM src")).await;
        writing.assert_holds(&table, 2).await;
        writing.run(&format!("INSERT OVERWRITE {table} SELECT * FROM src")).await;
        writing.assert_holds(&table, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_copied_and_inserted_into_embedded() {
    let writing = Writing::embedded().await;
    every_format_is_copied(&writing).await;
    writing.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_copied_and_inserted_into_on_workers() {
    let writing = Writing::on_workers().await;
    every_format_is_copied(&writing).await;
    writing.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_a_file_says_its_format() {
    let writing = Writing::embedded().await;
    for (name, starts_with) in [
        ("x.parquet", b"PAR1".as_slice()),
        ("x.csv", b"id,word,price,day,flag,ratio\n"),
        ("x.tsv", b"id\tword\tprice\tday\tflag\tratio\n"),
        ("x.ndjson", b"{\"id\":"),
        ("x.csv.gz", &[0x1f, 0x8b]),
        ("x.json.zst", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("x.arrow", b"ARROW1"),
        ("x.arrows", &[0xff, 0xff, 0xff, 0xff]),
        ("x.avro", b"Obj\x01"),
    ] {
        let place = writing.place(name);
        let copied = writing.number(&format!("COPY src TO '{}'", place.display())).await;
        assert_eq!(copied, ROWS, "{name}");
        assert!(std::fs::read(&place).unwrap().starts_with(starts_with), "{name}");
    }
    let place = writing.place("compressed");
    let copy = format!("COPY src TO '{}/' STORED AS TSV OPTIONS (compression 'gzip(9)')", place.display());
    writing.run(&copy).await;
    assert!(files(&place).iter().all(|name| name.ends_with(".tsv.gz")), "{:?}", files(&place));
    writing.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradictions_and_what_a_format_lacks_are_refused_before_anything_is_written() {
    let writing = Writing::embedded().await;
    let place = writing.place("refused");
    let at = |name: &str| place.join(name).display().to_string();
    for (sql, says) in [
        (format!("COPY src TO '{}' STORED AS CSV", at("x.parquet")), "STORED AS PARQUET"),
        (format!("COPY src TO '{}' OPTIONS (compression gzip)", at("x.csv")), "name.csv.gz"),
        (format!("COPY src TO '{}' OPTIONS (compression zstd)", at("x.csv.gz")), "contradict"),
        (format!("COPY src TO '{}/' STORED AS ORC", at("x")), "PARQUET, CSV"),
        (format!("COPY src TO '{}/'", at("x")), "STORED AS"),
        (format!("COPY src TO '{}/' STORED AS CSV OPTIONS (row_group_rows 5)", at("x")), "means nothing for csv"),
        (format!("COPY (SELECT make_array(id) AS tags FROM src) TO '{}/' STORED AS CSV", at("x")), "'tags'"),
        (format!("COPY (SELECT id AS \"a b\" FROM src) TO '{}/' STORED AS AVRO", at("x")), "'a b'"),
        (format!("COPY src TO '{}/' STORED AS CSV PARTITIONED BY (ratio)", at("x")), "'ratio'"),
        (format!("COPY src TO '{}/' STORED AS CSV PARTITIONED BY (day, day)", at("x")), "twice"),
        (format!("COPY (SELECT day FROM src) TO '{}/' STORED AS CSV PARTITIONED BY (day)", at("x")), "all columns"),
        (format!("COPY src TO '{}' PARTITIONED BY (day)", at("x.csv")), "single file"),
        (format!("COPY src TO '{}/' STORED AS CSV PARTITIONED BY (nope)", at("x")), "nope"),
    ] {
        let error = writing.try_run(&sql).await.unwrap_err();
        assert!(error.message.contains(says), "{sql}: {error}");
        assert_ne!(error.kind, ErrorKind::Internal, "{sql}: {error}");
        assert!(!place.exists(), "{sql} has made something");
    }
    writing.stop().await;
}

/// Writes by day and flag, reads it back as a table of partitions, and writes into that.
async fn partitions_are_written(writing: &Writing, format: &str, options: &str) {
    let place = writing.place(&format!("by_day_{format}"));
    let shown = place.display();
    let copy = format!("COPY src TO '{shown}/' STORED AS {format} PARTITIONED BY (day, Flag)");
    assert_eq!(writing.number(&copy).await, ROWS);
    let names = files(&place);
    let directories: BTreeMap<&str, usize> = names.iter().fold(BTreeMap::new(), |mut all, name| {
        *all.entry(name.rsplit_once('/').unwrap().0).or_default() += 1;
        all
    });
    // i % 40 and i % 3 meet in every way.
    assert_eq!(directories.len(), 80, "{directories:?}");
    assert!(directories.contains_key("day=2024-01-01/flag=true"), "{directories:?}");
    assert!(directories.values().all(|count| *count == 1), "each directory is written by one task: {directories:?}");

    let table = format!("by_day_{}", format.to_lowercase());
    writing
        .run(&format!(
            "CREATE EXTERNAL TABLE {table} {COLUMNS} STORED AS {format} PARTITIONED BY (day, flag) \
             LOCATION '{shown}/' {options}"
        ))
        .await;
    writing.assert_holds(&table, 1).await;
    writing.run(&format!("INSERT INTO {table} SELECT id, word, price, ratio, day, flag FROM src")).await;
    writing.assert_holds(&table, 2).await;
    assert_eq!(files(&place).len(), 160, "{format}");
    writing.run(&format!("INSERT OVERWRITE {table} SELECT id, word, price, ratio, day, flag FROM src")).await;
    writing.assert_holds(&table, 1).await;
    assert_eq!(files(&place).len(), 80, "{format}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_directories_of_few_files_embedded() {
    let writing = Writing::embedded().await;
    partitions_are_written(&writing, "PARQUET", "").await;
    partitions_are_written(&writing, "CSV", "OPTIONS (format.has_header true)").await;
    writing.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_directories_of_few_files_on_workers() {
    let writing = Writing::on_workers().await;
    partitions_are_written(&writing, "PARQUET", "").await;
    writing.stop().await;
}

/// A sorted result keeps its order from file to file, and in each file of each partition.
async fn order_is_kept(writing: &Writing) {
    let place = writing.place("sorted");
    let copy = format!(
        "COPY (SELECT id, word FROM src WHERE word LIKE 'w%' ORDER BY id DESC) TO '{}/' STORED AS CSV \
         OPTIONS (header false, target_file_size '10KiB')",
        place.display()
    );
    writing.run(&copy).await;
    let names = files(&place);
    let numbers = first_numbers(&place, &names);
    assert!(numbers.len() > 1, "{names:?}");
    assert!(numbers.concat().is_sorted_by(|a, b| a > b), "the order of the files' names is the order of the rows");

    let place = writing.place("sorted_by_day");
    let copy = format!(
        "COPY (SELECT id, flag, day FROM src ORDER BY id DESC) TO '{}/' STORED AS CSV PARTITIONED BY (day) \
         OPTIONS (header false)",
        place.display()
    );
    writing.run(&copy).await;
    let numbers = first_numbers(&place, &files(&place));
    assert_eq!(numbers.iter().map(Vec::len).sum::<usize>() as i64, ROWS);
    assert!(numbers.iter().all(|file| file.is_sorted_by(|a, b| a > b)), "each file is sorted");

    let single = writing.place("sorted.csv");
    writing.run(&format!("COPY (SELECT id FROM src ORDER BY id DESC) TO '{}'", single.display())).await;
    let text = std::fs::read_to_string(single).unwrap();
    let numbers: Vec<i64> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert!(numbers.len() as i64 == ROWS && numbers.is_sorted_by(|a, b| a > b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_embedded_and_on_workers() {
    for writing in [Writing::embedded().await, Writing::on_workers().await] {
        order_is_kept(&writing).await;
        writing.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_written_as_it_was_made() {
    let writing = Writing::embedded().await;
    let place = writing.place("odd");
    std::fs::create_dir(&place).unwrap();
    let shown = place.display();
    writing
        .run(&format!(
            "CREATE EXTERNAL TABLE odd (id BIGINT, word VARCHAR) STORED AS CSV LOCATION '{shown}/' \
             OPTIONS (format.has_header false, format.delimiter ';', format.null_regex '^NA$')"
        ))
        .await;
    writing.run("INSERT INTO odd VALUES (1, 'a;b'), (2, NULL), (3, 'c')").await;
    let text = std::fs::read_to_string(place.join(&files(&place)[0])).unwrap();
    assert_eq!(text, "1;\"a;b\"\n2;NA\n3;c\n");
    assert_eq!(writing.number("SELECT sum(id) FROM odd WHERE word IS NOT NULL").await, 4);
    let error = writing.try_run("INSERT INTO odd VALUES (1, 'x', 2)").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User, "{error}");
    writing.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_table_as_takes_a_format_and_partitions() {
    for writing in [Writing::embedded().await, Writing::on_workers().await] {
        for (index, how) in [
            "",
            "WITH (format = 'csv', null_value = 'NA')",
            "WITH (format = 'json')",
            "WITH (format = 'avro')",
            "STORED AS AVRO",
            "PARTITIONED BY (day) STORED AS PARQUET",
            "WITH (format = 'csv', partitioned_by = 'flag, day', delimiter = ';')",
        ]
        .into_iter()
        .enumerate()
        {
            let table = format!("made_{index}");
            let sql = format!("CREATE TABLE {table} {how} AS SELECT id, word, price, day, flag, ratio FROM src");
            assert_eq!(writing.number(&sql).await, ROWS, "{how}");
            writing.assert_holds(&table, 1).await;
            writing.run(&format!("INSERT INTO {table} SELECT * FROM {table}")).await;
            writing.assert_holds(&table, 2).await;
        }
        let error = writing.try_run("CREATE TABLE no WITH (format = 'orc') AS SELECT 1 AS a").await.unwrap_err();
        assert!(error.message.contains("PARQUET, CSV"), "{error}");
        let error = writing.try_run("CREATE TABLE no WITH (colour = 'red') AS SELECT 1 AS a").await.unwrap_err();
        assert!(error.message.contains("no option 'colour'"), "{error}");
        assert!(writing.try_run("SELECT * FROM no").await.is_err());
        writing.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_where_their_table_is_read() {
    let writing = Writing::embedded().await;
    // Signs that URLs write by their numbers: a path is taken as it stands.
    let place = writing.place("a%20b #1");
    std::fs::create_dir(&place).unwrap();
    let create = |table: &str, place: &Path| {
        format!(
            "CREATE EXTERNAL TABLE {table} (id BIGINT) STORED AS CSV LOCATION '{}/' OPTIONS (format.has_header false)",
            place.display()
        )
    };
    writing.run(&create("signs", &place)).await;
    writing.run("INSERT INTO signs VALUES (1), (2)").await;
    assert_eq!(writing.number("SELECT sum(id) FROM signs").await, 3);
    assert_eq!(files(&place).len(), 1, "and nowhere else");

    // A table that reads files whatever their names is overwritten as a whole.
    let place = writing.place("any_name");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("rows.txt"), "1\n2\n").unwrap();
    writing.run(&create("any_name", &place)).await;
    assert_eq!(writing.number("SELECT sum(id) FROM any_name").await, 3);
    writing.run("INSERT OVERWRITE any_name VALUES (10)").await;
    assert_eq!(writing.number("SELECT sum(id) FROM any_name").await, 10);
    assert_eq!(files(&place).len(), 1);
    writing.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_in_milliseconds_stay_dates() {
    let writing = Writing::embedded().await;
    let rows = "SELECT 1 AS id, arrow_cast('1582-10-15', 'Date64') AS d UNION ALL SELECT 2, NULL";
    let count = |table: &str| {
        format!("SELECT count(*) FROM {table} WHERE id = 2 AND d IS NULL OR CAST(d AS DATE) = DATE '1582-10-15'")
    };
    for (table, how) in
        [("plain", ""), ("divided", "PARTITIONED BY (d) STORED AS PARQUET"), ("with_avro", "STORED AS AVRO")]
    {
        writing.run(&format!("CREATE TABLE {table} {how} AS {rows}")).await;
        assert_eq!(writing.number(&count(table)).await, 2, "{table}");
        writing.run(&format!("INSERT INTO {table} SELECT id, d FROM {table}")).await;
        assert_eq!(writing.number(&count(table)).await, 4, "{table}");
    }
    let evening = "SELECT arrow_cast(TIMESTAMP '2024-01-01T18:00:00', 'Date64') AS d";
    let error = writing.try_run(&format!("CREATE TABLE evening AS {evening}")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User, "{error}");
    assert!(error.message.contains("cast it to TIMESTAMP"), "{error}");
    assert!(writing.try_run("SELECT * FROM evening").await.is_err());
    writing.stop().await;
}

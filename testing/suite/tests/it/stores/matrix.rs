//! Every format × {file, directory, pattern, partitions} × compression, written and read back: in a directory of this
//! machine, in S3, and (files only, for nobody can list or write there) from a web server.

use windrow::Session;
use windrow_stores_testing::{Config, HttpConfig, HttpServer};

use super::{Lake, rows};

/// What STORED AS calls it, the extension, and the compressions of whole files.
const FORMATS: [(&str, &str, &[&str]); 7] = [
    ("PARQUET", "parquet", &[""]),
    ("CSV", "csv", &["", "gz", "zst"]),
    ("TSV", "tsv", &["", "gz", "zst"]),
    ("JSON", "json", &["", "gz", "zst"]),
    ("ARROW", "arrow", &[""]),
    ("ARROWS", "arrows", &[""]),
    ("AVRO", "avro", &[""]),
];
const SOURCE: &str = "SELECT value AS id, CASE WHEN value % 7 = 0 THEN NULL ELSE concat('näme \"', value, '\", x') END AS name, \
                      value / 4.0 AS x, value % 2 = 0 AS flag, \
                      CAST('2024-01-01' AS DATE) + CAST(value % 90 AS INT) AS day, value % 3 AS part \
                      FROM generate_series(1, 5000)";

/// By name: the columns of JSON come in an order of their own.
const COLUMNS: &str = "(id, name, x, flag, day, part)";

/// Everything that must come back, as one row.
fn sums(from: &str) -> String {
    format!(
        "SELECT count(*), sum(id), count(name), sum(length(name)), max(name), sum(x), \
         sum(CASE WHEN flag THEN 1 ELSE 0 END), min(day), max(day), sum(part) FROM {from}"
    )
}

async fn write(session: &Session, target: &str, format: &str, compression: &str, partitioned: bool) {
    let options = match compression {
        "gz" => " OPTIONS (compression 'gzip')",
        "zst" => " OPTIONS (compression 'zstd')",
        _ => "",
    };
    let by = if partitioned { " PARTITIONED BY (part)" } else { "" };
    let sql = format!("COPY ({SOURCE}) TO '{target}' STORED AS {format}{by}{options}");
    assert_eq!(rows(session, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")), ["5000"], "{sql}");
}

/// Writes and reads all of it below a place; the files that it made, by name.
async fn everything(session: &Session, place: &str) -> Vec<String> {
    let expected = rows(session, &sums(&format!("({SOURCE})"))).await.unwrap();
    let mut files = vec![];
    for (format, extension, compressions) in FORMATS {
        for compression in compressions {
            let dot = if compression.is_empty() { "" } else { "." };
            let extension = format!("{extension}{dot}{compression}");
            let name = extension.replace('.', "_");
            let (file, directory, partitions) =
                (format!("{name}/one.{extension}"), format!("{name}_d/"), format!("{name}_p/"));
            write(session, &format!("{place}/{file}"), format, compression, false).await;
            write(session, &format!("{place}/{directory}"), format, compression, false).await;
            write(session, &format!("{place}/{partitions}"), format, compression, true).await;
            let pattern = format!("{name}*/**/*.{extension}");
            for path in [&file, &directory, &partitions, &format!("{directory}*.{extension}")] {
                let sql = sums(&format!("'{place}/{path}'"));
                let found = rows(session, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
                assert_eq!(found, expected, "{sql}");
            }
            let sql = format!("SELECT count(*) FROM '{place}/{pattern}'");
            assert_eq!(rows(session, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")), ["15000"], "{sql}");
            let pruned = format!("SELECT count(*) FROM '{place}/{partitions}' WHERE part = 1");
            assert_eq!(rows(session, &pruned).await.unwrap(), ["1667"], "{pruned}");
            let table = format!("t_{name}");
            let options =
                if compression.is_empty() { String::new() } else { format!(" OPTIONS (compression '{compression}')") };
            let create =
                format!("CREATE EXTERNAL TABLE {table} STORED AS {format} LOCATION '{place}/{directory}'{options}");
            rows(session, &create).await.unwrap_or_else(|e| panic!("{create}: {e}"));
            let insert = format!("INSERT INTO {table} {COLUMNS} {SOURCE} LIMIT 10");
            assert_eq!(rows(session, &insert).await.unwrap_or_else(|e| panic!("{insert}: {e}")), ["10"], "{insert}");
            assert_eq!(rows(session, &format!("SELECT count(*) FROM {table}")).await.unwrap(), ["5010"], "{table}");
            let overwrite = format!("INSERT OVERWRITE {table} {COLUMNS} {SOURCE}");
            assert_eq!(rows(session, &overwrite).await.unwrap_or_else(|e| panic!("{overwrite}: {e}")), ["5000"]);
            assert_eq!(rows(session, &sums(&table)).await.unwrap(), expected, "{table}");
            rows(session, &format!("DROP TABLE {table}")).await.unwrap();
            files.push(file);
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_in_a_directory_and_from_a_web_server() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = windrow_suite::cluster::Cluster::start(2, 1).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off")]).await.unwrap();
    let files = everything(&session, &directory.path().display().to_string()).await;
    let expected = rows(&session, &sums(&format!("({SOURCE})"))).await.unwrap();
    for config in [HttpConfig::directory(directory.path()), HttpConfig::directory(directory.path()).without_etags()] {
        let server = HttpServer::start(config).unwrap();
        for file in &files {
            let sql = sums(&format!("'{}/{file}'", server.url()));
            let found = rows(&session, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            assert_eq!(found, expected, "{sql}");
        }
    }
    session.close().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_in_s3() {
    let lake = Lake::open(Config::default()).await;
    everything(&lake.session, "s3://lake").await;
    assert!(lake.server.uploads().is_empty(), "uploads are left: {:?}", lake.server.uploads());
    lake.close().await;
}

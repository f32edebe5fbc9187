//! Targets whose writes are told apart by a tag: it stands in each of a write's rows, and in their number. So the log of a
//! target says whose rows must be there, and a reader counts them.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use windrow::Session;
use windrow_common::SinkMode;

use crate::cluster_of_processes::in_time;
use crate::copied::collect;
use crate::place::Place;

/// Rows of a write, but for its tag: from the number of rows of a manifest one knows whose it is.
pub const ROWS: i64 = 90_000;
/// Numbers of a source: more than rows of any write.
pub const NUMBERS: i64 = 100_000;
/// Partitions of what is written by directories.
const DIRECTORIES: i64 = 5;

/// One write.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub mode: SinkMode,
    /// Which of a target's writes: it stands in each of its rows, and it has so many rows more than [`ROWS`].
    pub tag: i64,
    /// Whether it is an INSERT, which knows no `error_if_exists`; else a COPY.
    pub insert: bool,
}

/// What the log of a target says.
#[derive(Debug, Default)]
struct Logged {
    /// Tags of all writes that were decided for.
    published: BTreeSet<i64>,
    /// Tags of those whose rows are there, by the order of the decisions and their modes.
    there: BTreeSet<i64>,
    /// The files of those.
    files: BTreeSet<String>,
}

/// A fresh target.
pub struct Target<'a> {
    pub place: &'a Place,
    /// Where the numbers lie.
    pub source: &'a Path,
    pub name: String,
    pub partitioned: bool,
}

impl Target<'_> {
    pub fn location(&self) -> String {
        self.place.location(&self.name)
    }

    /// The query that gives the rows of a write.
    pub fn rows(&self, tag: i64) -> String {
        let (source, rows) = (self.source.display(), ROWS + tag);
        format!("SELECT n, {tag} AS who, n % {DIRECTORIES} AS part FROM '{source}/' WHERE n < {rows}")
    }

    /// The table that an INSERT writes to.
    pub fn table(&self) -> String {
        let (name, location) = (&self.name, self.location());
        let by = if self.partitioned { "PARTITIONED BY (part)" } else { "" };
        format!(
            "CREATE EXTERNAL TABLE {name} (n BIGINT, who BIGINT, part BIGINT) STORED AS PARQUET {by} \
             LOCATION '{location}'"
        )
    }

    /// A write as a statement.
    pub fn sql(&self, write: &Write) -> String {
        let (name, rows, location) = (&self.name, self.rows(write.tag), self.location());
        let by = if self.partitioned { "PARTITIONED BY (part)" } else { "" };
        let mode = match (write.mode, write.insert) {
            (SinkMode::Append, true) => return format!("INSERT INTO {name} {rows}"),
            (SinkMode::Overwrite, true) => return format!("INSERT OVERWRITE {name} {rows}"),
            (SinkMode::Append, false) => "append",
            (SinkMode::Overwrite, false) => "overwrite",
            (SinkMode::ErrorIfExists, _) => "error_if_exists",
        };
        format!("COPY ({rows}) TO '{location}' STORED AS PARQUET {by} OPTIONS (mode '{mode}')")
    }

    /// Reads the log, manifest by manifest.
    fn logged(&self) -> Logged {
        let mut logged = Logged::default();
        let names = self.place.names(&self.name);
        for name in names.iter().filter(|name| name.starts_with("_windrow/") && name.ends_with(".manifest")) {
            let manifest = self.place.read(&self.name, name).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            if manifest["decision"] != "publish" {
                continue;
            }
            let files = manifest["files"].as_array().unwrap();
            let tag = files.iter().map(|file| file["rows"].as_i64().unwrap()).sum::<i64>() - ROWS;
            assert!(logged.published.insert(tag), "write {tag} was decided for twice: {name}");
            match manifest["spec"]["mode"].as_str() {
                Some("append") => {}
                Some("overwrite") => {
                    logged.there.clear();
                    logged.files.clear();
                }
                Some("error-if-exists") => assert!(logged.there.is_empty(), "{name}: something was there"),
                other => panic!("{name}: {other:?}"),
            }
            logged.there.insert(tag);
            logged.files.extend(files.iter().map(|file| file["name"].as_str().unwrap().to_owned()));
        }
        logged
    }

    /// What both read is what the log says, to the row; what was acknowledged is in the log and what was refused is not;
    /// nothing else is to be seen, and nothing is left when it was cleaned up.
    pub async fn assert_holds(&self, sessions: [&Session; 2], done: &BTreeSet<i64>) {
        let logged = self.logged();
        let told = format!("{} in {}: {logged:?}", self.name, self.place.name());
        assert_eq!(logged.published, *done, "decided for, and acknowledged: {told}");
        let expected: Vec<[i64; 5]> = logged.there.iter().map(|tag| sums(*tag)).collect();
        for session in sessions {
            assert_eq!(seen(session, &self.location()).await, expected, "{told}");
        }
        assert_eq!(self.place.visible(&self.name), logged.files, "{told}");
        assert_eq!(self.place.cleaned(&self.name), logged.files, "{told}");
    }
}

/// What is to be seen of a write, once.
pub fn sums(tag: i64) -> [i64; 5] {
    let rows = ROWS + tag;
    [tag, rows, rows, rows * (rows - 1) / 2, (0..rows).map(|n| n % DIRECTORIES).sum()]
}

/// What is to be seen of all writes, in the order of their tags.
pub async fn seen(session: &Session, location: &str) -> Vec<[i64; 5]> {
    let sums = "who, count(*) AS c, count(DISTINCT n) AS d, sum(n) AS s, sum(part) AS p";
    let sql = format!("SELECT {sums} FROM '{location}' GROUP BY who ORDER BY who");
    let (batches, _) = in_time(&sql, collect(session, &sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut lines = vec![];
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| arrow::compute::cast(column, &DataType::Int64).unwrap()).collect();
        let value = |column: usize, row: usize| columns[column].as_primitive::<Int64Type>().value(row);
        lines.extend((0..batch.num_rows()).map(|row| std::array::from_fn(|column| value(column, row))));
    }
    lines
}

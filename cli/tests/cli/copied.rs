//! A directory that Windrow has written lineitem to, looked at with other eyes: the files that anybody sees, and the rows
//! that single-process DataFusion reads in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use windrow::Session;
use windrow_common::{Error, Result};
use windrow_tpch::{Oracle, compare};

use crate::cluster_of_processes::names_in;

/// Sums over every column, all of them exact, so that lost, doubled and changed rows show.
const CHECKSUM: &str = "
    count(*) AS rows, sum(l_orderkey) AS l_orderkey, sum(l_partkey) AS l_partkey, sum(l_suppkey) AS l_suppkey,
    sum(l_linenumber) AS l_linenumber, sum(l_quantity) AS l_quantity, sum(l_extendedprice) AS l_extendedprice,
    sum(l_discount) AS l_discount, sum(l_tax) AS l_tax, sum(length(l_comment)) AS l_comment,
    sum(ascii(l_returnflag)) AS l_returnflag, sum(ascii(l_linestatus)) AS l_linestatus,
    sum(length(l_shipinstruct)) AS l_shipinstruct, sum(length(l_shipmode)) AS l_shipmode,
    sum(date_part('day', l_shipdate)) AS l_shipdate, sum(date_part('day', l_commitdate)) AS l_commitdate,
    sum(date_part('day', l_receiptdate)) AS l_receiptdate";

/// A target directory.
pub struct Copied {
    path: PathBuf,
}

/// The visible files of a directory, with their sizes.
pub type Files = BTreeMap<String, u64>;

impl Copied {
    pub fn at(path: &Path) -> Copied {
        Copied { path: path.to_owned() }
    }

    /// As it is written in SQL.
    pub fn location(&self) -> String {
        format!("'{}/'", self.path.display())
    }

    /// Whether this process has a file open that it is staging for this target.
    pub fn is_staged_by(&self, pid: u32) -> bool {
        let Ok(staging) = self.path.join("_windrow/staging").canonicalize() else { return false };
        // Files are closed, and processes end, while they are looked at.
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path.starts_with(&staging))
    }

    /// What is not hidden: data files of Parquet and nothing else. Nothing staged may be left among what is hidden.
    pub fn visible(&self) -> Files {
        let staged = self.path.join("_windrow/staging");
        if staged.exists() {
            assert!(names_in(&staged).is_empty(), "staged files are left: {:?}", names_in(&staged));
        }
        let visible = names_in(&self.path).into_iter().filter(|name| !name.starts_with(['_', '.']));
        visible
            .map(|name| {
                let metadata = std::fs::metadata(self.path.join(&name)).unwrap();
                assert!(metadata.is_file() && name.ends_with(".parquet"), "a stray: {name}");
                (name, metadata.len())
            })
            .collect()
    }

    /// Asserts that it holds exactly `copies` copies of every row of `lineitem`, which the oracle and the session know: by
    /// sums that Windrow computes, by sums that DataFusion computes from the visible files, and row by row.
    pub async fn assert_holds(&self, copies: i64, oracle: &Oracle, session: &Session) {
        let expected = sums(oracle, "lineitem", copies).await;
        let plain = self.read_visible(oracle, CHECKSUM).await;
        assert_eq!(compare(&expected, &plain).unwrap(), None, "the visible files");
        let windrow = format!("SELECT {CHECKSUM} FROM {}", self.location());
        let (ours, _) = collect(session, &windrow).await.unwrap();
        assert_eq!(compare(&expected, &ours).unwrap(), None, "Windrow reading its own");
        // The key of a line item is its order and its number; a line that is there with all its columns joins once.
        let whole = "SELECT count(*) AS pairs FROM lineitem o JOIN copied c ON
            o.l_orderkey = c.l_orderkey AND o.l_linenumber = c.l_linenumber AND o.l_partkey = c.l_partkey AND
            o.l_suppkey = c.l_suppkey AND o.l_extendedprice = c.l_extendedprice AND o.l_comment = c.l_comment AND
            o.l_shipdate = c.l_shipdate AND o.l_shipmode = c.l_shipmode AND o.l_shipinstruct = c.l_shipinstruct AND
            o.l_returnflag = c.l_returnflag AND o.l_discount = c.l_discount AND o.l_tax = c.l_tax";
        self.register(oracle).await;
        let pairs = number(&oracle.run(whole).await.unwrap().0);
        assert_eq!(pairs, number(&expected), "rows that are whole");
    }

    async fn read_visible(&self, oracle: &Oracle, what: &str) -> Vec<RecordBatch> {
        self.register(oracle).await;
        oracle.run(&format!("SELECT {what} FROM copied")).await.unwrap().0
    }

    /// Makes the visible files, and no others, known to DataFusion as `copied`: as they stand in a directory of links.
    async fn register(&self, oracle: &Oracle) {
        let links = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in self.visible().keys() {
            std::os::unix::fs::symlink(self.path.join(name), links.path().join(name)).unwrap();
        }
        let create = "CREATE OR REPLACE EXTERNAL TABLE seen STORED AS PARQUET LOCATION";
        oracle.run(&format!("{create} '{}/'", links.path().display())).await.unwrap();
        // In memory, for the links go at the end of this function.
        oracle.run("CREATE OR REPLACE TABLE copied AS SELECT * FROM seen").await.unwrap();
    }
}

/// The checksum of a table that the oracle knows, as it is when every row is there so many times.
async fn sums(oracle: &Oracle, table: &str, copies: i64) -> Vec<RecordBatch> {
    let repeated = format!("SELECT {CHECKSUM} FROM {table} CROSS JOIN generate_series(1, {copies})");
    oracle.run(&repeated).await.unwrap().0
}

/// Runs a statement to its end.
pub async fn collect(session: &Session, sql: &str) -> Result<(Vec<RecordBatch>, windrow::JobReport)> {
    session.execute(sql).await?.collect().await
}

/// The number in the first column of the first row.
pub fn number(batches: &[RecordBatch]) -> i64 {
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let column = batch.map(|batch| arrow::compute::cast(batch.column(0), &DataType::Int64));
    let column = column.ok_or_else(|| Error::internal("no row")).unwrap().unwrap();
    column.as_primitive::<Int64Type>().value(0)
}

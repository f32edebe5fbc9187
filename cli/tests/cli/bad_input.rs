//! What is wrong with a statement, a file or an address: the right exit code, a message that says what and where, within
//! a bounded time, in this process and on a cluster alike, and nothing left of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cluster_of_processes::{Cluster, names_in};
use crate::windrow::{assert_code, small_data, stderr, stdout, windrow, windrow_in};

/// A cluster, and a directory for what is temporary in this process.
struct Doors {
    cluster: Cluster,
    temporary: TempDir,
}

impl Doors {
    fn open() -> Doors {
        Doors {
            cluster: Cluster::start(2, 1, &[]),
            temporary: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        }
    }

    /// Runs a script in this process and on the cluster. The cluster's tables outlive a script, so it must not matter
    /// whether they are there already.
    fn both(&self, script: &str) -> [(&'static str, Output); 2] {
        let here = windrow_in(self.temporary.path(), &["sql", "--cores", "2", "-c", script]);
        assert_eq!(names_in(self.temporary.path()), BTreeSet::new(), "temporary files are left: {script}");
        let there = windrow(&["sql", "--connect", self.cluster.url(), "-c", script]);
        [("embedded", here), ("on the cluster", there)]
    }

    /// Asserts that a script is the user's fault, and that the message says all of this.
    fn assert_wrong(&self, script: &str, says: &[&str]) {
        for (place, output) in self.both(script) {
            let shown: String = script.chars().take(200).collect();
            assert_eq!(output.status.code(), Some(1), "{place}: {shown}: {} {}", stdout(&output), stderr(&output));
            let message = stderr(&output);
            assert!(message.starts_with("error: "), "{place}: {shown}: {message}");
            for part in says {
                assert!(message.contains(part), "{place}: {shown}: '{part}' is not in: {message}");
            }
            // No stack traces, no names of types or of DataFusion's insides.
            for part in ["panicked", "DataFusionError", "ParserError", "backtrace"] {
                assert!(!message.contains(part), "{place}: {shown}: {message}");
            }
        }
    }

    /// The cluster still answers with all it has; then it goes.
    fn close(self) {
        let script = format!("{} SELECT count(*) FROM lineitem", with_table());
        for (place, output) in self.both(&script) {
            assert_code(&output, 0);
            assert_eq!(stdout(&output), "count(*)\n60175\n", "{place}");
        }
        self.cluster.stop(0);
    }
}

fn with_table() -> String {
    let file = Path::new(small_data()).join("lineitem.parquet");
    format!("CREATE EXTERNAL TABLE IF NOT EXISTS lineitem STORED AS PARQUET LOCATION '{}';", file.display())
}

#[test]
fn wrong_sql_and_wrong_names_are_shown_where_they_stand() {
    let (doors, table) = (Doors::open(), with_table());
    doors.assert_wrong("SELEC 1", &["Line: 1, Column: 1"]);
    doors.assert_wrong("SELECT 1,\n  FROM WHERE 2", &["Line: 2", "Column: "]);
    doors.assert_wrong(&format!("{table} SELECT 'open"), &["statement 2", "Line: 1", "Column: 8"]);
    doors.assert_wrong(
        &format!("{table}\n\nSELECT * FROM lineitm"),
        &["statement 2 (line 3)", "lineitm", "Did you mean 'lineitem'?", "Line: 1, Column: 15"],
    );
    doors.assert_wrong(
        &format!("{table} SELECT l_tax,\n l_ordrkey FROM lineitem"),
        &["l_ordrkey", "Did you mean", "l_orderkey", "Line: 2, Column: 2"],
    );
    doors.assert_wrong(&format!("{table} SELECT summ(l_tax) FROM lineitem"), &["summ", "Did you mean 'sum'?"]);
    doors.assert_wrong(&format!("{table} SELECT l_tax FROM lineitem GROUP BY l_orderkey"), &["l_tax", "GROUP BY"]);
    doors.assert_wrong("SET windrow.fast_path = 'perhaps'; SELECT 1", &["perhaps", "'auto'", "'on'", "'off'"]);
    doors.close();
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let doors = Doors::open();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let whole = std::fs::read(Path::new(small_data()).join("lineitem.parquet")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let mut damaged = whole.clone();
    damaged[1000..200_000].fill(0xAB);
    let create = |name: &str, path: &str| {
        format!("CREATE EXTERNAL TABLE IF NOT EXISTS {name} STORED AS PARQUET LOCATION '{path}';")
    };
    let missing = directory.path().join("missing.parquet").display().to_string();
    doors.assert_wrong(&create("missing", &missing), &["missing.parquet"]);
    doors.assert_wrong(&format!("SELECT * FROM '{missing}'"), &["missing.parquet"]);
    for (name, bytes) in [("truncated", &whole[..whole.len() / 2]), ("short", &whole[..6]), ("empty", &[])] {
        let path = write(&format!("{name}.parquet"), bytes);
        doors.assert_wrong(&create(name, &path), &[&path]);
        doors.assert_wrong(&format!("SELECT count(*) FROM '{path}'"), &[&path]);
    }
    let path = write("damaged.parquet", &damaged);
    doors.assert_wrong(
        &format!("{} SELECT min(l_comment), sum(l_orderkey) FROM damaged", create("damaged", &path)),
        &[&path],
    );
    doors.close();
}

#[test]
fn data_that_does_not_fit_the_statement_fails_it_once() {
    let (doors, table) = (Doors::open(), with_table());
    for settings in ["", "SET windrow.fast_path = 'off';"] {
        let run = |sql: &str| format!("{table} {settings} {sql}");
        let zero = "SELECT l_linenumber / (l_linenumber - l_linenumber) FROM lineitem";
        doors.assert_wrong(&run(zero), &["division by zero"]);
        doors.assert_wrong(&run("SELECT sum(1 / (l_linenumber - 3)) FROM lineitem"), &["division by zero"]);
        doors.assert_wrong(&run("SELECT CAST(l_shipmode AS INT) FROM lineitem"), &["Int32"]);
        doors.assert_wrong(&run("SELECT (SELECT l_tax FROM lineitem) FROM lineitem"), &["more than one row"]);
    }
    doors.close();
}

#[test]
fn what_is_nested_too_deep_is_refused_and_nobody_falls_over() {
    let doors = Doors::open();
    let parentheses = format!("SELECT {}1{}", "(".repeat(1000), ")".repeat(1000));
    doors.assert_wrong(&parentheses, &["recursion limit"]);
    let queries = format!("{} SELECT 1 AS a {}", "SELECT a FROM (".repeat(200), ")".repeat(200));
    doors.assert_wrong(&queries, &["recursion limit"]);
    // Nothing here is nested for the parser; the plan is.
    let steps = (1..=300)
        .map(|step| format!(", c{step} AS (SELECT a + row_number() OVER (ORDER BY a) AS a FROM c{})", step - 1));
    let chain = format!("WITH c0 AS (SELECT 1 AS a) {} SELECT a FROM c300", steps.collect::<String>());
    doors.assert_wrong(&chain, &["nest", "512"]);
    let table = with_table();
    let sum = format!("{table} SELECT {} FROM lineitem", vec!["l_tax"; 5000].join(" + "));
    doors.assert_wrong(&sum, &["nested 5000 levels deep", "4096"]);
    doors.close();
}

/// Something that listens and is not Windrow.
#[derive(Clone, Copy, Debug)]
enum Stranger {
    /// Takes connections and never says a word.
    Silent,
    /// Answers in HTTP/1.1, whatever it is asked.
    WebServer,
    /// Hangs up.
    HangsUp,
}

impl Stranger {
    /// Listens; gives its address, and what must be aborted in the end.
    async fn listen(self) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = async move {
            let mut held = vec![];
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                match self {
                    Stranger::Silent => held.push(socket),
                    // Whoever has gone meanwhile needs no answer.
                    Stranger::WebServer => {
                        drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>").await)
                    }
                    Stranger::HangsUp => drop(socket),
                }
            }
        };
        (address, tokio::spawn(serving))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_at_the_address_and_is_not_windrow_is_not_waited_for() {
    for stranger in [Stranger::Silent, Stranger::WebServer, Stranger::HangsUp] {
        let (address, serving) = stranger.listen().await;
        let url = format!("grpc://{address}");
        for arguments in [vec!["sql", "--connect", &url, "-c", "SELECT 1"], vec!["worker", "--coordinator", &url]] {
            let output = tokio::task::block_in_place(|| windrow(&arguments));
            assert_eq!(output.status.code(), Some(3), "{stranger:?}: {arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).starts_with("error: "), "{stranger:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(&address), "{stranger:?}: {}", stderr(&output));
        }
        serving.abort();
    }
}

#[test]
fn an_address_that_is_taken_or_makes_no_sense_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let cluster = Cluster::start(1, 1, &[]);
    let output = windrow(&["worker", "--coordinator", cluster.url(), "--listen", &taken]);
    assert_code(&output, 3);
    assert!(stderr(&output).contains(&taken), "{}", stderr(&output));
    cluster.stop(0);
    for url in ["grpc://not a host:1", "grpc://127.0.0.1:notaport", "http+unix://x"] {
        let output = windrow(&["sql", "--connect", url, "-c", "SELECT 1"]);
        assert_ne!(output.status.code(), Some(0));
        assert!(stderr(&output).contains(url), "{}", stderr(&output));
    }
}

//! Writing on worker processes: every row once, whoever is killed meanwhile, and what each mode promises about what is
//! there already. With `WINDROW_FULL=1` on lineitem of scale 1, else of scale 0.1.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use windrow::execution::Update;
use windrow::{ErrorKind, JobReport, Result, Session};
use windrow_tpch::{Dataset, Oracle};

use crate::cluster_of_processes::{Cluster, create_tables, in_time};
use crate::copied::{Copied, collect, number};
use crate::windrow::{assert_code, data, signal, stderr, tpch_data, windrow};

/// Lineitem is cut into so many tasks.
const TASKS: u32 = 16;
/// How often it is looked whether a worker is writing.
const LOOK: Duration = Duration::from_millis(1);
const FORCED: [(&str, &str); 2] = [("windrow.fast_path", "off"), ("windrow.partitions", "16")];

/// Three workers, a session, single-process DataFusion beside it, and a place to write to.
struct Writing {
    cluster: Cluster,
    session: Session,
    oracle: Oracle,
    directory: TempDir,
}

impl Writing {
    async fn start(data: &str) -> Writing {
        let cluster = Cluster::start(3, 1, &[]);
        let session = cluster.session(&FORCED).await;
        create_tables(&session, data).await;
        let oracle = Oracle::new(2).unwrap();
        for statement in Dataset::open(Path::new(data)).unwrap().create_tables() {
            oracle.run(&statement).await.unwrap();
        }
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Writing { cluster, session, oracle, directory }
    }

    fn target(&self, name: &str) -> Copied {
        Copied::at(&self.directory.path().join(name))
    }

    /// Runs a statement that writes; the rows that it says it wrote.
    async fn write(&self, sql: &str) -> Result<i64> {
        let (rows, _) = in_time(sql, collect(&self.session, sql)).await?;
        Ok(number(&rows))
    }

    async fn assert_holds(&self, copies: i64, target: &Copied) {
        target.assert_holds(copies, &self.oracle, &self.session).await;
    }

    async fn stop(self, killed: usize) {
        self.session.close().await;
        self.cluster.stop(killed);
    }
}

/// Lineitem in as many files as there are to be tasks, for a small file may be one row group, which one task reads.
async fn cut(data: &str) -> TempDir {
    let oracle = Oracle::new(2).unwrap();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let lineitem = "CREATE EXTERNAL TABLE lineitem STORED AS PARQUET LOCATION";
    oracle.run(&format!("{lineitem} '{data}/lineitem.parquet'")).await.unwrap();
    for file in 0..TASKS {
        let rows = format!("SELECT * FROM lineitem WHERE l_partkey % {TASKS} = {file}");
        let path = directory.path().join(format!("{file:02}.parquet"));
        oracle.run(&format!("COPY ({rows}) TO '{}' STORED AS PARQUET", path.display())).await.unwrap();
    }
    directory
}

/// Kills a worker when so many tasks are done and it has a file half written; false if that was never to be seen before
/// the write was over, which closes the channel.
async fn kill_while_it_writes(
    cluster: &Cluster,
    pid: u32,
    target: &Copied,
    mut done: watch::Receiver<u32>,
    after: u32,
) -> bool {
    if done.wait_for(|done| *done >= after).await.is_err() {
        return false;
    }
    let mut looks = tokio::time::interval(LOOK);
    while done.has_changed().is_ok() {
        looks.tick().await;
        if !target.is_staged_by(pid) {
            continue;
        }
        // Looked at again while it stands still: a task with an open file cannot have been reported.
        signal(pid, "STOP");
        if target.is_staged_by(pid) {
            cluster.kill(pid);
            return true;
        }
        signal(pid, "CONT");
    }
    false
}

/// Copies the pieces of lineitem and kills a worker meanwhile; the report, and whether the worker was killed.
async fn copy_and_kill(
    writing: &Writing,
    source: &Path,
    target: &Copied,
    victim: usize,
    after: u32,
) -> (JobReport, bool) {
    let pieces = format!("CREATE EXTERNAL TABLE pieces STORED AS PARQUET LOCATION '{}/'", source.display());
    collect(&writing.session, &pieces).await.unwrap();
    let sql = format!("COPY (SELECT * FROM pieces) TO {} STORED AS PARQUET", target.location());
    let (tell, done) = watch::channel(0);
    let copying = async {
        // Gone when the copy is over.
        let tell = tell;
        let mut execution = writing.session.execute(&sql).await?;
        let mut written = 0;
        while let Some(update) = execution.next().await? {
            match update {
                Update::Batch(batch) => written = number(&[batch]),
                Update::Progress(progress) => {
                    tell.send_replace(progress.done);
                }
            }
        }
        Ok::<_, windrow::Error>((written, execution.report().cloned().unwrap_or_default()))
    };
    let pid = writing.cluster.workers()[victim];
    let killing = kill_while_it_writes(&writing.cluster, pid, target, done, after);
    let (copied, killed) = in_time("the copy", async { tokio::join!(copying, killing) }).await;
    let (written, report) = copied.unwrap();
    let rows = writing.oracle.run("SELECT count(*) FROM lineitem").await.unwrap().0;
    assert_eq!(written, number(&rows));
    (report, killed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_while_it_writes_costs_no_row_and_doubles_none() {
    let full = std::env::var("WINDROW_FULL").is_ok_and(|value| value == "1");
    let data = if full { data("1") } else { tpch_data().to_owned() };
    let source = cut(&data).await;
    let (mut exercised, moments) = (0, [1, 3, 5, 8, 11]);
    for (seed, after) in moments.into_iter().enumerate() {
        let writing = Writing::start(&data).await;
        let target = writing.target("copy");
        let (report, killed) = copy_and_kill(&writing, source.path(), &target, seed % 3, after).await;
        writing.assert_holds(1, &target).await;
        assert_eq!(report.tasks(), u64::from(TASKS), "each file is read by a task of its own");
        // Every report of a finished task rode to the coordinator with the list of its files, so only what was running
        // on the killed worker is run again; and that is.
        let again: u32 = report.stages.iter().map(|stage| stage.attempts - stage.tasks).sum();
        assert!(!killed || again > 0, "what the killed worker was writing was not written again");
        exercised += usize::from(killed);
        writing.stop(1).await;
    }
    println!("a worker died while it wrote in {exercised} of {} runs", moments.len());
    assert!(exercised > 0, "no worker was killed in the middle of its writing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_appends_replaces_or_refuses_as_it_was_told() {
    let writing = Writing::start(tpch_data()).await;
    let target = writing.target("copy");
    let copy =
        |options: &str| format!("COPY (SELECT * FROM lineitem) TO {} STORED AS PARQUET {options}", target.location());
    let rows = writing.write(&copy("")).await.unwrap();
    writing.assert_holds(1, &target).await;
    let first = target.visible();

    assert_eq!(writing.write(&copy("OPTIONS (mode 'append')")).await.unwrap(), rows);
    writing.assert_holds(2, &target).await;
    let both = target.visible();
    assert!(first.iter().all(|(name, size)| both.get(name) == Some(size)), "append has changed a file");

    assert_eq!(writing.write(&copy("OPTIONS (mode 'overwrite')")).await.unwrap(), rows);
    writing.assert_holds(1, &target).await;
    let last = target.visible();
    assert!(!last.keys().any(|name| both.contains_key(name)), "overwrite has left a file");

    for options in ["OPTIONS (mode 'error_if_exists')", ""] {
        let error = writing.write(&copy(options)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error}");
        assert!(error.message.contains("mode 'append'") && error.message.contains("mode 'overwrite'"), "{error}");
        let output = windrow(&["sql", "--connect", writing.cluster.url(), "-c", &copy(options)]);
        assert_code(&output, 1);
        assert!(stderr(&output).contains("is not empty"), "{}", stderr(&output));
    }
    assert_eq!(target.visible(), last, "what was refused has changed something");
    writing.assert_holds(1, &target).await;
    writing.stop(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insert_adds_and_insert_overwrite_replaces() {
    let writing = Writing::start(tpch_data()).await;
    let target = writing.target("table");
    let copy = format!("COPY (SELECT * FROM lineitem) TO {} STORED AS PARQUET", target.location());
    let rows = writing.write(&copy).await.unwrap();
    let create = format!("CREATE EXTERNAL TABLE written STORED AS PARQUET LOCATION {}", target.location());
    collect(&writing.session, &create).await.unwrap();

    assert_eq!(writing.write("INSERT INTO written SELECT * FROM lineitem").await.unwrap(), rows);
    writing.assert_holds(2, &target).await;
    assert_eq!(writing.write("SELECT count(*) FROM written").await.unwrap(), 2 * rows);

    assert_eq!(writing.write("INSERT OVERWRITE written SELECT * FROM lineitem").await.unwrap(), rows);
    writing.assert_holds(1, &target).await;
    assert_eq!(writing.write("SELECT count(*) FROM written").await.unwrap(), rows);

    // A table may be replaced by what is read from itself.
    let halved = "INSERT OVERWRITE written SELECT * FROM written WHERE l_linenumber = 1";
    let orders = number(&writing.oracle.run("SELECT count(*) FROM orders").await.unwrap().0);
    assert_eq!(writing.write(halved).await.unwrap(), orders);
    assert_eq!(writing.write("SELECT count(*) FROM written").await.unwrap(), orders);
    assert!(!target.visible().is_empty());
    writing.stop(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_table_as_makes_a_table_that_everybody_sees() {
    let writing = Writing::start(tpch_data()).await;
    let rows = number(&writing.oracle.run("SELECT count(*) FROM lineitem").await.unwrap().0);
    assert_eq!(writing.write("CREATE TABLE made AS SELECT * FROM lineitem").await.unwrap(), rows);
    let other = writing.cluster.session(&FORCED).await;
    let sums = "SELECT sum(l_orderkey * l_linenumber) FROM";
    let expected = number(&writing.oracle.run(&format!("{sums} lineitem")).await.unwrap().0);
    let made = collect(&other, &format!("{sums} made")).await.unwrap().0;
    assert_eq!(number(&made), expected);

    let again = writing.write("CREATE TABLE made AS SELECT 1 AS a").await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::AlreadyExists, "{again}");
    assert!(again.message.contains("CREATE OR REPLACE"), "{again}");
    assert_eq!(writing.write("SELECT count(*) FROM made").await.unwrap(), rows);

    let replace = "CREATE OR REPLACE TABLE made AS SELECT * FROM made WHERE l_linenumber = 1";
    let orders = number(&writing.oracle.run("SELECT count(*) FROM orders").await.unwrap().0);
    assert_eq!(writing.write(replace).await.unwrap(), orders);
    assert_eq!(number(&collect(&other, "SELECT count(*) FROM made").await.unwrap().0), orders);
    other.close().await;
    writing.stop(0).await;
}

//! Ctrl-C in the middle: exit code 130, and nobody goes on computing, waiting or keeping files for what was cancelled.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::cluster_of_processes::{Cluster, in_time, names_in};
use crate::windrow::{Running, assert_code, command, is_alive, small_data, stdout, windrow};

/// How long a process must have done nothing to be idle.
const PAUSE: Duration = Duration::from_millis(300);
/// Processor time, in the kernel's ticks of 10 ms, that a busy process has certainly used.
const BUSY: u64 = 20;

/// Processor time that a process has used, in ticks.
fn used(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name in parentheses; user and system time are the 14th and 15th field of all.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

async fn wait_until_busy(pids: &[u32]) {
    let before: u64 = pids.iter().map(|pid| used(*pid)).sum();
    let mut looks = tokio::time::interval(PAUSE / 10);
    let busy = async {
        while pids.iter().map(|pid| used(*pid)).sum::<u64>() < before + BUSY {
            looks.tick().await;
        }
    };
    in_time("something computes", busy).await;
}

async fn wait_until_idle(pids: &[u32]) {
    let mut looks = tokio::time::interval(PAUSE);
    looks.tick().await;
    let idle = async {
        loop {
            let before: u64 = pids.iter().map(|pid| used(*pid)).sum();
            looks.tick().await;
            if pids.iter().map(|pid| used(*pid)).sum::<u64>() <= before + 2 {
                return;
            }
        }
    };
    in_time("nobody computes any more", idle).await;
}

/// Rows that would take hours to make.
fn endless() -> String {
    let table = format!("'{}/lineitem.parquet'", small_data());
    format!("SELECT a.l_comment FROM {table} a, {table} b, {table} c WHERE a.l_tax + b.l_tax + c.l_tax < -1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_on_a_cluster_stops_on_all_workers() {
    let cluster = Cluster::start(2, 1, &[]);
    for fast_path in ["on", "off"] {
        let set = format!("SET windrow.fast_path = '{fast_path}'");
        let mut query = Running::start(&["sql", "--connect", cluster.url(), "-c", &set, "-c", &endless()]);
        wait_until_busy(cluster.workers()).await;
        query.signal("INT");
        assert_eq!(query.wait(), Some(130), "{fast_path}");
        wait_until_idle(cluster.workers()).await;
    }
    let output = windrow(&["sql", "--connect", cluster.url(), "-c", "SELECT 1 AS a"]);
    assert_code(&output, 0);
    assert_eq!(stdout(&output), "a\n1\n");
    cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_killed_is_noticed() {
    let cluster = Cluster::start(2, 1, &[]);
    let mut query = Running::start(&["sql", "--connect", cluster.url(), "-c", &endless()]);
    wait_until_busy(cluster.workers()).await;
    query.signal("KILL");
    assert_eq!(query.wait(), None);
    wait_until_idle(cluster.workers()).await;
    cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_query_stops_and_leaves_no_file() {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let arguments = ["sql", "--cores", "2", "-c", &endless()];
    let mut query = Running::of(command(&arguments).env("TMPDIR", temporary.path()));
    wait_until_busy(&[query.pid()]).await;
    assert_ne!(names_in(temporary.path()), BTreeSet::new(), "it has temporary files while it runs");
    query.signal("INT");
    assert_eq!(query.wait(), Some(130));
    assert_eq!(names_in(temporary.path()), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_cancelled_leaves_nothing_visible_and_nothing_staged() {
    let cluster = Cluster::start(2, 1, &[]);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let target = directory.path().join("copy");
    let table = format!("'{}/lineitem.parquet'", small_data());
    let rows = format!("SELECT a.l_comment FROM {table} a, {table} b, {table} c");
    let copy = format!("COPY ({rows}) TO '{}/' STORED AS PARQUET", target.display());
    let mut query =
        Running::start(&["sql", "--connect", cluster.url(), "-c", "SET windrow.fast_path = 'off'", "-c", &copy]);
    wait_until_busy(cluster.workers()).await;
    query.signal("INT");
    assert_eq!(query.wait(), Some(130));
    wait_until_idle(cluster.workers()).await;
    let mut looks = tokio::time::interval(PAUSE / 10);
    let cleaned = async {
        while is_staged(&target) {
            looks.tick().await;
        }
    };
    in_time("staged files go", cleaned).await;
    let visible = names_in(&target).into_iter().filter(|name| !name.starts_with(['_', '.']));
    assert_eq!(visible.collect::<Vec<_>>(), Vec::<String>::new());
    cluster.stop(0);
}

fn is_staged(target: &Path) -> bool {
    let staging = target.join("_windrow/staging");
    staging.exists() && !names_in(&staging).is_empty()
}

#[test]
fn the_demo_takes_its_processes_and_files_with_it() {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let arguments = ["demo", "--scale", "0.01", "--dir", small_data()];
    let mut demo = Running::of(command(&arguments).env("TMPDIR", temporary.path()));
    let mut workers: Vec<u32> = vec![];
    while workers.len() < 2 {
        let line = demo.line();
        let process = line.split_once(": process ").and_then(|(_, rest)| rest.split_once(','));
        workers.extend(process.map(|(pid, _)| pid.parse::<u32>().unwrap()));
    }
    assert!(workers.iter().all(|pid| is_alive(*pid)));
    demo.signal("INT");
    assert_eq!(demo.wait(), Some(130));
    assert!(!workers.iter().any(|pid| is_alive(*pid)));
    assert_eq!(names_in(temporary.path()), BTreeSet::new());
}

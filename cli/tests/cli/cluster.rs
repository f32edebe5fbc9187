//! `windrow up`: processes that come, work and go, however they are ended.

use std::process::Stdio;

use crate::cluster_of_processes::Cluster;
use crate::windrow::{Running, assert_code, command, signal, stdout, windrow};

#[test]
fn a_cluster_answers_and_leaves_nothing_behind() {
    for name in ["TERM", "INT"] {
        let cluster = Cluster::start(2, 1, &[]);
        let output = windrow(&["sql", "--connect", cluster.url(), "-c", "SELECT 1 AS a"]);
        assert_code(&output, 0);
        assert_eq!(stdout(&output), "a\n1\n");
        cluster.stop_with(name);
    }
}

#[test]
fn workers_go_when_their_parent_is_killed() {
    Cluster::start(2, 1, &[]).kill_coordinator();
}

#[test]
fn a_worker_that_joins_later_is_used() {
    let mut coordinator = Running::start(&["coordinator", "--listen", "127.0.0.1:0"]);
    let line = coordinator.line();
    let url = line.strip_prefix("coordinator at ").unwrap();
    let query = command(&["sql", "--connect", url, "-c", "SELECT 1 AS a"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut worker = Running::start(&["worker", "--coordinator", url, "--cores", "1"]);
    let output = query.wait_with_output().unwrap();
    assert_code(&output, 0);
    signal(worker.pid(), "TERM");
    assert_eq!(worker.wait(), Some(0));
    coordinator.signal("TERM");
    assert_eq!(coordinator.wait(), Some(0));
}

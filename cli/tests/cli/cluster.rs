//! `windrow up`: processes that come, work and go, however they are ended.

use std::process::Stdio;

use crate::windrow::{Running, assert_code, command, is_alive, signal, stdout, wait_until_gone, windrow};

struct Cluster {
    running: Running,
    url: String,
    workers: Vec<u32>,
}

fn up() -> Cluster {
    let mut running = Running::start(&["up", "--workers", "2", "--listen", "127.0.0.1:0", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&running.line()).unwrap();
    assert_eq!(line["coordinator"]["pid"], running.pid());
    let workers = line["workers"].as_array().unwrap();
    let workers: Vec<u32> = workers.iter().map(|w| w["pid"].as_u64().unwrap().try_into().unwrap()).collect();
    assert_eq!(workers.len(), 2);
    assert!(workers.iter().all(|pid| is_alive(*pid)));
    Cluster { running, url: line["flight_sql"].as_str().unwrap().to_owned(), workers }
}

#[test]
fn a_cluster_answers_and_leaves_no_process_behind() {
    for name in ["TERM", "INT"] {
        let mut cluster = up();
        let output = windrow(&["sql", "--connect", &cluster.url, "-c", "SELECT 1 AS a"]);
        assert_code(&output, 0);
        assert_eq!(stdout(&output), "a\n1\n");
        cluster.running.signal(name);
        assert_eq!(cluster.running.wait(), Some(0), "{name}");
        assert!(!cluster.workers.iter().any(|pid| is_alive(*pid)), "{name}");
    }
}

#[test]
fn workers_go_when_their_parent_is_killed() {
    let mut cluster = up();
    cluster.running.signal("KILL");
    assert_eq!(cluster.running.wait(), None);
    cluster.workers.iter().for_each(|pid| wait_until_gone(*pid));
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

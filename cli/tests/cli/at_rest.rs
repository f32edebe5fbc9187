//! The promise that nothing is left of a job that nobody wants any more, on real processes: a client with Ctrl-C, a client
//! that is killed, and a job that is cancelled by somebody else, each while both workers compute.

use std::path::Path;
use std::time::Duration;

use windrow::ClusterCounters;
use windrow_common::WorkerCounters;
use windrow_common::time::{Clock, Timestamp};

use crate::cluster_of_processes::{Cluster, in_time, names_in};
use crate::windrow::{Running, assert_code, stdout, windrow};

/// The promise: "After a cancel, a dropped client or a Ctrl-C: within 1 s no task, charge, file or stream of that job is
/// left (asserted from the engine's own counters)."
const AT_REST_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked whether something has happened of which nobody is told.
const LOOK: Duration = Duration::from_millis(20);
const WORKERS: usize = 2;

/// A million numbers, in partitions: they went through an exchange.
const NUMBERS: &str = "(SELECT v, v % 50 AS k FROM (SELECT DISTINCT value AS v FROM generate_series(1, 1000000)))";

/// Keeps every worker computing for minutes, over rows that lie in the stores.
fn busy() -> String {
    format!("SELECT count(*) FROM {NUMBERS} a JOIN {NUMBERS} b ON a.k = b.k WHERE a.v + b.v < 0")
}

/// The same, and lets a pair through now and then, so that there are files early.
fn copy(target: &Path) -> String {
    format!(
        "COPY (SELECT a.v AS a, b.v AS b FROM {NUMBERS} a JOIN {NUMBERS} b ON a.k = b.k WHERE (a.v + b.v) % 997 = 0)
         TO '{}/' STORED AS PARQUET",
        target.display()
    )
}

/// A cluster, and the eye that is kept on it.
struct Watched {
    cluster: Cluster,
    eye: windrow::Cluster,
}

impl Watched {
    async fn start() -> Watched {
        let cluster = Cluster::start(WORKERS as u32, 1, &[]);
        let eye = windrow::Cluster::connect(cluster.url()).await.unwrap();
        Watched { cluster, eye }
    }

    async fn wait_until(&self, what: &str, shown: impl Fn(&ClusterCounters) -> bool) {
        let mut looks = tokio::time::interval(LOOK);
        let comes = async {
            while !shown(&self.eye.counters().await.unwrap()) {
                looks.tick().await;
            }
        };
        in_time(what, comes).await;
    }

    /// Both workers compute, over rows that they hold.
    async fn wait_until_busy(&self) {
        let busy = |counters: &ClusterCounters| {
            let workers: Vec<WorkerCounters> =
                counters.workers.iter().filter_map(|worker| worker.counters.clone().ok()).collect();
            workers.len() == WORKERS
                && workers.iter().all(|worker| worker.attempts > 0)
                && workers.iter().any(|worker| worker.outputs > 0)
                && counters.coordinator.tasks_running as usize >= WORKERS
        };
        self.wait_until("both workers compute", busy).await;
    }

    /// Nothing is left within the promised time since `clock` was started; `windrow workers` says so, too.
    async fn at_rest(&self, clock: Clock, gone: impl Fn() -> bool) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let looked = clock.now().since(Timestamp::default());
            let (counters, gone) = (self.eye.counters().await.unwrap(), gone());
            if counters.is_at_rest() && counters.coordinator.sessions == 0 && gone {
                break;
            }
            assert!(looked < AT_REST_WITHIN, "left after {looked:?} (files gone: {gone}): {counters:#?}");
            looks.tick().await;
        }
        let output = windrow(&["workers", "--json", "--connect", self.cluster.url()]);
        assert_code(&output, 0);
        let lines: Vec<serde_json::Value> =
            stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1 + WORKERS);
        assert!(lines.iter().all(|line| line["at_rest"] == true), "{}", stdout(&output));
    }

    fn client(&self, statement: &str) -> Running {
        let settings = ["-c", "SET windrow.fast_path = 'off'", "-c", "SET windrow.partitions = 4"];
        let arguments = [&["sql", "--connect", self.cluster.url()][..], &settings, &["-c", statement]].concat();
        Running::start(&arguments)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_leaves_nothing_however_it_goes() {
    let watched = Watched::start().await;
    for (signal, code) in [("INT", Some(130)), ("KILL", None)] {
        let mut client = watched.client(&busy());
        watched.wait_until_busy().await;
        let output = windrow(&["workers", "--connect", watched.cluster.url()]);
        let table = stdout(&output);
        assert!(table.starts_with("worker") && table.contains("tasks") && table.contains("jobs 1"), "{table}");
        let clock = Clock::start();
        client.signal(signal);
        watched.at_rest(clock, || true).await;
        assert_eq!(client.wait(), code);
    }
    watched.cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_interrupted_leaves_no_file() {
    let watched = Watched::start().await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let target = directory.path().join("copy");
    let mut client = watched.client(&copy(&target));
    watched.wait_until_busy().await;
    watched.wait_until("files are staged", |_| target.join("_windrow/staging").exists()).await;
    let clock = Clock::start();
    client.signal("INT");
    watched.at_rest(clock, || only_decisions_in(&target)).await;
    assert_eq!(client.wait(), Some(130));
    watched.cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_leaves_nothing() {
    let watched = Watched::start().await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let target = directory.path().join("copy");
    let script = directory.path().join("script.sql");
    let settings = "SET windrow.fast_path = 'off'; SET windrow.partitions = 4";
    std::fs::write(&script, format!("{settings};\n{}", copy(&target))).unwrap();
    let on_cluster = |arguments: &[&str]| {
        let output = windrow(&[arguments, &["--connect", watched.cluster.url()]].concat());
        assert_code(&output, 0);
        stdout(&output).trim().to_owned()
    };
    let id = on_cluster(&["submit", "--detach", script.to_str().unwrap()]);
    watched.wait_until_busy().await;
    watched.wait_until("files are staged", |_| target.join("_windrow/staging").exists()).await;
    assert_eq!(on_cluster(&["cancel", &id]), format!("{id}: cancelled"));
    watched.at_rest(Clock::start(), || only_decisions_in(&target)).await;
    watched.cluster.stop(0);
}

/// Whether there is nothing in a directory but the log of what was decided about it.
fn only_decisions_in(directory: &Path) -> bool {
    let decided = |name: &String| name.ends_with(".manifest") || name.ends_with(".published");
    names_in(directory).iter().all(|name| name == "_windrow")
        && names_in(&directory.join("_windrow")).iter().all(decided)
}

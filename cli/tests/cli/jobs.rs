//! Scripts handed over to a cluster: they run whether or not anybody watches, twice under one key is once, and the exit
//! code is their outcome.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::cluster_of_processes::Cluster;
use crate::windrow::{Running, assert_code, command, signal, small_data, stderr, stdout, windrow};

/// A cluster, and a place for scripts and what they write.
struct Place {
    cluster: Cluster,
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            cluster: Cluster::start(2, 1, &[]),
            directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        }
    }

    /// A script in a file.
    fn script(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A directory that scripts write to.
    fn target(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A command on the cluster.
    fn on_cluster(&self, arguments: &[&str]) -> Output {
        windrow(&[arguments, &["--connect", self.cluster.url()]].concat())
    }

    /// The job as JSON.
    fn job(&self, id: &str) -> serde_json::Value {
        let output = self.on_cluster(&["job", id, "--json"]);
        assert_code(&output, 0);
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    /// Rows in a directory that was written.
    fn rows(&self, target: &str) -> String {
        let output = self.on_cluster(&["sql", "-c", &format!("SELECT count(*) FROM '{target}/'")]);
        assert_code(&output, 0);
        stdout(&output).lines().nth(1).unwrap().to_owned()
    }
}

fn lineitem() -> String {
    Path::new(small_data()).join("lineitem.parquet").display().to_string()
}

/// Rows that would take hours to make, written to a place.
fn endless(target: &str) -> String {
    let table = format!("'{}'", lineitem());
    format!(
        "COPY (SELECT a.l_comment FROM {table} a, {table} b, {table} c WHERE a.l_tax + b.l_tax + c.l_tax < -1)
         TO '{target}/' STORED AS PARQUET"
    )
}

#[test]
fn a_script_runs_once_under_its_key_and_tells_how_it_went() {
    let place = Place::new();
    let target = place.target("copied");
    let text = format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS l STORED AS PARQUET LOCATION '{}';\n
         -- twice
         COPY l TO '{target}/' STORED AS PARQUET;
         COPY l TO '{target}/' STORED AS PARQUET OPTIONS (mode 'append')",
        lineitem()
    );
    let script = place.script("nightly.sql", &text);
    let first = place.on_cluster(&["submit", &script, "--key", "nightly"]);
    assert_code(&first, 0);
    assert_eq!(place.rows(&target), "120350");
    let id = stdout(&first).trim().to_owned();
    let job = place.job(&id);
    assert_eq!((&job["state"], &job["rows_written"]), (&"succeeded".into(), &120_350.into()), "{job}");
    assert_eq!((&job["statement"], &job["statements"]), (&3.into(), &3.into()), "{job}");

    let again = place.on_cluster(&["submit", &script, "--key", "nightly"]);
    assert_code(&again, 0);
    assert_eq!(stdout(&again).trim(), id);
    assert!(stderr(&again).contains("submitted before"), "{}", stderr(&again));
    assert_eq!(place.rows(&target), "120350", "it was not run again");

    let other = place.script("other.sql", "DROP TABLE IF EXISTS nothing");
    let refused = place.on_cluster(&["submit", &other, "--key", "nightly"]);
    assert_code(&refused, 1);
    assert!(stderr(&refused).contains("nightly"), "{}", stderr(&refused));

    let listed = stdout(&place.on_cluster(&["jobs"]));
    assert!(listed.lines().any(|line| line.starts_with(&id) && line.contains("succeeded")), "{listed}");
    let workers = stdout(&place.on_cluster(&["workers", "--json"]));
    assert_eq!(workers.lines().filter(|line| line.contains(r#""role":"worker""#)).count(), 2, "{workers}");
    place.cluster.stop(0);
}

#[test]
fn what_is_wrong_is_said_with_its_statement_and_the_exit_code_is_the_outcome() {
    let place = Place::new();
    let target = place.target("before");
    for (text, part) in [
        (format!("COPY (SELECT 1) TO '{target}/' STORED AS PARQUET;\nSELECT 1"), "statement 2 (line 2)"),
        (format!("COPY (SELECT 1) TO '{target}/' STORED AS PARQUET;\n\nSELEC 1"), "statement 2 (line 3)"),
    ] {
        let output = place.on_cluster(&["submit", &place.script("wrong.sql", &text)]);
        assert_code(&output, 1);
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
        assert!(!Path::new(&target).exists(), "nothing is run of a script that cannot go well");
    }
    let text =
        format!("COPY (SELECT 1 AS a) TO '{target}/' STORED AS PARQUET;\nCREATE TABLE t AS SELECT b FROM nowhere");
    let output = place.on_cluster(&["submit", &place.script("fails.sql", &text)]);
    assert_code(&output, 1);
    let (id, message) = (stdout(&output).trim().to_owned(), stderr(&output));
    assert!(message.contains("statement 2 (line 2)") && message.contains("nowhere"), "{message}");
    assert_eq!(place.rows(&target), "1", "what was written before stays");
    let job = place.job(&id);
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().unwrap().contains("nowhere"), "{job}");
    let shown = place.on_cluster(&["job", &id, "--wait"]);
    assert_code(&shown, 1);

    assert_code(&place.on_cluster(&["job", "job-00000000"]), 1);
    assert_code(&place.on_cluster(&["cancel", "nonsense"]), 1);
    assert_code(&place.on_cluster(&["submit", &place.target("missing.sql")]), 1);
    assert_code(&windrow(&["jobs", "--connect", "grpc://127.0.0.1:1"]), 3);
    place.cluster.stop(0);
}

#[test]
fn a_job_outlives_its_client_and_ends_when_it_is_cancelled() {
    let place = Place::new();
    let target = place.target("endless");
    let script = place.script("endless.sql", &endless(&target));
    let mut client = Running::start(&["submit", &script, "--connect", place.cluster.url()]);
    let id = client.line().trim().to_owned();
    client.signal("KILL");
    assert_eq!(client.wait(), None);
    assert!(["planning", "running"].contains(&place.job(&id)["state"].as_str().unwrap()));

    let cancelled = place.on_cluster(&["cancel", &id]);
    assert_code(&cancelled, 0);
    assert_eq!(stdout(&cancelled).trim(), format!("{id}: cancelled"));
    assert_eq!(place.job(&id)["state"], "cancelled");
    assert_code(&place.on_cluster(&["job", &id, "--wait"]), 130);

    // The slots are free again, and nothing was published.
    let counted = place.on_cluster(&["sql", "-c", &format!("SELECT count(*) FROM '{}'", lineitem())]);
    assert_eq!(stdout(&counted), "count(*)\n60175\n");
    assert_eq!(visible(&target), 0);
    place.cluster.stop(0);
}

/// Files in a directory that readers see.
fn visible(target: &str) -> usize {
    let seen = |entry: std::io::Result<std::fs::DirEntry>| {
        !entry.unwrap().file_name().to_str().unwrap().starts_with(['_', '.'])
    };
    std::fs::read_dir(target).map_or(0, |entries| entries.map(seen).filter(|seen| *seen).count())
}

#[test]
fn a_job_is_cancelled_exactly_if_it_has_published_nothing() {
    let place = Place::new();
    for round in 0..10 {
        let target = place.target(&format!("copied-{round}"));
        let text = format!("COPY (SELECT l_orderkey FROM '{}') TO '{target}/' STORED AS PARQUET", lineitem());
        let submitted = place.on_cluster(&["submit", &place.script("copy.sql", &text), "--detach"]);
        assert_code(&submitted, 0);
        let id = stdout(&submitted).trim().to_owned();
        // A little later each time, so that the wish comes before, while and after it is published.
        for _ in 0..round {
            place.job(&id);
        }
        assert_code(&place.on_cluster(&["cancel", &id]), 0);
        let job = place.job(&id);
        let expected = if visible(&target) == 0 { "cancelled" } else { "succeeded" };
        assert_eq!(job["state"], expected, "{job}");
        assert_eq!(job["rows_written"], if expected == "succeeded" { 60_175 } else { 0 }, "{job}");
    }
    place.cluster.stop(0);
}

#[test]
fn ctrl_c_cancels_the_job_and_detaching_does_not() {
    let place = Place::new();
    let script = place.script("endless.sql", &endless(&place.target("endless")));
    let mut client = Running::start(&["submit", &script, "--connect", place.cluster.url()]);
    let id = client.line().trim().to_owned();
    client.signal("INT");
    assert_eq!(client.wait(), Some(130));
    assert_code(&place.on_cluster(&["job", &id, "--wait"]), 130);

    let detached = place.on_cluster(&["submit", &script, "--detach", "--key", "long"]);
    assert_code(&detached, 0);
    let id = stdout(&detached).trim().to_owned();
    assert_ne!(place.job(&id)["state"], "cancelled");
    assert_code(&place.on_cluster(&["cancel", &id]), 0);

    // A query that somebody else runs can be cancelled as well.
    let query = endless(&place.target("other")).replace("COPY (", "").split(")\n").next().unwrap().to_owned();
    let mut client = Running::start(&["sql", "--connect", place.cluster.url(), "-c", &query]);
    let id = wait_for_running(&place);
    assert_code(&place.on_cluster(&["cancel", &id]), 0);
    assert_eq!(client.wait(), Some(130));
    place.cluster.stop(0);
}

#[test]
fn only_ctrl_c_in_the_command_that_started_a_job_cancels_it() {
    let place = Place::new();
    let script = place.script("endless.sql", &endless(&place.target("endless")));
    let submit = ["submit", &script, "--key", "long", "--connect", place.cluster.url()];
    let mut client = Running::start(&submit);
    let id = client.line().trim().to_owned();
    client.signal("HUP");
    assert_eq!(client.wait(), Some(130));
    let is_running = || ["planning", "running"].contains(&place.job(&id)["state"].as_str().unwrap());
    assert!(is_running());

    let mut again = Running::start(&submit);
    assert_eq!(again.line().trim(), id);
    again.signal("INT");
    assert_eq!(again.wait(), Some(130));
    assert!(is_running());

    let mut watching = command(&["job", &id, "--wait", "--connect", place.cluster.url()]);
    let mut watching = watching.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stderr.take().unwrap()).lines();
    // From its first word on it listens.
    assert!(lines.next().unwrap().unwrap().contains(&id));
    signal(watching.id(), "INT");
    assert_eq!(watching.wait().unwrap().code(), Some(130));
    assert!(lines.any(|line| line.unwrap().contains(&format!("{id} goes on; windrow job {id} --wait"))));
    assert!(is_running());
    assert_code(&place.on_cluster(&["cancel", &id]), 0);
    let known = place.on_cluster(&["submit", &script, "--key", "long"]);
    assert_code(&known, 130);
    assert!(stderr(&known).contains("choose another key"), "{}", stderr(&known));
    place.cluster.stop(0);
}

#[test]
fn what_cannot_be_a_job_is_refused_and_a_reader_that_has_gone_is_no_error() {
    let place = Place::new();
    let script = place.script("quick.sql", "CREATE TABLE one AS SELECT 1 AS a");
    let refused = place.on_cluster(&["submit", &script, "--key", "a\u{1b}[2J"]);
    assert_code(&refused, 1);
    assert!(stderr(&refused).contains("control characters"), "{}", stderr(&refused));
    let long = format!("SELECT '{0}'; SELECT '{0}'", "x".repeat(9 << 20));
    let refused = place.on_cluster(&["submit", &place.script("long.sql", &long)]);
    assert_code(&refused, 1);
    assert!(stderr(&refused).contains("the limit is 16.0 MiB"), "{}", stderr(&refused));

    let submitted = place.on_cluster(&["submit", &script]);
    assert_code(&submitted, 0);
    let id = stdout(&submitted).trim().to_owned();
    for arguments in [&["jobs"][..], &["jobs", "--json"], &["job", &id], &["cancel", &id], &["workers"]] {
        let mut command = command(&[arguments, &["--connect", place.cluster.url()]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_code(&output, 0);
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    place.cluster.stop(0);
}

/// The id of a job that runs, as soon as there is one.
fn wait_for_running(place: &Place) -> String {
    for _ in 0..1000 {
        let jobs = stdout(&place.on_cluster(&["jobs", "--json"]));
        let jobs = jobs.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        if let Some(job) = jobs.into_iter().find(|job| job["state"] == "running") {
            return job["id"].as_str().unwrap().to_owned();
        }
    }
    panic!("no job is running");
}

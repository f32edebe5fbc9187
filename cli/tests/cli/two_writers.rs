//! Two writers at one place at the same moment: two clusters, two statements of one session, two scripts of one cluster,
//! on a file system and on S3. (The statements of one script run one after the other; two scripts are how they meet.)
//!
//! The log of decisions says in which order the writes came. What is there is exactly what that order makes of them: all
//! rows of a write once or none of them, nothing that was acknowledged lost, nothing of what was refused.
//!
//! `WINDROW_FULL=1` does every round ten times, else it is twice.

use std::collections::BTreeSet;
use std::time::Duration;

use tempfile::TempDir;
use windrow::{ErrorKind, Result, Session};
use windrow_common::SinkMode;
use windrow_common::time::{Clock, Timestamp};
use windrow_stores_testing::{Fault, Operation, Rule};

use crate::cluster_of_processes::{Cluster, in_time};
use crate::copied::{collect, number};
use crate::numbers;
use crate::place::Place;
use crate::tagged::{NUMBERS, ROWS, Target, Write, seen, sums};
use crate::windrow::{assert_code, stdout, windrow};

/// Files of the source, and so tasks that read it.
const FILES: i64 = 4;
const FORCED: [(&str, &str); 2] = [("windrow.fast_path", "off"), ("windrow.partitions", "4")];
/// Decisions are so late on S3, so that writers are there with theirs at the same time.
const LATE: Duration = Duration::from_millis(100);

/// What became of a write.
struct Ended {
    /// When it was accepted as a job, if it was.
    began: Option<Timestamp>,
    ended: Timestamp,
    /// The rows that it says it has written.
    rows: Result<i64>,
}

impl Ended {
    /// Whether each was under way before the other one was over.
    fn overlaps(&self, other: &Ended) -> bool {
        let (Some(ours), Some(theirs)) = (self.began, other.began) else { return false };
        ours.max(theirs) < self.ended.min(other.ended)
    }
}

async fn write(session: &Session, sql: &str, clock: &Clock) -> Ended {
    let execution = session.execute(sql).await;
    let began = execution.is_ok().then(|| clock.now());
    let rows = match execution {
        Ok(execution) => execution.collect().await.map(|(rows, _)| number(&rows)),
        Err(error) => Err(error),
    };
    Ended { began, ended: clock.now(), rows }
}

/// The only refusal that there is a reason for.
fn assert_refused_rightly(mode: SinkMode, error: &windrow::Error) {
    assert_eq!((mode, &error.kind), (SinkMode::ErrorIfExists, &ErrorKind::AlreadyExists), "{error}");
    assert!(error.message.contains("mode 'append'") && error.message.contains("mode 'overwrite'"), "{error}");
}

/// Two writes at once into a directory; whether they were at once.
async fn both_write(target: &Target<'_>, sessions: [&Session; 2], modes: [SinkMode; 2], after: bool) -> bool {
    let clock = Clock::start();
    let mut done = BTreeSet::new();
    if after {
        let before = Write { mode: SinkMode::Append, tag: 0, insert: false };
        let rows = in_time("the write before", write(sessions[0], &target.sql(&before), &clock)).await.rows;
        assert_eq!(rows.unwrap(), ROWS);
        done.insert(0);
    }
    collect(sessions[1], &target.table()).await.unwrap();
    let first = Write { mode: modes[0], tag: 1, insert: false };
    let second = Write { mode: modes[1], tag: 2, insert: modes[1] != SinkMode::ErrorIfExists };
    let texts = [target.sql(&first), target.sql(&second)];
    let both = async { tokio::join!(write(sessions[0], &texts[0], &clock), write(sessions[1], &texts[1], &clock)) };
    let (one, other) = in_time("both writes", both).await;
    let overlapped = one.overlaps(&other);
    for (write, ended) in [(first, one), (second, other)] {
        match ended.rows {
            Ok(rows) => {
                assert_eq!(rows, ROWS + write.tag, "{write:?}");
                done.insert(write.tag);
            }
            Err(error) => assert_refused_rightly(write.mode, &error),
        }
    }
    assert!(done.contains(&1) || done.contains(&2), "both were refused: {modes:?}");
    target.assert_holds(sessions, &done).await;
    overlapped
}

/// Two writes at once of a single file, which is then that of one of them, whole.
async fn both_write_one_file(target: &Target<'_>, sessions: [&Session; 2], mode: SinkMode) -> bool {
    let clock = Clock::start();
    let file = format!("{}x.parquet", target.location());
    let option = if mode == SinkMode::Overwrite { "overwrite" } else { "error_if_exists" };
    let copy = |tag| format!("COPY ({}) TO '{file}' OPTIONS (mode '{option}')", target.rows(tag));
    let texts = [copy(1), copy(2)];
    let both = async { tokio::join!(write(sessions[0], &texts[0], &clock), write(sessions[1], &texts[1], &clock)) };
    let (one, other) = in_time("both writes", both).await;
    let overlapped = one.overlaps(&other);
    let mut done = BTreeSet::new();
    for (tag, ended) in [(1, one), (2, other)] {
        match ended.rows {
            Ok(rows) => {
                assert_eq!(rows, ROWS + tag);
                done.insert(tag);
            }
            Err(error) => {
                assert_eq!((mode, &error.kind), (SinkMode::ErrorIfExists, &ErrorKind::AlreadyExists), "{error}");
            }
        }
    }
    let wanted = if mode == SinkMode::Overwrite { 2 } else { 1 };
    assert_eq!(done.len(), wanted, "{mode:?} in {}: {done:?} were acknowledged", target.place.name());
    let mut found = vec![];
    for session in sessions {
        found.push(seen(session, &file).await);
    }
    assert!(done.iter().any(|tag| found[0] == [sums(*tag)]), "{mode:?}, {done:?}: {found:?}");
    assert_eq!(found[0], found[1]);
    assert_eq!(target.place.cleaned(&target.name), BTreeSet::from(["x.parquet".to_owned()]));
    overlapped
}

/// All pairs of modes that mean something, several times, by two sessions, which may be one.
async fn in_rounds(what: &str, place: &Place, sessions: [&Session; 2]) {
    use SinkMode::{Append, ErrorIfExists, Overwrite};
    let source = source();
    let fresh = |name: String, partitioned| Target { place, source: source.path(), name, partitioned };
    let (mut overlapped, mut rounds) = (0, 0);
    for repeat in 0..repeats() {
        let pairs = [
            (false, true, [Append, Append]),
            (false, true, [Overwrite, Overwrite]),
            (false, true, [Overwrite, Append]),
            (false, true, [Append, Overwrite]),
            (false, false, [ErrorIfExists, ErrorIfExists]),
            (false, false, [ErrorIfExists, Append]),
            (true, true, [Append, Append]),
            (true, true, [Overwrite, Append]),
            (true, false, [ErrorIfExists, ErrorIfExists]),
        ];
        for (index, (partitioned, after, modes)) in pairs.into_iter().enumerate() {
            let target = fresh(format!("t{repeat}_{index}"), partitioned);
            overlapped += usize::from(both_write(&target, sessions, modes, after).await);
            rounds += 1;
        }
        for mode in [Overwrite, ErrorIfExists] {
            let target = fresh(format!("f{repeat}_{mode:?}").to_lowercase(), false);
            overlapped += usize::from(both_write_one_file(&target, sessions, mode).await);
            rounds += 1;
        }
    }
    println!("{what}, {}: at once in {overlapped} of {rounds} rounds", place.name());
    assert!(overlapped > 0, "the writers never wrote at once");
}

fn repeats() -> usize {
    if std::env::var("WINDROW_FULL").is_ok_and(|value| value == "1") { 10 } else { 2 }
}

fn source() -> TempDir {
    let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    numbers::write(source.path(), FILES, NUMBERS / FILES);
    source
}

/// A cluster that finds the place, of two workers.
fn cluster(place: &Place) -> Cluster {
    let stores = place.stores();
    Cluster::start(2, 1, &stores.iter().map(String::as_str).collect::<Vec<_>>())
}

/// S3 whose decisions are late.
fn late_s3() -> Place {
    let place = Place::s3();
    let late = Rule::new(Fault::Delay(LATE)).on(Operation::Put).suffix(".manifest");
    place.server().unwrap().faults().add(late);
    place
}

/// How many places in logs two writers wanted at the same time.
fn contested(place: &Place) -> usize {
    let (mut wanted, mut contested) = (BTreeSet::new(), BTreeSet::new());
    for request in place.server().unwrap().counters().requests() {
        let decides = request.operation == Operation::Put && request.key.ends_with(".manifest");
        if decides && !wanted.insert(request.key.clone()) {
            contested.insert(request.key);
        }
    }
    contested.len()
}

async fn two_clusters(place: &Place) {
    let clusters = [cluster(place), cluster(place)];
    let sessions = [clusters[0].session(&FORCED).await, clusters[1].session(&FORCED).await];
    in_rounds("two clusters", place, [&sessions[0], &sessions[1]]).await;
    for session in sessions {
        session.close().await;
    }
    clusters.into_iter().for_each(|cluster| cluster.stop(0));
}

async fn one_session(place: &Place) {
    let cluster = cluster(place);
    let session = cluster.session(&FORCED).await;
    in_rounds("two statements of a session", place, [&session, &session]).await;
    session.close().await;
    cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_write_to_one_directory_and_nothing_is_lost() {
    two_clusters(&Place::directory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_write_to_one_place_on_s3_and_nothing_is_lost() {
    let place = late_s3();
    two_clusters(&place).await;
    let contested = contested(&place);
    println!("{contested} decisions were contested");
    assert!(contested > 0, "no two writers came to a decision at the same time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_statements_of_a_session_write_to_one_directory_and_nothing_is_lost() {
    one_session(&Place::directory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_statements_of_a_session_write_to_one_place_on_s3_and_nothing_is_lost() {
    let place = late_s3();
    one_session(&place).await;
    let contested = contested(&place);
    println!("{contested} decisions were contested");
    assert!(contested > 0, "no two writers came to a decision at the same time");
}

/// Hands scripts over at once and waits for them; when each ran, in milliseconds of the coordinator's clock.
async fn submitted(cluster: &Cluster, scripts: [String; 2], rows: [i64; 2]) -> Vec<(i64, i64)> {
    let submit = |script: String| {
        let url = cluster.url().to_owned();
        tokio::task::spawn_blocking(move || windrow(&["submit", &script, "--connect", &url]))
    };
    let [one, other] = scripts.map(submit);
    let (one, other) = in_time("both scripts", async { tokio::join!(one, other) }).await;
    let ran = |(output, rows): (std::process::Output, i64)| {
        assert_code(&output, 0);
        let job = windrow(&["job", stdout(&output).trim(), "--json", "--connect", cluster.url()]);
        assert_code(&job, 0);
        let job: serde_json::Value = serde_json::from_str(&stdout(&job)).unwrap();
        assert_eq!((&job["state"], &job["rows_written"]), (&"succeeded".into(), &rows.into()), "{job}");
        (job["submitted_millis"].as_i64().unwrap(), job["ended_millis"].as_i64().unwrap())
    };
    [(one.unwrap(), rows[0]), (other.unwrap(), rows[1])].into_iter().map(ran).collect()
}

/// Scripts of three writes each, handed over at once.
async fn two_scripts(place: Place) {
    use SinkMode::{Append, Overwrite};
    let (cluster, source) = (cluster(&place), source());
    let session = cluster.session(&FORCED).await;
    let files = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut overlapped, mut rounds) = (0, 0);
    for repeat in 0..repeats() {
        for (index, second) in [[Append; 3], [Append, Overwrite, Append]].into_iter().enumerate() {
            let (place, source) = (&place, source.path());
            let target = Target { place, source, name: format!("s{repeat}_{index}"), partitioned: repeat % 2 == 1 };
            let script = |modes: [SinkMode; 3], from: i64| {
                let writes = (from..).zip(modes).map(|(tag, mode)| Write { mode, tag, insert: false });
                let text: Vec<String> = writes.map(|write| target.sql(&write)).collect();
                let path = files.path().join(format!("{repeat}_{index}_{from}.sql"));
                std::fs::write(&path, text.join(";\n")).unwrap();
                path.display().to_string()
            };
            let scripts = [script([Append; 3], 1), script(second, 4)];
            let ran = submitted(&cluster, scripts, [3 * ROWS + 6, 3 * ROWS + 15]).await;
            overlapped += usize::from(ran[0].0.max(ran[1].0) < ran[0].1.min(ran[1].1));
            rounds += 1;
            target.assert_holds([&session, &session], &(1..=6).collect()).await;
        }
    }
    println!("two scripts, {}: at once in {overlapped} of {rounds} rounds", place.name());
    assert!(overlapped > 0, "the scripts never ran at once");
    session.close().await;
    cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_scripts_write_to_one_directory_and_nothing_is_lost() {
    two_scripts(Place::directory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_scripts_write_to_one_place_on_s3_and_nothing_is_lost() {
    two_scripts(late_s3()).await;
}

//! Rows written exactly once, on a file system and on S3, whoever is killed meanwhile: counts and sums are right, nothing
//! else can be seen, and `windrow clean` leaves nothing else behind.
//!
//! `WINDROW_FULL=1` writes 10,000,000 rows and kills at 20 moments for each store and statement; else it is 400,000 rows
//! and three moments.

use std::collections::BTreeSet;
use std::path::Path;

use windrow::Session;
use windrow::execution::Update;

use crate::cluster_of_processes::{Cluster, in_time};
use crate::copied::{collect, number};
use crate::numbers;
use crate::place::Place;

/// Files of the source, and so tasks that read it.
const FILES: i64 = 16;
const FORCED: [(&str, &str); 2] = [("windrow.fast_path", "off"), ("windrow.partitions", "16")];
/// Partitions of what is written by directories.
const DIRECTORIES: i64 = 20;

fn full() -> bool {
    std::env::var("WINDROW_FULL").is_ok_and(|value| value == "1")
}

fn rows() -> i64 {
    if full() { 10_000_000 } else { 400_000 }
}

/// The seeded moments: how many tasks are done when a worker is killed.
fn moments() -> Vec<u32> {
    let count = if full() { 20 } else { 3 };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % (FILES as u64 - 2)) as u32
    };
    (0..count).map(|_| next()).collect()
}

/// Runs a statement that writes and kills a worker when so many tasks are done; whether it was killed in time, and
/// whether its work was done again.
async fn write_and_kill(cluster: &Cluster, session: &Session, sql: &str, victim: usize, after: u32) -> bool {
    let mut killed = false;
    let writing = async {
        let mut execution = session.execute(sql).await?;
        let mut written = 0;
        while let Some(update) = execution.next().await? {
            match update {
                Update::Batch(batch) => written = number(&[batch]),
                Update::Progress(progress) if !killed && progress.done >= after && progress.running > 0 => {
                    cluster.kill(cluster.workers()[victim]);
                    killed = true;
                }
                Update::Progress(_) => {}
            }
        }
        Ok::<_, windrow::Error>((written, execution.report().cloned().unwrap_or_default()))
    };
    let (written, report) = in_time(sql, writing).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(written, rows(), "{sql}");
    killed && report.stages.iter().any(|stage| stage.attempts > stage.tasks)
}

/// One statement into a fresh target, with a worker killed on the way.
async fn written_once(place: &Place, source: &Path, target: &str, partitioned: bool, seed: usize, after: u32) -> bool {
    let stores = place.stores();
    let more: Vec<&str> = stores.iter().map(String::as_str).collect();
    let cluster = Cluster::start(3, 1, &more);
    let session = cluster.session(&FORCED).await;
    let location = place.location(target);
    let numbers = format!("SELECT n, n % {DIRECTORIES} AS part, concat('row ', n) AS s FROM '{}'", source.display());
    let sql = if partitioned {
        format!("COPY ({numbers}) TO '{location}' STORED AS PARQUET PARTITIONED BY (part)")
    } else {
        let create = format!(
            "CREATE EXTERNAL TABLE target (n BIGINT, part BIGINT, s VARCHAR) STORED AS PARQUET LOCATION '{location}'"
        );
        collect(&session, &create).await.unwrap();
        format!("INSERT INTO target {numbers}")
    };
    let again = write_and_kill(&cluster, &session, &sql, seed % 3, after).await;

    let count = rows();
    let check = format!("SELECT count(*), count(DISTINCT n), sum(n), sum(part), sum(length(s)) FROM '{location}'");
    let found = collect(&session, &check).await.unwrap().0;
    let expected = format!(
        "SELECT count(*), count(DISTINCT n), sum(n), sum(n % {DIRECTORIES}), sum(length(concat('row ', n))) FROM '{}'",
        source.display()
    );
    let wanted = collect(&session, &expected).await.unwrap().0;
    assert_eq!(found[0].columns(), wanted[0].columns(), "{} {sql}, killed after {after}", place.name());
    assert_eq!(number(&found), count);
    session.close().await;
    cluster.stop(1);

    let data = place.cleaned(target);
    if partitioned {
        let directories: BTreeSet<&str> = data.iter().filter_map(|name| name.split('/').next()).collect();
        assert_eq!(directories.len() as i64, DIRECTORIES);
    }
    again
}

async fn killed_at_every_moment(place: Place) {
    let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    numbers::write(source.path(), FILES, rows() / FILES);
    let (mut exercised, mut runs) = (0, 0);
    for partitioned in [false, true] {
        for (seed, after) in moments().into_iter().enumerate() {
            let target = format!("t{}-{seed}", u8::from(partitioned));
            let again = written_once(&place, source.path(), &target, partitioned, seed, after).await;
            exercised += usize::from(again);
            runs += 1;
        }
    }
    println!("{}: a worker died while it was needed in {exercised} of {runs} runs, all right", place.name());
    assert!(exercised > 0, "no worker was killed while it was needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_written_once_to_a_directory_although_workers_are_killed() {
    killed_at_every_moment(Place::directory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_written_once_to_s3_although_workers_are_killed() {
    killed_at_every_moment(Place::s3()).await;
}

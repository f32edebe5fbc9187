//! Rows written exactly once, on a file system and on S3, whoever is killed meanwhile: counts and sums are right, nothing
//! else can be seen, and `windrow clean` leaves nothing else behind.
//!
//! `WINDROW_FULL=1` writes 10,000,000 rows and kills at 20 moments for each store and statement; else it is 400,000 rows
//! and three moments.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use windrow::Session;
use windrow::execution::Update;
use windrow_stores_testing::{Config, S3Server};

use crate::cluster_of_processes::{Cluster, in_time};
use crate::copied::{collect, number};
use crate::windrow::{assert_code, stderr, windrow};

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

/// Numbers from 0 in files of Parquet.
fn make_source(directory: &Path) {
    let each = rows() / FILES;
    for file in 0..FILES {
        let numbers = Int64Array::from_iter_values(file * each..(file + 1) * each);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap();
        let target = std::fs::File::create(directory.join(format!("{file:02}.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new(target, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// Where it is written to.
enum Place {
    Directory(TempDir),
    S3(Box<S3Server>, TempDir),
}

impl Place {
    fn directory() -> Place {
        Place::Directory(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn s3() -> Place {
        let server = S3Server::start(Config::default().buckets(&["lake"])).unwrap();
        let files = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let text = format!(
            "[[store]]\nurl = 's3://lake'\nendpoint = '{}'\npath_style = true\nregion = 'us-east-1'\n\
             access_key_id = '{}'\nsecret_access_key = '{}'\n",
            server.url(),
            server.access_key(),
            server.secret_key()
        );
        std::fs::write(files.path().join("stores.toml"), text).unwrap();
        Place::S3(Box::new(server), files)
    }

    fn name(&self) -> &'static str {
        match self {
            Place::Directory(_) => "a directory",
            Place::S3(..) => "S3",
        }
    }

    fn stores(&self) -> Vec<String> {
        match self {
            Place::Directory(_) => vec![],
            Place::S3(_, files) => {
                vec!["--stores".to_owned(), files.path().join("stores.toml").display().to_string()]
            }
        }
    }

    fn location(&self, target: &str) -> String {
        match self {
            Place::Directory(directory) => format!("{}/{target}/", directory.path().display()),
            Place::S3(..) => format!("s3://lake/{target}/"),
        }
    }

    /// The names of everything below the target, hidden or not.
    fn names(&self, target: &str) -> BTreeSet<String> {
        match self {
            Place::Directory(directory) => {
                let root = directory.path().join(target);
                let mut names = BTreeSet::new();
                let mut pending = vec![root.clone()];
                while let Some(directory) = pending.pop() {
                    for entry in std::fs::read_dir(&directory).unwrap() {
                        let path = entry.unwrap().path();
                        if path.is_dir() {
                            pending.push(path);
                        } else {
                            names.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                        }
                    }
                }
                names
            }
            Place::S3(server, _) => {
                let prefix = format!("{target}/");
                server.keys().iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect()
            }
        }
    }

    /// Uploads that nobody has completed.
    fn uploads(&self) -> usize {
        match self {
            Place::Directory(_) => 0,
            Place::S3(server, _) => server.uploads().len(),
        }
    }
}

/// Whether readers see a file of this name.
fn is_data(name: &str) -> bool {
    !name.split('/').any(|part| part.starts_with('.') || (part.starts_with('_') && !part.contains('=')))
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

    // What a reader sees is what the manifest names: each file of the write, and nothing else.
    let mut clean = vec!["clean", location.as_str(), "--older-than", "0s"];
    clean.extend(&more);
    let seen: BTreeSet<String> = place.names(target).into_iter().filter(|name| is_data(name)).collect();
    let output = windrow(&clean);
    assert_code(&output, 0);
    let left = place.names(target);
    let data: BTreeSet<String> = left.iter().filter(|name| is_data(name)).cloned().collect();
    assert_eq!(data, seen, "clean has removed data: {}", stderr(&output));
    let others: Vec<&String> = left.iter().filter(|name| !is_data(name)).collect();
    let known = |name: &str| name == "_SUCCESS" || name.ends_with(".manifest") || name.ends_with(".published");
    assert!(others.iter().all(|name| known(name)), "clean has left {others:?}");
    assert_eq!(place.uploads(), 0, "clean has left uploads");
    if partitioned {
        let directories: BTreeSet<&str> = data.iter().filter_map(|name| name.split('/').next()).collect();
        assert_eq!(directories.len() as i64, DIRECTORIES);
    }
    again
}

async fn killed_at_every_moment(place: Place) {
    let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    make_source(source.path());
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

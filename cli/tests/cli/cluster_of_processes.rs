//! A coordinator and workers as real processes (`windrow up`), sessions on them over the network, and their end, after
//! which nothing may be left of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use windrow::{Deployment, Session, WorkerInfo};
use windrow_common::WorkerId;
use windrow_tpch::Dataset;

use crate::windrow::{Running, command, is_alive, signal, wait_until_gone};

/// After this long, something that should have happened has not.
pub const DEADLINE: Duration = Duration::from_secs(300);
/// How often it is looked whether something has happened of which nobody is told.
const LOOK: Duration = Duration::from_millis(20);

/// A cluster. Dropped, its processes are killed; a test that goes well calls [`Cluster::stop`].
pub struct Cluster {
    up: Running,
    url: String,
    workers: Vec<u32>,
    /// Where the processes put what is temporary.
    temporary: TempDir,
}

impl Cluster {
    /// Starts so many workers of so many cores, with more arguments for `windrow up`.
    pub fn start(workers: u32, cores: u32, more: &[&str]) -> Cluster {
        let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (workers, cores) = (workers.to_string(), cores.to_string());
        let base = ["up", "--json", "--listen", "127.0.0.1:0", "--memory", "1GiB"];
        let arguments = [&base[..], &["--workers", &workers, "--cores", &cores], more].concat();
        let mut up = Running::of(command(&arguments).env("TMPDIR", temporary.path()));
        let line: serde_json::Value = serde_json::from_str(&up.line()).unwrap();
        assert_eq!(line["coordinator"]["pid"], up.pid());
        let pids = line["workers"].as_array().unwrap().iter();
        let pids: Vec<u32> = pids.map(|worker| worker["pid"].as_u64().unwrap().try_into().unwrap()).collect();
        assert_eq!(pids.len().to_string(), workers);
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        Cluster { up, url: line["flight_sql"].as_str().unwrap().to_owned(), workers: pids, temporary }
    }

    /// Where clients connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The workers' process ids.
    pub fn workers(&self) -> &[u32] {
        &self.workers
    }

    /// Kills a worker, which has no time for anything any more.
    pub fn kill(&self, pid: u32) {
        assert!(self.workers.contains(&pid), "only what this test has started");
        signal(pid, "KILL");
    }

    /// A session with these settings.
    pub async fn session(&self, settings: &[(&str, &str)]) -> Session {
        let session = Session::open(Deployment::Remote { url: self.url.clone() }).await.unwrap();
        set(&session, settings).await;
        session
    }

    /// The workers that the coordinator knows, once it knows exactly so many.
    pub async fn wait_for_workers(&self, count: usize) -> Vec<WorkerInfo> {
        let session = self.session(&[]).await;
        let mut looks = tokio::time::interval(LOOK);
        let known = async {
            loop {
                looks.tick().await;
                let workers = session.workers().await.unwrap();
                if workers.len() == count {
                    return workers;
                }
            }
        };
        in_time("workers come and go", known).await
    }

    /// Sends the signal, and waits for the end: exit code 0, no process left, no temporary file left.
    pub fn stop_with(mut self, name: &str) {
        self.up.signal(name);
        assert_eq!(self.up.wait(), Some(0), "{name}");
        assert!(!self.workers.iter().any(|pid| is_alive(*pid)), "{name}: a worker is still there");
        assert_eq!(names_in(self.temporary.path()), BTreeSet::new(), "{name}: temporary files are still there");
    }

    /// Stops it. Nothing may be left, but for the scratch directories of `killed` workers, which could not remove theirs.
    pub fn stop(mut self, killed: usize) {
        self.up.signal("TERM");
        assert_eq!(self.up.wait(), Some(0));
        assert!(!self.workers.iter().any(|pid| is_alive(*pid)), "a worker is still there");
        let left = names_in(self.temporary.path());
        assert!(left.len() <= killed, "temporary files are still there: {left:?}");
    }

    /// Kills the coordinator; the workers go by themselves.
    pub fn kill_coordinator(mut self) {
        self.up.signal("KILL");
        assert_eq!(self.up.wait(), None);
        self.workers.iter().for_each(|pid| wait_until_gone(*pid));
    }
}

/// What `work` gives. A test that has to wait for longer than [`DEADLINE`] has failed.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, work).await;
    done.unwrap_or_else(|_| panic!("not within {} s: {what}", DEADLINE.as_secs()))
}

/// Changes settings of a session.
pub async fn set(session: &Session, settings: &[(&str, &str)]) {
    for (key, value) in settings {
        session.execute(&format!("SET {key} = '{value}'")).await.unwrap().collect().await.unwrap();
    }
}

/// Makes the eight tables known.
pub async fn create_tables(session: &Session, directory: &str) {
    for statement in Dataset::open(Path::new(directory)).unwrap().create_tables() {
        session.execute(&statement).await.unwrap().collect().await.unwrap();
    }
}

/// Who has this process id.
pub fn id_of(workers: &[WorkerInfo], pid: u32) -> WorkerId {
    workers.iter().find(|worker| worker.pid == pid).unwrap().id
}

/// The names in a directory.
pub fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

//! A job reads the files that were there when it was planned, or says that they have changed.

use std::path::Path;
use std::time::Duration;

use windrow::{Deployment, Session};
use windrow_common::ErrorKind;
use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_coordinator::Coordinator;
use windrow_worker::Worker;

use super::numbers;

const DEADLINE: Duration = Duration::from_secs(30);

/// Plans a count over a directory while there is no worker, changes the directory, and lets a worker come.
async fn changed_meanwhile(format: &str, change: impl FnOnce(&Path)) -> Result<i64, windrow_common::Error> {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..3 {
        match format {
            "parquet" => numbers(&dir.path().join(format!("{index}.parquet")), &[index]),
            _ => std::fs::write(dir.path().join(format!("{index}.csv")), format!("a\n{index}\n")).unwrap(),
        }
    }
    let config = CoordinatorConfig { no_worker_patience: DEADLINE, ..CoordinatorConfig::default() };
    let coordinator = Coordinator::start(config).await.unwrap();
    let url = format!("grpc://{}", coordinator.addr());
    let session = Session::open(Deployment::Remote { url: url.clone() }).await.unwrap();
    let sql = format!("SELECT sum(a + 0) FROM '{}'", dir.path().display());
    let execution = session.execute(&sql).await.unwrap();
    change(dir.path());
    let worker = Worker::start(WorkerConfig::with_slots(1), &url).await.unwrap();
    let collected = tokio::time::timeout(DEADLINE, execution.collect()).await.unwrap();
    worker.shutdown().await;
    coordinator.shutdown().await;
    let (batches, _) = collected?;
    Ok(super::texts(&batches)[0].parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changed_or_vanished_is_an_error_and_a_new_one_is_not_seen() {
    for format in ["parquet", "csv"] {
        let file = format!("1.{format}");
        let unchanged = changed_meanwhile(format, |_| {}).await;
        assert_eq!(unchanged.unwrap(), 3, "{format}");
        let added = changed_meanwhile(format, |dir| match format {
            "parquet" => numbers(&dir.join("9.parquet"), &[9]),
            _ => std::fs::write(dir.join("9.csv"), "a\n9\n").unwrap(),
        });
        assert_eq!(added.await.unwrap(), 3, "{format}");
        let replaced = changed_meanwhile(format, |dir| {
            let other = dir.join(format!("2.{format}"));
            std::fs::copy(other, dir.join(&file)).unwrap();
        });
        let vanished = changed_meanwhile(format, |dir| std::fs::remove_file(dir.join(&file)).unwrap());
        let cut = changed_meanwhile(format, |dir| {
            let path = dir.join(&file);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        });
        for (result, says) in
            [(replaced.await, "has changed"), (vanished.await, "has vanished"), (cut.await, "has changed")]
        {
            let error = result.expect_err(says);
            assert_eq!(error.kind, ErrorKind::User, "{error}");
            assert!(error.message.contains(says) && error.message.contains(&file), "{format}: {error}");
        }
    }
}

//! What a cluster does beyond answering right: large plans, workers that come late, versions that differ, clients that go
//! away.

use std::time::Duration;

use windrow::{Deployment, Session};
use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_common::{ByteSize, ErrorKind};
use windrow_coordinator::Coordinator;
use windrow_suite::cluster::Cluster;
use windrow_suite::stages::text_rows;
use windrow_suite::tables;
use windrow_worker::Worker;

const DEADLINE: Duration = Duration::from_secs(60);

async fn create_tables(session: &Session, directory: &std::path::Path) {
    for statement in tables::write(directory).unwrap() {
        session.execute(&statement).await.unwrap().collect().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_64_mib_travels() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(2, 1).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off"), ("windrow.partitions", "4")]).await.unwrap();
    create_tables(&session, dir.path()).await;
    let sql = "SELECT count(*) FROM l_plain WHERE s <> repeat('x', 67108864) AND s <> 'y'";
    let (rows, report) = session.execute(sql).await.unwrap().collect().await.unwrap();
    assert_eq!(text_rows(&rows).unwrap(), ["45"]);
    assert!(report.tasks() > 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_workers_a_job_waits_and_one_that_comes_late_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let config = CoordinatorConfig { no_worker_patience: DEADLINE, ..CoordinatorConfig::default() };
    let coordinator = Coordinator::start(config).await.unwrap();
    let url = format!("grpc://{}", coordinator.addr());
    let session = Session::open(Deployment::Remote { url: url.clone() }).await.unwrap();
    create_tables(&session, dir.path()).await;
    let execution = session.execute("SELECT count(*) FROM l_plain").await.unwrap();
    let worker = Worker::start(WorkerConfig::with_slots(1), &url).await.unwrap();
    let collected = tokio::time::timeout(DEADLINE, execution.collect()).await.unwrap();
    assert_eq!(text_rows(&collected.unwrap().0).unwrap(), ["51"]);
    worker.shutdown().await;
    coordinator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_workers_a_job_fails_when_patience_is_over() {
    let config = CoordinatorConfig { no_worker_patience: Duration::from_millis(300), ..CoordinatorConfig::default() };
    let coordinator = Coordinator::start(config).await.unwrap();
    let url = format!("grpc://{}", coordinator.addr());
    let session = Session::open(Deployment::Remote { url }).await.unwrap();
    let execution = session.execute("SELECT 1").await.unwrap();
    let error = tokio::time::timeout(DEADLINE, execution.collect()).await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("no worker"), "{error}");
    coordinator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(2, 1).await.unwrap();
    let session = cluster.session(&[("windrow.fast_path", "off")]).await.unwrap();
    create_tables(&session, dir.path()).await;
    let sql = "SELECT a.k, b.k, c.k FROM generate_series(1, 100000000) x(i), l_plain a, l_plain b, l_plain c";
    let mut execution = session.execute(sql).await.unwrap();
    execution.next().await.unwrap();
    drop(execution);
    cluster.wait_until_empty().await.unwrap();
    let (rows, _) = session.execute("SELECT count(*) FROM l_plain").await.unwrap().collect().await.unwrap();
    assert_eq!(text_rows(&rows).unwrap(), ["51"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_protocol_version_is_refused_with_both_versions_named() {
    use windrow_proto::control as wire;
    let coordinator = Coordinator::start(CoordinatorConfig::default()).await.unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", coordinator.addr())).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let mut jobs = wire::jobs_client::JobsClient::new(channel.clone());
    let status = jobs.open_session(wire::OpenSessionRequest { version: 999 }).await.unwrap_err();
    let error = windrow_proto::status::from_status(&status);
    assert_eq!(error.kind, ErrorKind::Version);
    assert!(error.message.contains("999"), "{error}");

    let mut workers = wire::coordination_client::CoordinationClient::new(channel);
    let id = windrow_proto::status::id_bytes(1);
    let hello = wire::Hello {
        worker: id.clone(),
        incarnation: id,
        version: 999,
        slots: 1,
        memory: ByteSize::mib(1).0,
        endpoint: "127.0.0.1:1".into(),
        pid: 1,
        running: vec![],
        held: vec![],
    };
    let message = wire::WorkerMessage { message: Some(wire::worker_message::Message::Hello(hello)) };
    let requests = futures::stream::iter([message]);
    let mut replies = workers.connect(requests).await.unwrap().into_inner();
    let reply = replies.message().await.unwrap().unwrap();
    match windrow_proto::protocol::coordinator_from_wire(reply).unwrap() {
        windrow_common::protocol::ToWorker::Refuse { reason } => {
            assert_eq!(reason.kind, ErrorKind::Version);
            assert!(reason.message.contains("999"), "{reason}");
        }
        other => panic!("not refused: {other:?}"),
    }
    coordinator.shutdown().await;
}

//! TPC-H: all 22 queries give what single-process DataFusion gives, embedded and on worker processes, on the fast path
//! and with exchanges forced; and where exchanges are forced, the job's own report says that several workers took part
//! and that bytes went from process to process.

use std::path::Path;

use arrow::array::RecordBatch;
use tokio::sync::OnceCell;
use windrow::{ByteSize, Deployment, JobReport, Session};
use windrow_tpch::{Dataset, Oracle, Query, compare};

use crate::cluster_of_processes::{Cluster, create_tables, in_time, set};
use crate::windrow::tpch_data;

/// Queries of which a plan with forced exchanges is known to have some.
const AT_LEAST_WITH_EXCHANGES: usize = 20;

/// What single-process DataFusion says, computed once for all tests.
pub async fn expected() -> &'static [(Query, Vec<RecordBatch>)] {
    static EXPECTED: OnceCell<Vec<(Query, Vec<RecordBatch>)>> = OnceCell::const_new();
    let compute = async {
        let oracle = oracle().await;
        let mut answers = vec![];
        for query in Query::all() {
            answers.push((query, oracle.run(query.sql()).await.unwrap().0));
        }
        answers
    };
    EXPECTED.get_or_init(|| compute).await
}

/// Single-process DataFusion that knows the eight tables.
pub async fn oracle() -> Oracle {
    let oracle = Oracle::new(2).unwrap();
    for statement in Dataset::open(Path::new(tpch_data())).unwrap().create_tables() {
        oracle.run(&statement).await.unwrap();
    }
    oracle
}

/// Runs all queries under these settings, compares every answer, and gives the reports.
async fn run_all(session: &Session, settings: &[(&str, &str)]) -> Vec<(Query, JobReport)> {
    set(session, settings).await;
    let mut reports = vec![];
    for (query, expected) in expected().await {
        let name = format!("{query} with {settings:?}");
        let run = async { session.execute(query.sql()).await?.collect().await };
        let (rows, report) = in_time(&name, run).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let difference = compare(expected, &rows).unwrap();
        assert!(difference.is_none(), "{name}: {}", difference.unwrap());
        reports.push((*query, report));
    }
    reports
}

/// Every way in which plans are cut; on more than one process also asserts that work and bytes were spread.
async fn run_every_way(session: &Session, processes: usize) {
    for (query, report) in run_all(session, &[("windrow.fast_path", "on")]).await {
        assert_eq!((report.stages.len(), report.tasks()), (1, 1), "{query} on the fast path");
    }
    for partitions in ["1", "3", "16"] {
        let reports = run_all(session, &[("windrow.fast_path", "off"), ("windrow.partitions", partitions)]).await;
        if processes > 1 && partitions != "1" {
            assert_spread(&reports, partitions);
        }
    }
}

/// Each job of more than one stage ran on at least two workers and moved bytes between them. A job of one stage has no
/// exchange; of the 22 queries hardly any may be such, or nothing was shown.
fn assert_spread(reports: &[(Query, JobReport)], partitions: &str) {
    let with_exchanges: Vec<_> = reports.iter().filter(|(_, report)| report.stages.len() > 1).collect();
    for (query, report) in &with_exchanges {
        let name = format!("{query} with {partitions} partitions");
        assert!(report.workers().len() >= 2, "{name} ran on one worker alone: {report:#?}");
        assert!(report.fetched_bytes() > 0, "{name} moved nothing between processes: {report:#?}");
    }
    let count = with_exchanges.len();
    println!("{partitions} partitions: {count} queries with exchanges ran on several workers and moved bytes");
    assert!(count >= AT_LEAST_WITH_EXCHANGES, "only {count} queries had exchanges");
}

async fn on_processes(workers: u32, cores: u32) {
    let cluster = Cluster::start(workers, cores, &[]);
    let session = cluster.session(&[]).await;
    create_tables(&session, tpch_data()).await;
    run_every_way(&session, workers as usize).await;
    session.close().await;
    cluster.stop(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_embedded_equals_single_process_datafusion() {
    let deployment = Deployment::Embedded { cores: 2, memory: ByteSize::gib(2) };
    let session = Session::open(deployment).await.unwrap();
    create_tables(&session, tpch_data()).await;
    run_every_way(&session, 1).await;
    session.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_on_three_workers_of_one_core_equals_single_process_datafusion() {
    on_processes(3, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_on_two_workers_of_two_cores_equals_single_process_datafusion() {
    on_processes(2, 2).await;
}

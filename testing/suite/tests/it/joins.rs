//! Every kind of join on three workers with exchanges forced gives what single-process DataFusion gives.

use std::collections::BTreeSet;

use windrow_suite::cluster::Cluster;
use windrow_suite::stages::text_rows;
use windrow_suite::tables;
use windrow_tpch::Oracle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_on_three_workers_equal_single_process_datafusion() {
    let dir = tempfile::tempdir().unwrap();
    let statements = tables::write(dir.path()).unwrap();
    let oracle = Oracle::new(2).unwrap();
    for statement in &statements {
        oracle.run(statement).await.unwrap();
    }
    let cluster = Cluster::start(3, 1).await.unwrap();
    let mut workers = BTreeSet::new();
    let mut fetched = 0;
    for (algorithm, settings) in tables::ALGORITHMS {
        let mut all = vec![("windrow.fast_path", "off"), ("windrow.partitions", "3")];
        all.extend_from_slice(settings);
        let session = cluster.session(&all).await.unwrap();
        for statement in &statements {
            session.execute(&statement.replace("CREATE EXTERNAL", "CREATE OR REPLACE EXTERNAL")).await.unwrap();
        }
        for left in tables::KINDS {
            for right in tables::KINDS {
                for (case, sql) in tables::joins(&format!("l_{left}"), &format!("r_{right}")) {
                    let name = format!("{algorithm}: {case}, {left} with {right}");
                    let expected = oracle.run(&sql).await.unwrap().0;
                    let execution = session.execute(&sql).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                    let (rows, report) = execution.collect().await.unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!(text_rows(&rows).unwrap(), text_rows(&expected).unwrap(), "{name}");
                    workers.extend(report.workers());
                    fetched += report.fetched_bytes();
                }
            }
        }
        for sql in tables::others() {
            let expected = oracle.run(sql).await.unwrap().0;
            let execution = session.execute(sql).await.unwrap_or_else(|e| panic!("{algorithm}: {sql}: {e}"));
            let (rows, _) = execution.collect().await.unwrap_or_else(|e| panic!("{algorithm}: {sql}: {e}"));
            assert_eq!(text_rows(&rows).unwrap(), text_rows(&expected).unwrap(), "{algorithm}: {sql}");
        }
        session.close().await;
    }
    assert_eq!(workers.len(), 3);
    assert!(fetched > 0);
    cluster.wait_until_empty().await.unwrap();
    cluster.stop().await;
}

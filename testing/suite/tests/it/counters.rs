//! What an engine says that it runs and holds, where nobody but this process can reach it.

use std::time::Duration;

use tokio::time::Instant;
use windrow::{Deployment, Session};
use windrow_common::{ByteSize, ClusterCounters};
use windrow_coordinator::Front;

/// The promise: "After a cancel, a dropped client or a Ctrl-C: within 1 s no task, charge, file or stream of that job is
/// left (asserted from the engine's own counters)."
const AT_REST_WITHIN: Duration = Duration::from_secs(1);
/// A hang is a failure.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

async fn wait_until(front: &Front, within: Duration, shown: impl Fn(&ClusterCounters) -> bool) {
    let deadline = Instant::now() + within;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let looked = Instant::now();
        let counters = front.counters().await.unwrap();
        if shown(&counters) {
            return;
        }
        assert!(looked < deadline, "not within {within:?}: {counters:#?}");
        looks.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_engine_counts_its_own_worker() {
    let deployment = Deployment::Embedded { cores: 2, memory: ByteSize::gib(1) };
    let session = Session::open(deployment).await.unwrap();
    let engine = session.engine().unwrap();
    let front = engine.coordinator().front();
    let series = "generate_series(1, 1000000)";
    let endless = format!("SELECT count(*) FROM {series} a CROSS JOIN {series} b WHERE a.value + b.value < 0");
    for _ in 0..2 {
        let execution = session.execute(&endless).await.unwrap();
        let computes = |counters: &ClusterCounters| {
            counters.workers[0].counters.as_ref().is_ok_and(|worker| worker.attempts == 1)
                && (counters.coordinator.statements, counters.coordinator.tasks_running) == (1, 1)
                && counters.coordinator.blobs > 0
        };
        wait_until(&front, DEADLINE, computes).await;
        drop(execution);
        wait_until(&front, AT_REST_WITHIN, ClusterCounters::is_at_rest).await;
    }
    let counters = front.counters().await.unwrap();
    assert_eq!((counters.coordinator.sessions, counters.coordinator.connections), (1, 0));
    assert_eq!(*counters.workers[0].counters.as_ref().unwrap(), engine.worker().counters());
    session.close().await;
}

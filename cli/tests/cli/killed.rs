//! Worker processes killed with SIGKILL while they have what others need: the answer is right all the same, and the
//! job's own report shows that it was not luck.
//!
//! What the report shows. Of each stage it counts `attempts` (started) and `failed_attempts` (those that failed, and
//! those that were running on a worker that was lost). An output that was accepted and then lost with its worker is
//! counted as neither: its task is merely run again. So in a stage with
//!
//! ```text
//!     attempts > tasks + failed_attempts
//! ```
//!
//! some task was *finished and accepted*, its output died with the worker, and it was run again. That is the premise of
//! these tests: a worker died after at least one finished task of a stage that is not the first, and the work was
//! missed.

use arrow::array::RecordBatch;
use windrow::execution::{Progress, Update};
use windrow::{ErrorKind, JobReport, Result, Session};
use windrow_common::WorkerId;
use windrow_tpch::{Query, compare};

use crate::cluster_of_processes::{Cluster, create_tables, id_of, in_time};
use crate::equality::{expected, oracle};
use crate::windrow::{Running, assert_code, stderr, tpch_data, windrow};

/// A chain: each stage reads the one before it and nothing else, so that every stage but the first has an exchange
/// below it. Stage 0 scans, stages 1 to 3 group by other keys, the last one merges.
const CHAIN: &str = "
    SELECT parts, count(*) AS suppliers, sum(most) AS most FROM (
        SELECT l_suppkey, count(*) AS parts, max(quantity) AS most FROM (
            SELECT l_suppkey, l_partkey, l_orderkey, sum(l_quantity) AS quantity, min(l_comment) AS comment
            FROM lineitem GROUP BY l_suppkey, l_partkey, l_orderkey
        ) WHERE length(comment) > 0 GROUP BY l_suppkey
    ) GROUP BY parts ORDER BY parts";
const FORCED: [(&str, &str); 2] = [("windrow.fast_path", "off"), ("windrow.partitions", "16")];
/// Tasks of a stage of [`CHAIN`].
const TASKS: u32 = 16;

/// What became of a query during which a worker was killed.
struct Ended {
    killed: Option<WorkerId>,
    outcome: Result<(Vec<RecordBatch>, JobReport)>,
}

/// Runs a query, and kills these workers as soon as its progress says so.
async fn run_and_kill(
    cluster: &Cluster,
    session: &Session,
    sql: &str,
    victims: &[u32],
    when: impl Fn(Progress) -> bool,
) -> Ended {
    let workers = session.workers().await.unwrap();
    let mut killed = None;
    let reading = async {
        let mut execution = session.execute(sql).await?;
        let mut batches = vec![];
        while let Some(update) = execution.next().await? {
            match update {
                Update::Batch(batch) => batches.push(batch),
                Update::Progress(progress) if killed.is_none() && when(progress) => {
                    victims.iter().for_each(|pid| cluster.kill(*pid));
                    killed = victims.first().map(|pid| id_of(&workers, *pid));
                }
                Update::Progress(_) => {}
            }
        }
        Ok((batches, execution.report().cloned().unwrap_or_default()))
    };
    let outcome = in_time("a query ends although workers are killed", reading).await;
    Ended { killed, outcome }
}

/// Whether a stage that is not the first shows the premise.
fn lost_finished_work(report: &JobReport) -> bool {
    report.stages.iter().skip(1).any(|stage| stage.attempts > stage.tasks + stage.failed_attempts)
}

/// Runs a query on a fresh cluster of three, one of which is killed; true if the premise held.
async fn is_right_although_killed(
    name: &str,
    sql: &str,
    expected: &[RecordBatch],
    victim: usize,
    when: impl Fn(Progress) -> bool,
) -> bool {
    let cluster = Cluster::start(3, 1, &[]);
    let session = cluster.session(&FORCED).await;
    create_tables(&session, tpch_data()).await;
    let pid = cluster.workers()[victim];
    let ended = run_and_kill(&cluster, &session, sql, &[pid], when).await;
    let (rows, report) = ended.outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    let difference = compare(expected, &rows).unwrap();
    assert!(difference.is_none(), "{name}: {}", difference.unwrap());
    let premise = lost_finished_work(&report);
    if premise {
        assert!(ended.killed.is_some_and(|killed| report.workers().contains(&killed)), "{name}: {report:#?}");
        assert!(report.workers().len() > 1, "{name}: {report:#?}");
    }
    session.close().await;
    cluster.stop(1);
    premise
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_after_finished_tasks_of_a_later_stage_costs_no_row() {
    let expected = oracle().await.run(CHAIN).await.unwrap().0;
    let mut exercised = 0;
    // From early in stage 1 to late in stage 3, each time another worker.
    let moments = [4, 8, 12, 20, 24, 28, 36, 44];
    for (seed, into) in moments.into_iter().enumerate() {
        let name = format!("killed {into} tasks behind the first stage");
        // More than the tasks of stage 0 are done: as stage 1 starts only when stage 0 is complete, and stage 2 behind
        // it, all others done are of later stages.
        let when = |progress: Progress| progress.done >= TASKS + into;
        exercised += usize::from(is_right_although_killed(&name, CHAIN, &expected, seed % 3, when).await);
    }
    println!("finished work of a later stage was lost in {exercised} of {} runs", moments.len());
    assert!(exercised > 0, "no worker was killed while its finished work of a later stage was needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_is_right_although_a_worker_is_killed() {
    let (mut exercised, mut runs) = (0, 0);
    for number in [5, 9, 18, 21] {
        let query = Query::number(number).unwrap();
        let (_, expected) = expected().await.iter().find(|(other, _)| *other == query).unwrap();
        for quarter in [1, 2, 3] {
            let name = format!("{query}, killed when {quarter} quarters were done");
            let when = |progress: Progress| progress.done * 4 >= progress.total * quarter;
            let premise = is_right_although_killed(&name, query.sql(), expected, runs % 3, when).await;
            exercised += usize::from(premise);
            runs += 1;
        }
    }
    println!("finished work of a later stage was lost in {exercised} of {runs} runs");
    assert!(exercised > 0, "no worker was killed while its finished work of a later stage was needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_worker_a_query_ends_with_a_clear_error_and_one_that_joins_later_is_used() {
    // Far shorter than the 30 s that are the default, and than the deadline of this test.
    let cluster = Cluster::start(2, 1, &["--no-worker-patience", "1s"]);
    let session = cluster.session(&FORCED).await;
    create_tables(&session, tpch_data()).await;
    let all = cluster.workers().to_vec();
    let ended = run_and_kill(&cluster, &session, CHAIN, &all, |progress| progress.done > 0).await;
    assert!(ended.killed.is_some());
    let error = ended.outcome.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("no worker is connected; waited 1 s"), "{error}");

    let output = windrow(&["sql", "--connect", cluster.url(), "-c", "SELECT 1"]);
    assert_code(&output, 3);
    assert!(stderr(&output).contains("no worker is connected; waited 1 s"), "{}", stderr(&output));

    let mut late = Running::start(&["worker", "--coordinator", cluster.url(), "--cores", "1"]);
    assert!(late.line().contains(", joined "));
    let workers = cluster.wait_for_workers(1).await;
    assert_eq!(workers[0].pid, late.pid());
    let (rows, report) = session.execute(CHAIN).await.unwrap().collect().await.unwrap();
    let expected = oracle().await.run(CHAIN).await.unwrap().0;
    assert_eq!(compare(&expected, &rows).unwrap(), None);
    assert_eq!(report.workers(), [workers[0].id]);
    late.signal("TERM");
    assert_eq!(late.wait(), Some(0));
    session.close().await;
    cluster.stop(2);
}

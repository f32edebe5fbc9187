//! The promise that a job which nobody wants any more leaves nothing, and soon: statements on three workers with every
//! exchange forced, ended in every way there is while their tasks run, while their rows are fetched, and while they write.

use std::path::{Path, PathBuf};

use arrow_flight::{Action, CancelFlightInfoRequest, FlightInfo};
use futures::StreamExt;
use prost::Message;
use windrow_common::{ClusterCounters, WorkerCounters};

use crate::house::{Client, House, query, update};

const WORKERS: usize = 3;

/// One of these tests at a time: each keeps all cores busy, and each promises a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A million numbers, in partitions: they went through an exchange.
const NUMBERS: &str = "(SELECT v, v % 50 AS k FROM (SELECT DISTINCT value AS v FROM generate_series(1, 1000000)))";

/// Keeps every worker computing for minutes, over rows that lie in the stores: 20,000 million pairs, none of which is let
/// through.
fn busy() -> String {
    format!("SELECT count(*) FROM {NUMBERS} a JOIN {NUMBERS} b ON a.k = b.k WHERE a.v + b.v < 0")
}

/// Is soon computed, and far more than fits between the stores and a client that reads nothing.
fn large() -> String {
    format!("SELECT v, k, repeat('words ', 66) || v AS words FROM {NUMBERS}")
}

/// Like [`busy`], and lets a pair through now and then, so that there are files early.
fn pairs() -> String {
    format!("SELECT a.v AS a, b.v AS b FROM {NUMBERS} a JOIN {NUMBERS} b ON a.k = b.k WHERE (a.v + b.v) % 997 = 0")
}

async fn client(house: &House) -> Client {
    let mut client = house.client().await;
    update(&mut client, "SET windrow.fast_path = 'off'").await;
    update(&mut client, "SET windrow.partitions = 6").await;
    // Rows go through the coordinator, so that it has something to let go of; `direct` is about those that do not.
    update(&mut client, "SET windrow.direct_results = false").await;
    client
}

fn counted(counters: &ClusterCounters) -> Vec<WorkerCounters> {
    counters.workers.iter().filter_map(|worker| worker.counters.clone().ok()).collect()
}

fn all_compute(counters: &ClusterCounters) -> bool {
    let workers = counted(counters);
    let rows_held = workers.iter().any(|worker| worker.outputs > 0 && worker.memory.store > 0);
    workers.len() == WORKERS
        && workers.iter().all(|worker| worker.attempts > 0)
        && rows_held
        && counters.coordinator.jobs == 1
        && counters.coordinator.tasks_running as usize >= WORKERS
}

async fn start_busy(house: &House, client: &mut Client) -> FlightInfo {
    let info = client.execute(busy(), None).await.unwrap();
    house.wait_until("all workers compute, over rows that are held", all_compute).await;
    info
}

/// Starts a statement whose rows are all there, and takes the first of them.
async fn start_large(house: &House, client: &mut Client) -> (FlightInfo, impl Sized + use<>) {
    let info = client.execute(large(), None).await.unwrap();
    let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
    let waiting = |counters: &ClusterCounters| {
        let workers = counted(counters);
        counters.coordinator.results >= 1
            && workers.iter().any(|worker| worker.streams > 0)
            && workers.iter().all(|worker| worker.attempts == 0)
            && workers.iter().any(|worker| worker.memory.store > 0)
    };
    house.wait_until("the rows wait for their reader", waiting).await;
    (info, rows)
}

async fn act(client: &mut Client, kind: &str, body: Vec<u8>) {
    let action = Action { r#type: kind.to_owned(), body: body.into() };
    client.do_action(action).await.unwrap().message().await.unwrap();
}

async fn cancel(client: &mut Client, info: &FlightInfo) {
    act(client, "CancelFlightInfo", CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec()).await;
}

async fn fetch(client: &mut Client, info: &FlightInfo) -> impl Sized + use<> {
    client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_run_are_gone_within_a_second() {
    let _alone = ALONE.lock().await;
    let house = House::with_workers(WORKERS, 1).await;
    house.wait_until_quiet().await;
    let mut caller = client(&house).await;

    // Cancelled before it is fetched.
    let info = start_busy(&house, &mut caller).await;
    cancel(&mut caller, &info).await;
    house.wait_until_quiet().await;

    // Cancelled while it is fetched.
    let info = start_busy(&house, &mut caller).await;
    let rows = fetch(&mut caller, &info).await;
    cancel(&mut caller, &info).await;
    house.wait_until_quiet().await;
    drop(rows);

    // The stream is dropped.
    let info = start_busy(&house, &mut caller).await;
    drop(fetch(&mut caller, &info).await);
    house.wait_until_quiet().await;

    // The session is closed, by somebody else than the one who fetches.
    let info = start_busy(&house, &mut caller).await;
    let rows = fetch(&mut caller, &info).await;
    act(&mut caller, "CloseSession", vec![]).await;
    house.wait_until_quiet().await;
    drop((rows, caller));

    // The connection is dropped.
    let mut caller = client(&house).await;
    let info = start_busy(&house, &mut caller).await;
    let rows = fetch(&mut caller, &info).await;
    drop((rows, caller));
    house.wait_until_quiet().await;
    assert_eq!(query(&mut client(&house).await, "SELECT 1").await, "1");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_wait_for_their_reader_are_gone_within_a_second() {
    let _alone = ALONE.lock().await;
    let house = House::with_workers(WORKERS, 1).await;
    let mut caller = client(&house).await;

    let (info, rows) = start_large(&house, &mut caller).await;
    cancel(&mut caller, &info).await;
    house.wait_until_quiet().await;
    drop(rows);

    let (_, rows) = start_large(&house, &mut caller).await;
    drop(rows);
    house.wait_until_quiet().await;

    let (_, rows) = start_large(&house, &mut caller).await;
    act(&mut caller, "CloseSession", vec![]).await;
    house.wait_until_quiet().await;
    drop((rows, caller));

    let mut caller = client(&house).await;
    let (_, rows) = start_large(&house, &mut caller).await;
    drop((rows, caller));
    house.wait_until_quiet().await;
    house.stop().await;
}

/// Everything below a directory but what a write leaves for good: the log of what was decided.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let Ok(entries) = std::fs::read_dir(directory) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_none_or(|e| e != "manifest" && e != "published") {
            found.push(path);
        }
    }
    found
}

fn is_staged(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("_windrow/staging/") || text.ends_with(".staged")
}

/// Starts a write and waits until the workers compute and there are staged files below `directory`.
async fn start_write(
    house: &House,
    client: &Client,
    sql: String,
    directory: &Path,
    compute: impl Fn(&ClusterCounters) -> bool,
) -> tokio::task::JoinHandle<()> {
    let mut client = client.clone();
    let call = tokio::spawn(async move {
        // Returns when the write has ended; it has not when this is dropped.
        let _ = client.execute(sql, None).await;
    });
    house.wait_until("the workers compute", compute).await;
    let staged = |_: &ClusterCounters| files_below(directory).iter().any(|path| is_staged(path));
    house.wait_until("files are staged", staged).await;
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_write_are_gone_within_a_second() {
    let _alone = ALONE.lock().await;
    let house = House::with_workers(WORKERS, 1).await;
    let caller = client(&house).await;
    let target = tempfile::tempdir().unwrap();
    let nothing_below = |directory: &Path| files_below(directory).is_empty();

    // A directory; the call that waits for the end is given up.
    let directory = target.path().join("directory");
    let copy = format!("COPY ({}) TO '{}/' STORED AS PARQUET", pairs(), directory.display());
    let call = start_write(&house, &caller, copy, &directory, all_compute).await;
    call.abort();
    house.wait_until_gone(|| nothing_below(&directory) && !directory.join("_windrow/staging").exists()).await;

    // A single file, which one task writes; the session is closed.
    update(&mut caller.clone(), "SET windrow.partitions = 1").await;
    let one_computes = |counters: &ClusterCounters| counted(counters).iter().any(|worker| worker.attempts > 0);
    let alone = target.path().join("alone");
    std::fs::create_dir(&alone).unwrap();
    let copy = format!("COPY ({}) TO '{}/one.parquet' STORED AS PARQUET", pairs(), alone.display());
    let call = start_write(&house, &caller, copy, &alone, one_computes).await;
    act(&mut caller.clone(), "CloseSession", vec![]).await;
    house.wait_until_gone(|| nothing_below(&alone)).await;
    call.await.unwrap();
    drop(caller);

    // A table that is not to be after all, and one that would be for the session only; the connection is dropped.
    for create in ["CREATE TABLE t AS", "CREATE TEMPORARY TABLE t AS"] {
        let caller = client(&house).await;
        let sql = format!("{create} {}", pairs());
        let call = start_write(&house, &caller, sql, house.warehouse.path(), all_compute).await;
        call.abort();
        drop(caller);
        house.wait_until_gone(|| !any_directory_of_a_table(house.warehouse.path())).await;
        assert_eq!(files_below(house.warehouse.path()), Vec::<PathBuf>::new(), "{create}");
    }
    house.stop().await;
}

/// Whether there is the directory of a table below a warehouse: one with a log of its writes, or with anything in it.
fn any_directory_of_a_table(warehouse: &Path) -> bool {
    let entries = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path());
    entries(warehouse).any(|schema| entries(&schema).next().is_some())
}

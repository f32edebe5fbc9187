//! Listings that are far larger than what is wanted of them, and the number of requests.

use windrow_stores_testing::{Config, Operation};

use super::{Lake, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_files_are_found_among_a_million() {
    let lake = Lake::open(Config::default().synthetic_keys("many/key-", 1_000_000, ".csv")).await;
    let before = resident();
    let count = rows(&lake.session, "SELECT count(*) FROM 's3://lake/many/key-000000?7.csv'").await;
    let grown = resident().saturating_sub(before);
    assert!(count.is_ok(), "{count:?}");
    assert!(lake.server.counters().of(Operation::List).requests >= 1000);
    // A million names alone would be some 200 MB.
    assert!(grown < 150 << 20, "grew by {} MiB", grown >> 20);
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_bounded() {
    let lake = Lake::open(Config::default()).await;
    for index in 0..1000 {
        lake.server.put(&format!("small/{index:04}.csv"), format!("a\n{index}\n"));
    }
    lake.server.counters().reset();
    assert_eq!(rows(&lake.session, "SELECT sum(a) FROM 's3://lake/small/'").await.unwrap(), ["499500"]);
    let total = lake.server.counters().total();
    assert!(total.peak <= 256, "{total:?}");
    lake.close().await;
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

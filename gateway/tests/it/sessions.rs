//! Sessions: who has which, what only they see, how they end, and that nothing stays.

use std::collections::HashMap;

use arrow_flight::Action;
use bytes::Bytes;
use prost::Message;
use windrow_proto::flight_session as wire;
use windrow_proto::flight_session::session_option_value::OptionValue;

use crate::house::{Client, House, error, query, update, wait_for};

async fn act(client: &mut Client, kind: &str, body: Vec<u8>) -> Bytes {
    let action = Action { r#type: kind.to_owned(), body: body.into() };
    let mut results = client.do_action(action).await.unwrap();
    results.message().await.unwrap().unwrap().body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_has_a_session_and_takes_it_along() {
    let house = House::start().await;
    let (mut one, mut two) = (house.client().await, house.client().await);
    update(&mut one, "CREATE TABLE shared AS SELECT 'shared' AS v").await;
    update(&mut one, "CREATE TEMPORARY TABLE shared AS SELECT 'mine' AS v").await;
    update(&mut one, "CREATE TEMPORARY VIEW seen AS SELECT v FROM shared").await;
    update(&mut one, "SET windrow.partitions = 3").await;
    assert_eq!(query(&mut one, "SELECT * FROM shared").await, "mine");
    assert_eq!(query(&mut one, "SELECT * FROM seen").await, "mine");
    assert_eq!(query(&mut two, "SELECT * FROM shared").await, "shared");
    assert!(error(&mut two, "SELECT * FROM seen").await.contains("not found"));
    assert!(query(&mut two, "SHOW windrow.partitions").await.ends_with(",0"));
    assert!(error(&mut one, "CREATE VIEW leak AS SELECT * FROM shared").await.contains("TEMPORARY"));
    let files = || std::fs::read_dir(house.warehouse.path()).unwrap().count();
    assert_eq!((house.sessions(), files()), (2, 2));
    drop(one);
    wait_for(|| house.sessions() == 1 && files() == 1).await;
    update(&mut two, "DROP TABLE shared").await;
    drop(two);
    wait_for(|| house.sessions() == 0).await;
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_or_a_cookie_leads_to_the_same_session() {
    let house = House::start().await;
    let mut one = house.client().await;
    one.handshake("somebody", "a password").await.unwrap();
    update(&mut one, "CREATE TEMPORARY TABLE t AS SELECT 1 AS x").await;
    let mut two = house.client().await;
    two.set_token(one.token().unwrap().clone());
    drop(one);
    assert_eq!(query(&mut two, "SELECT x FROM t").await, "1");
    act(&mut two, "CloseSession", vec![]).await;
    assert!(error(&mut two, "SELECT 1").await.contains("handshake"));

    let mut three = house.client().await;
    let reply = three.inner_mut().list_actions(arrow_flight::Empty {}).await.unwrap();
    assert!(reply.into_inner().message().await.unwrap().is_some());
    let action = Action { r#type: "GetSessionOptions".to_owned(), body: Bytes::new() };
    let reply = three.inner_mut().do_action(action).await.unwrap();
    let cookie = reply.metadata().get("set-cookie").unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
    three.set_header("cookie", cookie.clone());
    update(&mut three, "CREATE TEMPORARY TABLE t AS SELECT 2 AS x").await;
    drop(three);
    let mut four = house.client().await;
    four.set_header("cookie", cookie);
    assert_eq!(query(&mut four, "SELECT x FROM t").await, "2");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_are_set_and_read() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "CREATE SCHEMA s").await;
    update(&mut client, "CREATE TABLE s.t AS SELECT 5 AS x").await;
    let value = |value| wire::SessionOptionValue { option_value: Some(value) };
    let session_options = HashMap::from([
        ("schema".to_owned(), value(OptionValue::StringValue("s".to_owned()))),
        ("windrow.partitions".to_owned(), value(OptionValue::Int64Value(7))),
        ("datafusion.execution.batch_size".to_owned(), value(OptionValue::StringValue("many".to_owned()))),
        ("no.such".to_owned(), value(OptionValue::BoolValue(true))),
    ]);
    let request = wire::SetSessionOptionsRequest { session_options }.encode_to_vec();
    let result = act(&mut client, "SetSessionOptions", request).await;
    let errors = wire::SetSessionOptionsResult::decode(result).unwrap().errors;
    let mut failed: Vec<_> = errors.iter().map(|(name, error)| (name.as_str(), error.value)).collect();
    failed.sort_unstable();
    assert_eq!(failed, [("datafusion.execution.batch_size", 2), ("no.such", 1)]);
    let result = act(&mut client, "GetSessionOptions", vec![]).await;
    let options = wire::GetSessionOptionsResult::decode(result).unwrap().session_options;
    assert_eq!(options["windrow.partitions"], value(OptionValue::StringValue("7".to_owned())));
    assert_eq!(options["catalog"], value(OptionValue::StringValue("windrow".to_owned())));
    assert_eq!(query(&mut client, "SELECT x FROM t").await, "5");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sessions_leave_nothing() {
    let house = House::start().await;
    for number in 0..200 {
        let mut client = house.client().await;
        assert_eq!(query(&mut client, "SELECT 1").await, "1");
        if number % 20 == 0 {
            update(&mut client, "CREATE TEMPORARY TABLE t AS SELECT 1 AS x").await;
        }
    }
    let no_files = || std::fs::read_dir(house.warehouse.path()).unwrap().count() == 0;
    house.wait_until_gone(|| house.sessions() == 0 && house.kept() == (0, 0) && no_files()).await;
    // The workers' connections are all that is left.
    house.wait_until("every client's connection has ended", |c| c.coordinator.connections == 1).await;
    let counters = house.counters().await;
    assert_eq!((counters.coordinator.sessions, counters.is_at_rest()), (0, true), "{counters:#?}");
    house.stop().await;
}

/// What is different in one session: its settings, its temporary table, and so its answers.
struct Side {
    client: Client,
    name: &'static str,
    /// Rows of its temporary table.
    rows: u64,
    partitions: u32,
    /// Where NULL is in an order that does not say.
    nulls: (&'static str, &'static str),
}

impl Side {
    async fn set_up(&mut self) {
        for (name, value) in [
            ("windrow.fast_path", "off".to_owned()),
            ("windrow.partitions", self.partitions.to_string()),
            ("datafusion.sql_parser.default_null_ordering", self.nulls.0.to_owned()),
        ] {
            update(&mut self.client, &format!("SET {name} = '{value}'")).await;
        }
        let rows = format!("SELECT value AS n, '{}' AS owner FROM generate_series(1, {})", self.name, self.rows);
        update(&mut self.client, &format!("CREATE TEMPORARY TABLE t AS {rows}")).await;
    }

    /// A join of both tables with an aggregation of a hundred groups, and one row that depends on a setting.
    fn queries(&self) -> [(String, String); 3] {
        // Of every number up to `rows`, joined with the shared table of 1 to 50,000 by the same number.
        let (count, sum) = (self.rows, self.rows * (self.rows + 1));
        let join = "SELECT owner, sum(c), sum(s) FROM (
            SELECT owner, t.n % 100 AS k, count(*) AS c, sum(t.n + shared.n) AS s
            FROM t JOIN shared ON t.n = shared.n GROUP BY owner, t.n % 100
        ) GROUP BY owner";
        let nulls = "SELECT coalesce(CAST(x AS VARCHAR), 'none') FROM (
            SELECT CASE WHEN n > 1 THEN n END AS x FROM t WHERE n < 4) ORDER BY x";
        [
            (join.to_owned(), format!("{},{count},{sum}", self.name)),
            (nulls.to_owned(), self.nulls.1.to_owned()),
            ("SHOW windrow.partitions".to_owned(), format!("windrow.partitions,{}", self.partitions)),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_with_ten_queries_each_do_not_disturb_one_another() {
    let house = House::with_workers(2, 1).await;
    let mut one = house.client().await;
    update(&mut one, "CREATE TABLE shared AS SELECT value AS n FROM generate_series(1, 50000)").await;
    let mut sides = [
        Side { client: one, name: "one", rows: 20_000, partitions: 3, nulls: ("nulls_max", "2;3;none") },
        Side {
            client: house.client().await,
            name: "two",
            rows: 30_000,
            partitions: 5,
            nulls: ("nulls_min", "none;2;3"),
        },
    ];
    let mut queries = tokio::task::JoinSet::new();
    for side in &mut sides {
        side.set_up().await;
    }
    for round in 0..10 {
        for side in &sides {
            let (mut client, (sql, expected)) = (side.client.clone(), side.queries()[round % 3].clone());
            queries.spawn(async move { assert_eq!(query(&mut client, &sql).await, expected, "{sql}") });
        }
    }
    while let Some(done) = queries.join_next().await {
        done.unwrap();
    }
    assert_eq!(house.sessions(), 2);
    house.wait_until_quiet().await;
    drop(sides);
    house.wait_until_gone(|| house.sessions() == 0 && house.kept() == (0, 0)).await;
    house.stop().await;
}

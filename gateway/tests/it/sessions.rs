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
    for _ in 0..200 {
        let mut client = house.client().await;
        assert_eq!(query(&mut client, "SELECT 1").await, "1");
    }
    wait_for(|| house.sessions() == 0).await;
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_with_ten_queries_each_do_not_disturb_one_another() {
    let house = House::start().await;
    let (one, two) = (house.client().await, house.client().await);
    for (client, name) in [(&one, "one"), (&two, "two")] {
        let mut client = client.clone();
        update(&mut client, &format!("CREATE TEMPORARY TABLE t AS SELECT '{name}' AS v")).await;
    }
    let mut queries = tokio::task::JoinSet::new();
    for (client, name) in [(&one, "one"), (&two, "two")] {
        for _ in 0..10 {
            let mut client = client.clone();
            queries.spawn(async move { assert_eq!(query(&mut client, "SELECT v FROM t").await, name) });
        }
    }
    while let Some(done) = queries.join_next().await {
        done.unwrap();
    }
    house.stop().await;
}

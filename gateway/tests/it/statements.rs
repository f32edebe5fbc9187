//! Queries, updates and definitions; errors; polling.

use arrow_flight::sql::{Any, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, Ticket};
use prost::Message;

use crate::house::{House, error, fetch, query, text, update};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_with_the_columns_that_were_announced() {
    let house = House::start().await;
    let mut client = house.client().await;
    let sql = "SELECT 1 AS one, 'text' AS t, NULL AS n, [1, 2] AS l, {'a': 'x'} AS s, \
               arrow_cast('k', 'Dictionary(Int32, Utf8)') AS d, arrow_cast('v', 'Utf8View') AS v";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let announced = info.clone().try_decode_schema().unwrap();
    let batches = fetch(&mut client, info).await;
    assert_eq!(batches[0].schema().as_ref(), &announced);
    assert_eq!(text(&batches), "1,text,,[1, 2],{a: x},k,v");
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_count_their_rows() {
    let house = House::start().await;
    let mut client = house.client().await;
    assert_eq!(update(&mut client, "CREATE TABLE t AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y)").await, 2);
    assert_eq!(update(&mut client, "INSERT INTO t VALUES (3, 'c')").await, 1);
    assert_eq!(query(&mut client, "SELECT sum(x), count(*) FROM t").await, "6,3");
    assert_eq!(update(&mut client, "CREATE VIEW big AS SELECT x FROM t WHERE x > 1").await, 0);
    assert_eq!(query(&mut client, "SELECT * FROM big ORDER BY x").await, "2;3");
    // Many clients send everything through the call for queries.
    assert_eq!(query(&mut client, "INSERT INTO t SELECT x + 10, y FROM t").await, "3");
    assert_eq!(query(&mut client, "DROP VIEW big").await, "");
    assert_eq!(update(&mut client, "DROP TABLE t").await, 0);
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_keep_their_kind_and_say_what_is_wrong() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "CREATE TABLE orders AS SELECT 1 AS x").await;
    for (sql, code, says) in [
        ("SELEC 1", "invalid", "SELEC"),
        ("SELECT * FROM order_s", "not found", "Did you mean 'orders'"),
        ("SELECT 1 / x FROM (VALUES (0)) v(x)", "invalid", "zero"),
        ("CREATE TABLE orders AS SELECT 2", "already exists", "CREATE OR REPLACE"),
        ("CREATE INDEX i ON orders(x)", "not implemented", "does not exist here"),
        ("SELECT $1", "invalid", "1 parameters"),
    ] {
        let error = error(&mut client, sql).await;
        assert!(error.to_lowercase().contains(code) && error.contains(says), "{sql}: {error}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_statement_wrote_is_there_although_nobody_fetched_its_answer() {
    let house = House::start().await;
    let mut client = house.client().await;
    for n in 0..20 {
        client.execute(format!("CREATE TABLE t{n} AS SELECT {n} AS x"), None).await.unwrap();
        client.execute(format!("INSERT INTO t{n} VALUES (1)"), None).await.unwrap();
        assert_eq!(query(&mut client, &format!("SELECT sum(x) FROM t{n}")).await, (n + 1).to_string());
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_can_be_polled() {
    let house = House::start().await;
    let mut client = house.client().await;
    let command = CommandStatementQuery { query: "SELECT 7 AS seven".to_owned(), transaction_id: None };
    let mut wanted = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = loop {
        let poll = client.inner_mut().poll_flight_info(wanted).await.unwrap().into_inner();
        match poll.flight_descriptor {
            Some(again) => wanted = again,
            None => break poll.info.unwrap(),
        }
    };
    assert_eq!(text(&fetch(&mut client, info).await), "7");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_command_or_ticket_is_refused() {
    let house = House::start().await;
    let mut client = house.client().await;
    for bytes in
        [vec![], vec![1, 2, 3], vec![1; 49], Any { type_url: "x".to_owned(), value: vec![].into() }.encode_to_vec()]
    {
        let ticket = Ticket { ticket: bytes.clone().into() };
        assert!(client.inner_mut().do_get(ticket).await.is_err());
        assert!(client.inner_mut().get_flight_info(FlightDescriptor::new_cmd(bytes)).await.is_err());
    }
    assert!(client.inner_mut().get_flight_info(FlightDescriptor::new_path(vec!["a".to_owned()])).await.is_err());
    assert!(client.begin_transaction().await.is_err());
    let info = client.execute("SELECT 1".to_owned(), None).await.unwrap();
    fetch(&mut client, info.clone()).await;
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    // A ticket is good for one fetch.
    assert!(client.do_get(ticket).await.is_err());
    house.stop().await;
}

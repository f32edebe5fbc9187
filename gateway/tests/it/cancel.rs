//! Statements that nobody wants any more: cancelled, dropped, or left behind by a closed session.

use arrow_flight::sql::{ActionCancelQueryRequest, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor, FlightInfo,
};
use futures::StreamExt;
use prost::Message;
use tonic::Code;

use crate::house::{Client, House, query, try_fetch, update};

/// More rows than anybody waits for.
pub const ENDLESS: &str =
    "SELECT a.value, b.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";

async fn act(client: &mut Client, kind: &str, body: Vec<u8>) {
    let action = Action { r#type: kind.to_owned(), body: body.into() };
    let mut results = client.do_action(action).await.unwrap();
    let body = results.message().await.unwrap().unwrap().body;
    if kind == "CancelFlightInfo" {
        assert_eq!(CancelFlightInfoResult::decode(body).unwrap().status(), CancelStatus::Cancelled);
    }
}

/// Told at once where its rows would be: the result is not waited for.
async fn endless(client: &mut Client) -> FlightInfo {
    update(client, "SET windrow.direct_results = false").await;
    client.execute(ENDLESS.to_owned(), None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_cancelled_before_and_while_it_is_fetched() {
    let house = House::start().await;
    let mut client = house.client().await;
    let info = endless(&mut client).await;
    act(&mut client, "CancelFlightInfo", CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec()).await;
    house.wait_until_quiet().await;
    assert!(try_fetch(&mut client, info).await.is_err());

    let info = endless(&mut client).await;
    let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
    act(&mut client, "CancelQuery", request.as_any().encode_to_vec()).await;
    let ended = async {
        while let Some(next) = rows.next().await {
            next?;
        }
        Ok::<_, arrow_flight::error::FlightError>(())
    };
    let error = ended.await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("cancel"), "{error}");
    house.wait_until_quiet().await;
    assert_eq!(query(&mut client, "SELECT 1").await, "1");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_nothing() {
    let house = House::start().await;
    let mut client = house.client().await;
    // Its stream is dropped.
    let info = endless(&mut client).await;
    let rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    drop(rows);
    house.wait_until_quiet().await;
    // Its connection is closed with an answer that nobody has fetched.
    endless(&mut client).await;
    drop(client);
    house.wait_until_quiet().await;
    assert_eq!(house.sessions(), 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_session_ends_what_it_runs() {
    let house = House::start().await;
    let mut client = house.client().await;
    let info = endless(&mut client).await;
    let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    endless(&mut client).await;
    act(&mut client, "CloseSession", vec![]).await;
    while let Some(Ok(_)) = rows.next().await {}
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_stops_with_statements_under_way() {
    let house = House::start().await;
    let mut client = house.client().await;
    let info = endless(&mut client).await;
    let _rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    endless(&mut client).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polled_statement_that_fails_says_why_once_and_is_gone() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "SET windrow.fast_path = 'off'").await;
    // Fails with its last row, when it has been polled.
    let sql = "SELECT 1 / (3000000 - max(value)) FROM generate_series(1, 3000000)";
    let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    let mut wanted = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let mut ticket = None;
    let error = loop {
        match client.inner_mut().poll_flight_info(wanted).await {
            Ok(poll) => {
                let again = poll.into_inner().flight_descriptor.expect("it fails before it has rows");
                ticket = Some(again.clone());
                wanted = again;
            }
            Err(error) => break error,
        }
    };
    assert!(error.message().to_lowercase().contains("division by zero"), "{error}");
    house.wait_until_quiet().await;
    // It may have failed before the first answer, and then has no name.
    if let Some(ticket) = ticket {
        let error = client.inner_mut().poll_flight_info(ticket).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{error}");
    }
    house.stop().await;
}

//! Large results that clients read from the workers themselves, part by part: that every row comes, once and in order,
//! from whichever side; and that nothing stays, however reading ends.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor, FlightEndpoint,
    FlightInfo, Ticket,
};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Code;
use tonic::transport::Endpoint;
use windrow_common::{AttemptId, JobId, SessionId};
use windrow_engine::exchange::DirectTicket;

use crate::cancel::ENDLESS;
use crate::house::{Client, House, fetch, query, try_fetch, update, wait_for};

const ROWS: i64 = 1_000_000;
/// Files of the table, and partitions of every exchange.
const PARTS: i64 = 4;
/// Runs in as many tasks as there are partitions; another run of one gives the same rows in the same order.
const EXACT: &str = "SELECT n, 'number ' || n AS words FROM numbers";
/// One part, of some 40 MB.
const ORDERED: &str = "SELECT n, 'number ' || n AS words FROM numbers ORDER BY n";

/// Three workers, and a client whose plans are spread over them, with a table of a million rows.
async fn house_of_numbers() -> (House, Client) {
    let house = House::with_workers(3, 2).await;
    let mut client = house.client().await;
    let share = ROWS / PARTS;
    for part in 0..PARTS {
        let rows = format!("SELECT value AS n FROM generate_series({}, {})", part * share + 1, (part + 1) * share);
        let sql =
            if part == 0 { format!("CREATE TABLE numbers AS {rows}") } else { format!("INSERT INTO numbers {rows}") };
        assert_eq!(update(&mut client, &sql).await, share);
    }
    update(&mut client, "SET windrow.fast_path = 'off'").await;
    update(&mut client, &format!("SET windrow.partitions = {PARTS}")).await;
    (house, client)
}

async fn info(client: &mut Client, sql: &str) -> FlightInfo {
    client.execute(sql.to_owned(), None).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn ticket(endpoint: &FlightEndpoint) -> Ticket {
    endpoint.ticket.clone().unwrap()
}

/// The worker of an endpoint; checks that the coordinator is named behind it. None for a part so small that it is with
/// the coordinator.
fn worker(endpoint: &FlightEndpoint) -> Option<&str> {
    let [worker, coordinator] = endpoint.location.as_slice() else {
        assert!(endpoint.location.is_empty(), "{:?}", endpoint.location);
        return None;
    };
    assert_eq!(coordinator.uri, "arrow-flight-reuse-connection://?");
    worker.uri.strip_prefix("grpc+tcp://")
}

/// Those that lie with workers.
fn at_workers(info: &FlightInfo) -> Vec<&FlightEndpoint> {
    info.endpoint.iter().filter(|endpoint| worker(endpoint).is_some()).collect()
}

/// A client of what listens there, over a connection of its own.
async fn client_of(address: &str) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
}

/// Begins to read an endpoint from its worker; a small part from where the information came.
async fn read(client: &Client, endpoint: &FlightEndpoint) -> FlightRecordBatchStream {
    let mut reader = match worker(endpoint) {
        Some(worker) => client_of(worker).await,
        None => client.clone(),
    };
    reader.do_get(ticket(endpoint)).await.unwrap()
}

/// All rows of an endpoint, read like that.
async fn read_all(client: &Client, endpoint: &FlightEndpoint) -> Vec<RecordBatch> {
    read(client, endpoint).await.try_collect().await.unwrap()
}

/// All rows of a result, every part at once.
async fn read_parts(client: &Client, info: &FlightInfo) -> Vec<RecordBatch> {
    let parts = info.endpoint.iter().map(|endpoint| read_all(client, endpoint));
    futures::future::join_all(parts).await.concat()
}

/// Rows, and the sum of their first column.
fn sums(batches: &[RecordBatch]) -> (i64, i64) {
    let numbers = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
    (batches.iter().map(|batch| batch.num_rows() as i64).sum(), batches.iter().map(numbers).sum())
}

const WHOLE: (i64, i64) = (ROWS, ROWS * (ROWS + 1) / 2);

async fn cancel(client: &mut Client, info: &FlightInfo) -> CancelStatus {
    let body = CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec().into();
    let action = Action { r#type: "CancelFlightInfo".to_owned(), body };
    let mut results = client.do_action(action).await.unwrap();
    CancelFlightInfoResult::decode(results.message().await.unwrap().unwrap().body).unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_is_read_from_its_worker() {
    let (house, mut client) = house_of_numbers().await;
    for sql in [EXACT, "SELECT n, count(*) AS times FROM numbers GROUP BY n"] {
        let info = info(&mut client, sql).await;
        assert_eq!(info.endpoint.len() as i64, PARTS, "{sql}");
        let workers: BTreeSet<&str> = info.endpoint.iter().filter_map(worker).collect();
        let known: BTreeSet<&str> = house.workers.iter().map(|worker| worker.endpoint()).collect();
        assert!(workers.len() > 1 && workers.is_subset(&known), "{workers:?}");
        let announced = info.clone().try_decode_schema().unwrap();
        let batches = read_parts(&client, &info).await;
        assert!(batches.iter().all(|batch| batch.schema().as_ref() == &announced), "{sql}");
        assert_eq!(sums(&batches), WHOLE, "{sql}");
        // With the last part everything goes, and a ticket was good for one fetch.
        house.wait_until_quiet().await;
        for endpoint in &info.endpoint {
            if let Some(worker) = worker(endpoint) {
                assert!(client_of(worker).await.do_get(ticket(endpoint)).await.is_err());
            }
            assert!(client.do_get(ticket(endpoint)).await.is_err());
        }
        assert_eq!(cancel(&mut client, &info).await, CancelStatus::NotCancellable);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordered_result_is_in_order_from_either_side() {
    let (house, mut client) = house_of_numbers().await;
    for direct in [true, false] {
        let info = info(&mut client, ORDERED).await;
        assert!(info.ordered);
        let mut batches = vec![];
        if direct {
            for endpoint in &info.endpoint {
                batches.extend(read_all(&client, endpoint).await);
            }
        } else {
            batches = fetch(&mut client, info).await;
        }
        let numbers = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter());
        assert!(numbers.copied().eq(1..=ROWS));
        house.wait_until_quiet().await;
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_reach_a_worker_reads_through_the_coordinator() {
    let (house, mut client) = house_of_numbers().await;
    let all = info(&mut client, EXACT).await;
    assert_eq!(sums(&fetch(&mut client, all).await), WHOLE);
    house.wait_until_quiet().await;
    // Some parts from here, some from there, one begun at its worker and broken off there.
    let all = info(&mut client, EXACT).await;
    let mut batches = vec![];
    for (part, endpoint) in all.endpoint.iter().enumerate() {
        // A part without rows would be read to its end by this.
        if worker(endpoint).is_some() {
            read(&client, endpoint).await.next().await.unwrap().unwrap();
        }
        if part % 2 == 0 {
            batches.extend(read_all(&client, endpoint).await);
        } else {
            let rows = client.do_get(ticket(endpoint)).await.unwrap();
            batches.extend(rows.try_collect::<Vec<_>>().await.unwrap());
        }
    }
    assert_eq!(sums(&batches), WHOLE);
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_whose_worker_is_gone_is_made_again() {
    let (mut house, mut client) = house_of_numbers().await;
    let all = info(&mut client, EXACT).await;
    let half = at_workers(&all)[0];
    let gone = worker(half).unwrap();
    // Half-read through the coordinator: another run of an exact stage goes on with the very next row.
    let mut first = client.do_get(ticket(half)).await.unwrap();
    let mut batches = vec![first.next().await.unwrap().unwrap()];
    let place = house.workers.iter().position(|worker| worker.endpoint() == gone).unwrap();
    house.workers.remove(place).shutdown().await;
    batches.extend(first.try_collect::<Vec<_>>().await.unwrap());
    for endpoint in all.endpoint.iter().filter(|endpoint| *endpoint != half) {
        if worker(endpoint) == Some(gone) {
            let rows = client.do_get(ticket(endpoint)).await.unwrap();
            batches.extend(rows.try_collect::<Vec<_>>().await.unwrap());
        } else {
            batches.extend(read_all(&client, endpoint).await);
        }
    }
    assert_eq!(sums(&batches), WHOLE);
    let distinct: BTreeSet<i64> =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(distinct.len() as i64, ROWS);
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_results_and_sessions_that_say_so_have_one_endpoint() {
    let (house, mut client) = house_of_numbers().await;
    for sql in ["SELECT 1", "SELECT count(*) FROM numbers", "SHOW windrow.direct_results"] {
        let small = info(&mut client, sql).await;
        assert_eq!((small.endpoint.len(), small.endpoint[0].location.len()), (1, 0), "{sql}");
        fetch(&mut client, small).await;
    }
    update(&mut client, "SET windrow.direct_results = false").await;
    let large = info(&mut client, EXACT).await;
    assert_eq!((large.endpoint.len(), large.endpoint[0].location.len()), (1, 0));
    assert_eq!(sums(&fetch(&mut client, large).await), WHOLE);
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_result_ends_the_streams_of_its_workers() {
    let (house, mut client) = house_of_numbers().await;
    for through_worker in [true, false] {
        let info = info(&mut client, ORDERED).await;
        let mut rows = if through_worker {
            read(&client, &info.endpoint[0]).await
        } else {
            client.do_get(ticket(&info.endpoint[0])).await.unwrap()
        };
        rows.next().await.unwrap().unwrap();
        assert_eq!(cancel(&mut client, &info).await, CancelStatus::Cancelled);
        // Nothing is kept for somebody who does not read on.
        house.wait_until_quiet().await;
        let rest: Result<Vec<_>, _> = rows.try_collect().await;
        assert!(rest.is_err(), "a stream was cut short without a word");
        assert!(try_fetch(&mut client, info).await.is_err());
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_takes_its_results_along() {
    let (house, mut client) = house_of_numbers().await;
    info(&mut client, EXACT).await;
    let half_read = info(&mut client, ORDERED).await;
    let mut rows = read(&client, &half_read.endpoint[0]).await;
    rows.next().await.unwrap().unwrap();
    drop(client);
    house.wait_until_quiet().await;
    assert!(rows.try_collect::<Vec<_>>().await.is_err());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_while_it_waits_leaves_nothing() {
    let house = House::start().await;
    let client = house.client().await;
    let waiting = {
        let mut client = client.clone();
        tokio::spawn(async move { client.execute(ENDLESS.to_owned(), None).await })
    };
    let front = house.coordinator.front();
    wait_for(|| front.sessions().running() == 1).await;
    waiting.abort();
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polled_result_has_its_endpoints_at_the_end() {
    let (house, mut client) = house_of_numbers().await;
    let command = CommandStatementQuery { query: EXACT.to_owned(), transaction_id: None };
    let mut wanted = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = loop {
        let poll = client.inner_mut().poll_flight_info(wanted).await.unwrap().into_inner();
        let info = poll.info.unwrap();
        match poll.flight_descriptor {
            Some(again) => {
                assert!(info.endpoint.is_empty(), "endpoints may be added and never changed");
                wanted = again;
            }
            None => break info,
        }
    };
    assert_eq!(info.endpoint.len() as i64, PARTS);
    assert_eq!(sums(&read_parts(&client, &info).await), WHOLE);
    house.wait_until_quiet().await;
    // What has no endpoints yet can be cancelled by what is known of it.
    let command = CommandStatementQuery { query: ENDLESS.to_owned(), transaction_id: None };
    let wanted = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let poll = client.inner_mut().poll_flight_info(wanted).await.unwrap().into_inner();
    assert_eq!(cancel(&mut client, &poll.info.unwrap()).await, CancelStatus::Cancelled);
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_that_were_not_given_out_are_refused() {
    let (house, mut client) = house_of_numbers().await;
    let info = info(&mut client, EXACT).await;
    let endpoint = at_workers(&info)[0];
    let mut at_worker = client_of(worker(endpoint).unwrap()).await;
    let given = DirectTicket::decode(&ticket(endpoint).ticket).unwrap();
    let made_up = [
        DirectTicket { attempt: AttemptId(given.attempt.0 ^ 1), ..given.clone() },
        DirectTicket { job: JobId(given.job.0 ^ 1), ..given.clone() },
        DirectTicket { partitions: 0..1_000, ..given.clone() },
    ];
    for forged in made_up {
        assert!(at_worker.do_get(Ticket { ticket: forged.encode() }).await.is_err(), "{forged:?}");
    }
    let made_up = [
        DirectTicket { authorisation: given.authorisation ^ 1, ..given.clone() },
        DirectTicket { answer: given.answer ^ 1, ..given.clone() },
        DirectTicket { job: JobId(given.job.0 ^ 1), ..given.clone() },
        DirectTicket { part: 1_000, ..given.clone() },
    ];
    for forged in made_up {
        assert!(client.do_get(Ticket { ticket: forged.encode() }).await.is_err(), "{forged:?}");
    }
    let refused = at_worker.inner_mut().do_get(Ticket { ticket: vec![1, 2, 3].into() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let wanted = FlightDescriptor::new_cmd(vec![]);
    let refused = at_worker.inner_mut().get_flight_info(wanted).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    // The result itself took no harm.
    assert_eq!(sums(&fetch(&mut client, info).await), WHOLE);
    assert_eq!(query(&mut client, "SELECT 1").await, "1");
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_without_rows_have_their_columns() {
    let (house, mut client) = house_of_numbers().await;
    // All rows have one key: one part has them all, the others have none.
    let sql = "SELECT n / 10000000 AS k, n, sum(n) OVER (PARTITION BY n / 10000000) AS total FROM numbers";
    let info = info(&mut client, sql).await;
    assert_eq!((info.endpoint.len() as i64, at_workers(&info).len()), (PARTS, 1));
    let announced = info.clone().try_decode_schema().unwrap();
    let mut rows = 0;
    for endpoint in &info.endpoint {
        let mut part = read(&client, endpoint).await;
        while let Some(batch) = part.next().await {
            rows += batch.unwrap().num_rows() as i64;
        }
        assert_eq!(part.schema().unwrap().as_ref(), &announced);
    }
    assert_eq!(rows, ROWS);
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ticket_says_whose_session_it_is() {
    let (house, mut client) = house_of_numbers().await;
    let parts = info(&mut client, EXACT).await;
    assert!(DirectTicket::decode(&ticket(at_workers(&parts)[0]).ticket).is_some());
    let whole = info(&mut client, "SELECT 1").await;
    let mut prepared = client.prepare("SELECT 2".to_owned(), None).await.unwrap();
    // Its descriptor holds the handle.
    let of_prepared = prepared.execute().await.unwrap();
    assert!(of_prepared.flight_descriptor.as_ref().is_some_and(|descriptor| descriptor.cmd.len() > 48));
    let front = house.coordinator.front();
    assert!(house.sessions() > 0);
    for info in [&parts, &whole, &of_prepared] {
        // Every ticket, and all else that a client is told of an answer.
        for window in info.encode_to_vec().windows(16) {
            let id = SessionId(u128::from_be_bytes(window.try_into().unwrap()));
            assert!(front.sessions().get(id).is_err(), "a bearer token is in {info:?}");
        }
    }
    for info in [whole, of_prepared, parts] {
        fetch(&mut client, info).await;
    }
    prepared.close().await.unwrap();
    house.wait_until_quiet().await;
    house.stop().await;
}

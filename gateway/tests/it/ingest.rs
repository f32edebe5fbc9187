//! Rows that clients send into tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    CommandStatementIngest, ProstMessageExt, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{StreamExt, TryStreamExt};
use prost::Message;

use crate::house::{Client, House, error, query, wait_for};

fn batch(range: std::ops::Range<i64>) -> RecordBatch {
    let words: ArrayRef = Arc::new(StringArray::from_iter_values(range.clone().map(|n| format!("word {n}"))));
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(range)) as ArrayRef), ("w", words)])
        .unwrap()
}

fn command(table: &str, missing: TableNotExistOption, exists: TableExistsOption) -> CommandStatementIngest {
    let options = TableDefinitionOptions { if_not_exist: missing as i32, if_exists: exists as i32 };
    CommandStatementIngest {
        table_definition_options: Some(options),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    }
}

async fn send(client: &mut Client, command: CommandStatementIngest, batches: Vec<RecordBatch>) -> Result<i64, String> {
    let rows = futures::stream::iter(batches.into_iter().map(Ok));
    client.execute_ingest(command, rows).await.map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_created_appended_and_replaced() {
    use {TableExistsOption as Exists, TableNotExistOption as Missing};
    let house = House::start().await;
    let mut client = house.client().await;
    let error = send(&mut client, command("t", Missing::Fail, Exists::Append), vec![batch(0..1)]).await.unwrap_err();
    assert!(error.contains("there is no table"), "{error}");
    let all = (0..100).map(|part| batch(part * 1000..(part + 1) * 1000)).collect();
    let written = send(&mut client, command("t", Missing::Create, Exists::Fail), all).await.unwrap();
    assert_eq!(written, 100_000);
    let sum = "SELECT count(*), sum(n), count(DISTINCT w) FROM t";
    assert_eq!(query(&mut client, sum).await, "100000,4999950000,100000");
    let error = send(&mut client, command("t", Missing::Create, Exists::Fail), vec![batch(0..1)]).await.unwrap_err();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(send(&mut client, command("t", Missing::Fail, Exists::Append), vec![batch(0..5)]).await.unwrap(), 5);
    assert_eq!(query(&mut client, "SELECT count(*) FROM t").await, "100005");
    // Columns are found by their names and get the table's types.
    let narrow = RecordBatch::try_from_iter([("n", Arc::new(StringArray::from(vec!["77"])) as ArrayRef)]).unwrap();
    let refused = send(&mut client, command("t", Missing::Fail, Exists::Append), vec![narrow]).await.unwrap_err();
    assert!(refused.contains("no column 'w'"), "{refused}");
    let texts: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["last"])), Arc::new(StringArray::from(vec!["77"]))];
    let turned = RecordBatch::try_from_iter(["w", "n"].into_iter().zip(texts)).unwrap();
    assert_eq!(send(&mut client, command("t", Missing::Fail, Exists::Append), vec![turned]).await.unwrap(), 1);
    assert_eq!(query(&mut client, "SELECT n FROM t WHERE w = 'last'").await, "77");
    assert_eq!(send(&mut client, command("t", Missing::Fail, Exists::Replace), vec![batch(0..3)]).await.unwrap(), 3);
    assert_eq!(query(&mut client, "SELECT count(*) FROM t").await, "3");
    let empty = vec![batch(0..0)];
    assert_eq!(send(&mut client, command("empty", Missing::Create, Exists::Fail), empty).await.unwrap(), 0);
    assert_eq!(query(&mut client, "SELECT count(*) FROM empty").await, "0");
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_off_leaves_nothing() {
    use {TableExistsOption as Exists, TableNotExistOption as Missing};
    let house = House::start().await;
    let mut client = house.client().await;
    send(&mut client, command("t", Missing::Create, Exists::Fail), vec![batch(0..10)]).await.unwrap();
    // Rows, and then something that is none.
    let descriptor = FlightDescriptor::new_cmd(command("t", Missing::Fail, Exists::Append).as_any().encode_to_vec());
    let rows = futures::stream::iter(vec![Ok(batch(0..1000))]);
    let messages = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(descriptor)).build(rows);
    let mut messages: Vec<FlightData> = messages.try_collect().await.unwrap();
    messages.push(FlightData { data_header: vec![1, 2, 3].into(), ..FlightData::default() });
    let refused = client.inner_mut().do_put(futures::stream::iter(messages)).await.unwrap_err();
    assert!(refused.message().contains("unreadable"), "{refused}");
    assert_eq!(query(&mut client, "SELECT count(*) FROM t").await, "10");
    // A client that goes away in the middle.
    let endless = futures::stream::iter(vec![Ok(batch(0..1000))]).chain(futures::stream::pending());
    let mut other = house.client().await;
    let sending = tokio::spawn(async move {
        let _ = other.execute_ingest(command("u", Missing::Create, Exists::Fail), endless).await;
    });
    wait_for(|| house.coordinator.front().sessions().running() == 1).await;
    sending.abort();
    house.wait_until_quiet().await;
    assert!(error(&mut client, "SELECT * FROM u").await.contains("not found"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temporary_table_is_filled() {
    use {TableExistsOption as Exists, TableNotExistOption as Missing};
    let house = House::start().await;
    let mut client = house.client().await;
    let temporary = CommandStatementIngest { temporary: true, ..command("t", Missing::Create, Exists::Fail) };
    assert_eq!(send(&mut client, temporary, vec![batch(0..10)]).await.unwrap(), 10);
    assert_eq!(query(&mut client, "SELECT count(*) FROM t").await, "10");
    let mut other = house.client().await;
    assert!(error(&mut other, "SELECT * FROM t").await.contains("not found"));
    house.stop().await;
}

//! Prepared statements, and values for their parameters.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray, StringViewArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Int32Type};

use crate::house::{Client, House, fetch, query, text, update};

/// A batch of columns named by their place.
fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (1..).map(|n| format!("${n}"));
    RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(name, column)| (name, column, true))).unwrap()
}

async fn bound(client: &mut Client, sql: &str, values: RecordBatch) -> String {
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    prepared.set_parameters(values).unwrap();
    let info = prepared.execute().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let rows = fetch(client, info).await;
    prepared.close().await.unwrap();
    text(&rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_every_type_are_bound() {
    let house = House::start().await;
    let mut client = house.client().await;
    let values: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "true"),
        (Arc::new(Int8Array::from(vec![-8])), "-8"),
        (Arc::new(Int16Array::from(vec![-16])), "-16"),
        (Arc::new(Int32Array::from(vec![-32])), "-32"),
        (Arc::new(Int64Array::from(vec![i64::MIN])), "-9223372036854775808"),
        (Arc::new(UInt8Array::from(vec![8])), "8"),
        (Arc::new(UInt16Array::from(vec![16])), "16"),
        (Arc::new(UInt32Array::from(vec![32])), "32"),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (Arc::new(Float32Array::from(vec![0.5])), "0.5"),
        (Arc::new(Float64Array::from(vec![0.25])), "0.25"),
        (Arc::new(StringArray::from(vec!["it's"])), "it's"),
        (Arc::new(LargeStringArray::from(vec!["large"])), "large"),
        (Arc::new(StringViewArray::from(vec!["view"])), "view"),
        (Arc::new(BinaryArray::from(vec![&b"\x01\xff"[..]])), "01ff"),
        (Arc::new(Date32Array::from(vec![1])), "1970-01-02"),
        (Arc::new(Time64MicrosecondArray::from(vec![1_000_000])), "00:00:01"),
        (Arc::new(TimestampMicrosecondArray::from(vec![0])), "1970-01-01T00:00:00"),
        (Arc::new(Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2).unwrap()), "123.45"),
        (Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])])), "[1, ]"),
        (Arc::new(Int32Array::from(vec![None::<i32>])), ""),
    ];
    for (value, wanted) in values {
        let data_type = value.data_type().clone();
        assert_eq!(bound(&mut client, "SELECT ? AS v", batch(vec![value])).await, wanted, "{data_type}");
    }
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_described_and_stand_anywhere() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "CREATE TABLE t (x INT, y VARCHAR) AS VALUES (1, 'a'), (2, 'b'), (3, '?')").await;
    let prepared = client.prepare("SELECT y FROM t WHERE x > $1 AND y <> $2".to_owned(), None).await.unwrap();
    let parameters = prepared.parameter_schema().unwrap();
    assert_eq!(parameters.field(0).data_type(), &DataType::Int32);
    assert_eq!(parameters.fields().len(), 2);
    assert_eq!(prepared.dataset_schema().unwrap().field(0).name(), "y");
    let int = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let str = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    assert_eq!(bound(&mut client, "SELECT y FROM t WHERE x > ? AND y <> '?'", batch(vec![int(vec![1])])).await, "b");
    assert_eq!(bound(&mut client, "SELECT x FROM t ORDER BY x LIMIT ?", batch(vec![int(vec![1])])).await, "1");
    assert_eq!(
        bound(&mut client, "SELECT x FROM t WHERE x IN (SELECT x FROM t WHERE y = ?)", batch(vec![str(vec!["b"])]))
            .await,
        "2"
    );
    // Each row of values is a run, and the answers are one.
    let both = bound(&mut client, "SELECT y FROM t WHERE x = ?", batch(vec![int(vec![3, 1])])).await;
    assert!(both == "?;a" || both == "a;?", "{both}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_are_inserted_by_one_statement() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "CREATE TABLE t (x INT, y VARCHAR) AS VALUES (0, 'zero')").await;
    let mut insert = client.prepare("INSERT INTO t VALUES (?, ?)".to_owned(), None).await.unwrap();
    assert!(insert.dataset_schema().unwrap().fields().is_empty());
    let numbers = Int64Array::from_iter_values(1..=1000);
    let words = StringArray::from_iter((1..=1000).map(|n| (n % 2 == 0).then(|| format!("w{n}"))));
    insert.set_parameters(batch(vec![Arc::new(numbers), Arc::new(words)])).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 1000);
    insert.close().await.unwrap();
    assert_eq!(query(&mut client, "SELECT count(*), sum(x), count(y), max(y) FROM t").await, "1001,500500,501,zero");
    house.wait_until_quiet().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_values_are_refused() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "CREATE TABLE t (x INT) AS VALUES (0)").await;
    let int = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    for (sql, values) in [
        ("SELECT ?", vec![int(), int()]),
        ("SELECT ? + ?", vec![int()]),
        ("SELECT 1", vec![int()]),
        ("INSERT INTO t VALUES (?)", vec![Arc::new(StringArray::from(vec!["word"])) as ArrayRef]),
    ] {
        let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
        prepared.set_parameters(batch(values)).unwrap();
        assert!(prepared.execute().await.is_err(), "{sql}");
    }
    assert_eq!(query(&mut client, "SELECT count(*) FROM t").await, "1");
    house.stop().await;
}

//! Files of one table whose columns differ: CSV by its headers, Parquet by DataFusion's reader.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;

use super::{Files, columns, format};

#[tokio::test]
async fn csv_columns_are_found_by_the_names_in_each_header() {
    let files = Files::new();
    files.put("1.csv", "id,name\n1,a\n").await;
    files.put("2.csv", "NAME,more,id\nb,9,2\n").await;
    files.put("3.csv", "id\n3\n").await;
    let csv = format("CSV", &[]);
    let schema = columns(&[("id", DataType::Int64), ("name", DataType::Utf8)]);
    assert_eq!(files.read_as(&csv, &schema).await.unwrap(), ["1|a", "2|b", "3|∅"]);
    files.put("4.csv", "x,y\n1,2\n").await;
    let error = files.read_as(&csv, &schema).await.unwrap_err();
    assert!(error.message.contains("4.csv") && error.message.contains("'x', 'y'"), "{}", error.message);
}

#[tokio::test]
async fn a_short_record_is_bad_unless_it_may_be_short() {
    let files = Files::with("x.csv", "a,b,c\n1,2\n1,2,3\n").await;
    assert!(files.read(&format("CSV", &[])).await.unwrap_err().message.contains("2 fields and not 3"));
    let rows = files.read(&format("CSV", &[("allow_missing_columns", "true")])).await.unwrap();
    assert_eq!(rows, ["1|2|∅", "1|2|3"]);
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ArrowWriter::try_new(vec![], batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn parquet_files_with_other_columns_are_one_table() {
    let files = Files::new();
    let first = parquet(vec![
        ("id", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        ("x", Arc::new(Float32Array::from(vec![0.5])) as ArrayRef),
    ]);
    let second = parquet(vec![
        ("t", Arc::new(StringArray::from(vec!["b"])) as ArrayRef),
        ("x", Arc::new(Float64Array::from(vec![0.25])) as ArrayRef),
        ("id", Arc::new(Int64Array::from(vec![1 << 40])) as ArrayRef),
    ]);
    files.put("1.parquet", first).await;
    files.put("2.parquet", second).await;
    let format = format("PARQUET", &[]);
    let schema = files.schema(&format).await.unwrap();
    assert_eq!(schema.field(0).data_type(), &DataType::Int64);
    assert_eq!(files.read(&format).await.unwrap(), ["1|0.5|∅", "1099511627776|0.25|b"]);
    files.put("3.parquet", parquet(vec![("id", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)])).await;
    let error = files.schema(&format).await.unwrap_err();
    assert!(error.message.contains("'id'") && error.message.contains("/3.parquet"), "{}", error.message);
}

//! Arrow IPC: files and streams, told apart by what is in them; ranges; what lies about its lengths.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int8Type};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::{Files, columns, format};

/// Rows from `ids`, with a column that may be null and one that is a dictionary.
pub fn batch(ids: std::ops::Range<i64>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|id| (id % 3 != 0).then(|| format!("text {id}"))).collect();
    let kinds: DictionaryArray<Int8Type> = ids.clone().map(|id| Some(["a", "b"][id as usize % 2])).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("text", Arc::new(texts) as ArrayRef, true),
        ("kind", Arc::new(kinds) as ArrayRef, true),
    ])
    .unwrap()
}

pub fn file(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = FileWriter::try_new_with_options(vec![], &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

pub fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(vec![], &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn expected(ids: std::ops::Range<i64>) -> Vec<String> {
    super::texts(&[batch(ids)])
}

#[tokio::test]
async fn files_and_streams_are_read_side_by_side() {
    let arrow = format("ARROW", &[]);
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let files = Files::new();
        files.put("1.arrow", file(&[batch(0..50), batch(50..60)], compression)).await;
        files.put("2.arrow", stream(&[batch(60..80)])).await;
        assert_eq!(files.read(&arrow).await.unwrap(), expected(0..80), "{compression:?}");
        let schema = files.schema(&arrow).await.unwrap();
        let scan = files.scan(&arrow, &schema, files.whole().await, Some(vec![])).await;
        assert_eq!(files.rows(&scan).await.unwrap().len(), 80);
    }
}

#[tokio::test]
async fn ranges_cut_anywhere_are_the_file() {
    let arrow = format("ARROW", &[]);
    let batches: Vec<RecordBatch> = (0..5).map(|part| batch(part * 4..part * 4 + 4)).collect();
    for bytes in [file(&batches, None), stream(&batches)] {
        let files = Files::with("x.arrow", bytes.clone()).await;
        let schema = files.schema(&arrow).await.unwrap();
        for place in (1..bytes.len() as u64).step_by(5) {
            let scan = files.scan(&arrow, &schema, files.cut(&[place]).await, Some(vec![1, 0])).await;
            let rows = files.rows(&scan).await.unwrap();
            assert_eq!(rows.len(), 20, "cut at {place}");
            assert_eq!(rows[1], "text 1|1");
        }
    }
}

#[tokio::test]
async fn columns_are_found_by_name_and_widened() {
    let files = Files::new();
    let narrow = RecordBatch::try_from_iter_with_nullable([
        ("added", Arc::new(StringArray::from(vec!["x"])) as ArrayRef, true),
        ("id", Arc::new(Int32Array::from(vec![-1])) as ArrayRef, true),
    ]);
    files.put("1.arrow", file(&[batch(1..2)], None)).await;
    files.put("2.arrow", stream(&[narrow.unwrap()])).await;
    let arrow = format("ARROWS", &[]);
    let schema = files.schema(&arrow).await.unwrap();
    assert_eq!(schema.field(0).data_type(), &DataType::Int64);
    assert_eq!(files.read(&arrow).await.unwrap(), ["1|text 1|b|∅", "-1|∅|∅|x"]);
    files.put("3.arrow", file(&[RecordBatch::new_empty(columns(&[("id", DataType::Boolean)]))], None)).await;
    let error = files.schema(&arrow).await.unwrap_err();
    assert!(error.message.contains("'id'") && error.message.contains("/3.arrow"), "{}", error.message);
}

#[tokio::test]
async fn what_ends_without_its_mark_or_is_of_another_kind_is_refused() {
    let arrow = format("ARROW", &[]);
    let whole = stream(&[batch(0..10)]);
    for (bytes, says) in [
        (whole[..whole.len() - 8].to_vec(), "end mark"),
        (b"FEA1 and more".to_vec(), "version 1 of Feather"),
        (b"id,text\n1,a\n".to_vec(), "x.arrow"),
        (vec![], "is empty"),
    ] {
        let files = Files::with("x.arrow", bytes).await;
        let schema = batch(0..1).schema();
        let error = files.read_as(&arrow, &schema).await.unwrap_err();
        assert!(error.message.contains(says) && error.message.contains("x.arrow"), "{says}: {}", error.message);
    }
}

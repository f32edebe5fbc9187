//! Avro: every codec, ranges, columns that differ, and blocks that claim what they do not have.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroOcfFormat;

use super::{Files, format, texts};

pub fn batch(ids: std::ops::Range<i64>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|id| (id % 3 != 0).then(|| format!("text {id}"))).collect();
    let lists: Vec<_> = ids.clone().map(|id| Some((0..id % 4).map(Some).collect::<Vec<_>>())).collect();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, false),
        ("text", Arc::new(texts) as ArrayRef, true),
        ("list", Arc::new(lists) as ArrayRef, true),
    ])
    .unwrap()
}

/// A file with a block for each batch.
pub fn file(batches: &[RecordBatch], codec: Option<CompressionCodec>) -> Vec<u8> {
    let schema = batches[0].schema().as_ref().clone();
    let mut writer = WriterBuilder::new(schema).with_compression(codec).build::<_, AvroOcfFormat>(vec![]).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner()
}

#[tokio::test]
async fn every_codec_is_read() {
    use CompressionCodec as Codec;
    let avro = format("AVRO", &[]);
    let codecs = [Codec::Deflate, Codec::Snappy, Codec::ZStandard, Codec::Bzip2, Codec::Xz];
    for codec in codecs.into_iter().map(Some).chain([None]) {
        let bytes = file(&[batch(0..1000), batch(1000..1001)], codec);
        let files = Files::with("x.avro", bytes).await;
        assert_eq!(files.read(&avro).await.unwrap(), texts(&[batch(0..1001)]), "{codec:?}");
    }
}

#[tokio::test]
async fn ranges_cut_anywhere_are_the_file() {
    let avro = format("AVRO", &[]);
    let batches: Vec<RecordBatch> = (0..6).map(|part| batch(part * 5..part * 5 + 5)).collect();
    let bytes = file(&batches, None);
    let files = Files::with("x.avro", bytes.clone()).await;
    let schema = files.schema(&avro).await.unwrap();
    for place in 1..bytes.len() as u64 {
        let scan = files.scan(&avro, &schema, files.cut(&[place]).await, Some(vec![1, 0])).await;
        let rows = files.rows(&scan).await.unwrap();
        assert_eq!(rows.len(), 30, "cut at {place}");
        assert_eq!((rows[0].as_str(), rows[29].as_str()), ("∅|0", "text 29|29"), "cut at {place}");
    }
    let scan = files.scan(&avro, &schema, files.cut(&[300]).await, Some(vec![])).await;
    assert_eq!(files.rows(&scan).await.unwrap().len(), 30);
}

#[tokio::test]
async fn columns_are_found_by_name_and_widened() {
    let files = Files::new();
    let other = RecordBatch::try_from_iter_with_nullable([
        ("number", Arc::new(Float64Array::from(vec![1.5])) as ArrayRef, true),
        ("id", Arc::new(Int32Array::from(vec![-1])) as ArrayRef, true),
    ]);
    files.put("1.avro", file(&[batch(1..2)], None)).await;
    files.put("2.avro", file(&[other.unwrap()], None)).await;
    assert_eq!(files.read(&format("AVRO", &[])).await.unwrap(), ["1|text 1|[0]|∅", "-1|∅|∅|1.5"]);
}

/// A file with one column of numbers, whose only block claims `records` and `length`, and has `data`.
fn claiming(records: i64, length: i64, data: &[u8], codec: &str) -> Vec<u8> {
    let number = |number: i64, into: &mut Vec<u8>| {
        let mut left = ((number << 1) ^ (number >> 63)) as u64;
        while left >= 0x80 {
            into.push(left as u8 | 0x80);
            left >>= 7;
        }
        into.push(left as u8);
    };
    let mut bytes = b"Obj\x01".to_vec();
    number(2, &mut bytes);
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}"#;
    for text in ["avro.schema", schema, "avro.codec", codec] {
        number(text.len() as i64, &mut bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
    number(0, &mut bytes);
    bytes.extend_from_slice(&[7; 16]);
    number(records, &mut bytes);
    number(length, &mut bytes);
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&[7; 16]);
    bytes
}

#[tokio::test]
async fn blocks_that_claim_what_they_do_not_have_are_refused() {
    let avro = format("AVRO", &[]);
    let good = Files::with("x.avro", claiming(2, 2, &[2, 4], "null")).await;
    assert_eq!(good.read(&avro).await.unwrap(), ["1", "2"]);
    let bomb = {
        use std::io::Write;
        let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
        let zeros = vec![0_u8; 1 << 20];
        (0..300).for_each(|_| encoder.write_all(&zeros).unwrap());
        encoder.finish().unwrap()
    };
    let huge_snappy = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
    for (bytes, says) in [
        (claiming(1, 2, &[2, 4], "null"), "1 bytes more"),
        (claiming(3, 2, &[2, 4], "null"), "claims 3 records"),
        (claiming(i64::MAX, 2, &[2, 4], "null"), "claims"),
        (claiming(-1, 2, &[2, 4], "null"), "impossible"),
        (claiming(1, i64::MAX, &[2], "null"), "impossible"),
        (claiming(1, 1 << 20, &[2], "null"), "cut short"),
        (claiming(1, 1, &[2], "lzo"), "'lzo'"),
        (claiming(1, 2, &[2, 4], "snappy"), "checksum"),
        (claiming(1, huge_snappy.len() as i64, &huge_snappy, "snappy"), "limit"),
        (claiming(1, bomb.len() as i64, &bomb, "deflate"), "limit"),
    ] {
        let files = Files::with("x.avro", bytes).await;
        let error = files.read(&avro).await.unwrap_err();
        assert!(error.message.contains(says) && error.message.contains("x.avro"), "{says}: {}", error.message);
    }
}

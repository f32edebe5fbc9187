//! A corpus of what is not as it should be, of every format: cut off, of the wrong kind, lying about lengths, damaged in
//! single bytes, blown up. Each is read, or refused with an error that names the file; nothing panics.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::parquet::arrow::ArrowWriter;
use futures::FutureExt;

use super::{Files, Numbers, avro, columns, format, ipc};

/// A sound file of each format.
fn sound() -> Vec<(&'static str, Arc<dyn FileFormat>, Vec<u8>)> {
    let csv: String =
        std::iter::once("id,text\n".to_owned()).chain((0..50).map(|id| format!("{id},\"t {id}\"\n"))).collect();
    let json: String = (0..50).map(|id| format!("{{\"id\":{id},\"text\":\"t\"}}\n")).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..50).map(|id| format!("t {id}"))));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let mut parquet = ArrowWriter::try_new(vec![], batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    let lz4 = Some(arrow_ipc::CompressionType::LZ4_FRAME);
    vec![
        ("x.csv", format("CSV", &[]), csv.into_bytes()),
        ("x.json", format("JSON", &[]), json.into_bytes()),
        ("file.arrow", format("ARROW", &[]), ipc::file(&[ipc::batch(0..20), ipc::batch(20..40)], lz4)),
        ("stream.arrow", format("ARROW", &[]), ipc::stream(&[ipc::batch(0..20), ipc::batch(20..40)])),
        ("x.avro", format("AVRO", &[]), avro::file(&[avro::batch(0..20), avro::batch(20..40)], None)),
        ("x.parquet", format("PARQUET", &[]), parquet.into_inner().unwrap()),
    ]
}

/// Reads a file whatever it is. Whether it could be read.
async fn read(name: &str, format: &Arc<dyn FileFormat>, bytes: Vec<u8>, what: &str) -> bool {
    let files = Files::with(name, bytes).await;
    let reading = async {
        let schema = files.schema(format).await?;
        // What is behind Parquet's footers is read by DataFusion's reader, and by none of ours.
        if name.ends_with("parquet") { Ok(vec![]) } else { files.read_as(format, &schema).await }
    };
    match AssertUnwindSafe(reading).catch_unwind().await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            let named = error.message.contains(name);
            assert!(named, "{what} {name}: the error does not name the file: {}", error.message);
            false
        }
        Err(_panic) => panic!("{what} {name} made a reader panic"),
    }
}

#[tokio::test]
async fn files_that_are_cut_off_are_read_or_refused() {
    for (name, format, bytes) in sound() {
        assert!(read(name, &format, bytes.clone(), "sound").await, "{name}");
        for part in 1..16 {
            let (cut, rest) = bytes.split_at(bytes.len() * part / 16);
            let could = read(name, &format, cut.to_vec(), &format!("{part}/16 of")).await;
            // Text that is cut off between two letters, or two objects, is still text.
            let between = cut.ends_with(b"\n") || rest.starts_with(b"\n");
            let still_text = name.ends_with("csv") || (name.ends_with("json") && between);
            assert!(!could || still_text, "{part}/16 of {name} was taken for all of it");
        }
    }
}

#[tokio::test]
async fn files_of_another_kind_are_refused() {
    let all = sound();
    for (name, format, _) in &all {
        for (other, _, bytes) in &all {
            let same = name.rsplit('.').next() == other.rsplit('.').next();
            let text = name.ends_with("csv") && other.ends_with("json");
            if !same && !text {
                let could = read(name, format, bytes.clone(), &format!("{other} as")).await;
                assert!(!could, "{other} was read as {name}");
            }
        }
    }
}

#[tokio::test]
async fn damaged_bytes_are_read_or_refused() {
    let numbers = &mut Numbers(7);
    for (name, format, bytes) in sound() {
        for round in 0..400 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + numbers.below(3) {
                let place = numbers.below(damaged.len());
                damaged[place] = [0, 0xff, 0x7f, 0x80, numbers.below(256) as u8][numbers.below(5)];
            }
            read(name, &format, damaged, &format!("damage {round} of")).await;
        }
    }
}

#[tokio::test]
async fn footers_that_lie_are_refused() {
    for (name, format, bytes) in sound() {
        let tail = match name {
            "file.arrow" => 10,
            "x.parquet" => 8,
            _ => continue,
        };
        for length in [u32::MAX, i32::MAX as u32, bytes.len() as u32, bytes.len() as u32 - 12, 1, 0] {
            let mut lying = bytes.clone();
            let at = lying.len() - tail;
            lying[at..at + 4].copy_from_slice(&length.to_le_bytes());
            let could = read(name, &format, lying, &format!("footer of {length} bytes in")).await;
            assert!(!could, "{name} with a footer of {length} bytes was read");
        }
    }
    let files = Files::with("x.parquet", [b"PAR1".as_slice(), &[0; 100], &[50, 0, 0, 0], b"PARE"].concat()).await;
    let error = files.schema(&format("PARQUET", &[])).await.unwrap_err();
    assert!(error.message.contains("x.parquet: it is encrypted"), "{}", error.message);
}

#[tokio::test]
async fn a_record_that_never_ends_is_refused_early() {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    let zeros = vec![b'0'; 1 << 20];
    (0..200).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let schema = columns(&[("id", DataType::Int64)]);
    for (name, stored) in [("x.csv.gz", "CSV"), ("x.json.gz", "JSON")] {
        let files = Files::with(name, bomb.clone()).await;
        let options = [("compression", "gzip")];
        let error = files.read_as(&format(stored, &options), &schema).await.unwrap_err();
        assert!(error.message.contains(name) && error.message.contains("longer than"), "{}", error.message);
        let error = files.schema(&format(stored, &options)).await.unwrap_err();
        assert!(error.message.contains(name) && error.message.contains("longer than"), "{}", error.message);
    }
}

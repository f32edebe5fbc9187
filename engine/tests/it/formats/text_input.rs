//! Text in other encodings, and compressed: read as if it were neither.

use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt, stream};
use windrow_engine::formats::by_path;

use super::{Files, columns, format};

const KINDS: [(&str, FileCompressionType); 4] = [
    ("gz", FileCompressionType::GZIP),
    ("zst", FileCompressionType::ZSTD),
    ("bz2", FileCompressionType::BZIP2),
    ("xz", FileCompressionType::XZ),
];

async fn compressed(kind: FileCompressionType, text: &str) -> Vec<u8> {
    let text = stream::iter([Ok::<_, DataFusionError>(Bytes::copy_from_slice(text.as_bytes()))]).boxed();
    let pieces: Vec<Bytes> = kind.convert_to_compress_stream(text).unwrap().try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn compressed_text_is_read_whole_member_after_member() {
    for (ending, kind) in KINDS {
        let name = format!("x.csv.{ending}");
        let (found, compression) = by_path(&name).unwrap();
        let csv = format(found, &[("compression", compression.name())]);
        assert_eq!(csv.get_ext(), format!("csv.{ending}"));
        let members = [compressed(kind, "id,t\n1,a\n2,\"b").await, compressed(kind, "\nc\"\n3,d\n").await].concat();
        let files = Files::with(&name, members).await;
        assert_eq!(files.read(&csv).await.unwrap(), ["1|a", "2|b\nc", "3|d"], "{ending}");
    }
}

#[tokio::test]
async fn a_compressed_file_that_is_cut_off_is_an_error_and_never_a_short_answer() {
    let text: String =
        std::iter::once("id,t\n".to_owned()).chain((0..2000).map(|id| format!("{id},t{}\n", id * 7))).collect();
    let schema = columns(&[("id", DataType::Int64), ("t", DataType::Utf8)]);
    for (ending, kind) in KINDS {
        let name = format!("x.csv.{ending}");
        let csv = format("CSV", &[("compression", ending)]);
        let whole = compressed(kind, &text).await;
        let files = Files::with(&name, whole.clone()).await;
        assert_eq!(files.read_as(&csv, &schema).await.unwrap().len(), 2000);
        for part in 1..16 {
            let files = Files::with(&name, whole[..whole.len() * part / 16].to_vec()).await;
            let error = files.read_as(&csv, &schema).await.unwrap_err();
            assert!(error.message.contains(&name), "{part}/16 of {name}: {}", error.message);
        }
        let files = Files::with(&name, text.clone()).await;
        let error = files.read_as(&csv, &schema).await.unwrap_err();
        assert!(error.message.contains(&name), "{name} is not compressed: {}", error.message);
    }
}

#[tokio::test]
async fn text_in_other_encodings_is_read_as_what_it_says() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let text = "id,t\n1,\"na\u{ef}ve\nx\"\n2,\u{e9}\n";
    let expected = ["1|na\u{ef}ve\nx", "2|\u{e9}"];
    let latin: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
    for (encoding, bytes) in [
        ("utf-8", text.as_bytes().to_vec()),
        ("utf-8", format!("\u{feff}{text}").into_bytes()),
        ("utf-16le", utf16(text, false)),
        ("utf-16", utf16(&format!("\u{feff}{text}"), false)),
        ("utf-16be", utf16(&format!("\u{feff}{text}"), true)),
        ("latin1", latin.clone()),
        ("windows-1252", latin),
    ] {
        let files = Files::with("x.csv", bytes).await;
        let rows = files.read(&format("CSV", &[("encoding", encoding)])).await.unwrap();
        assert_eq!(rows, expected, "{encoding}");
    }
    // Half a letter at the end.
    let files = Files::with("x.csv", [utf16("id,t\n1,a\n2,b", false), vec![0x61]].concat()).await;
    let error = files.read(&format("CSV", &[("encoding", "utf-16le")])).await.unwrap_err();
    assert!(error.message.contains("x.csv"), "{}", error.message);
}

#[tokio::test]
async fn columns_are_found_out_from_records_and_from_all_files() {
    let files = Files::new();
    files.put("1.csv", "a,b,c,d,e\n1,2024-01-31,true,,x\n").await;
    files.put("2.csv", "").await;
    files.put("3.csv", "a,b,c,d,f\n1.5,2024-01-31T10:00:00,maybe,,7\n").await;
    let csv = format("CSV", &[]);
    let schema = files.schema(&csv).await.unwrap();
    let times = DataType::Timestamp(TimeUnit::Microsecond, None);
    let text = || DataType::Utf8;
    let expected = [("a", DataType::Float64), ("b", times), ("c", text()), ("d", text()), ("e", text())];
    assert_eq!(schema, columns(&[&expected[..], &[("f", DataType::Int64)]].concat()));
    let rows = files.read(&csv).await.unwrap();
    assert_eq!(rows, ["1.0|2024-01-31T00:00:00|true|∅|x|∅", "1.5|2024-01-31T10:00:00|maybe|∅|∅|7"]);
    let files = Files::with("x.tsv", "1\tb\n2\tNA\n").await;
    let rows = files.read(&format("TSV", &[("header", "no"), ("null_value", "NA")])).await.unwrap();
    assert_eq!(rows, ["1|b", "2|∅"]);
}

#[tokio::test]
async fn times_that_are_finer_than_those_seen_first_are_whole() {
    let text = "t\n2024-01-31 10:00:00\n2024-01-31T10:00:00.000001\n";
    let files = Files::with("x.csv", text).await;
    let rows = files.read(&format("CSV", &[("sample_size", "1")])).await.unwrap();
    assert_eq!(rows, ["2024-01-31T10:00:00", "2024-01-31T10:00:00.000001"]);
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_columns_of_their_own() {
    let files = Files::new();
    files.put("1.csv", "id\n1\n").await;
    files.put("2.csv", "ID\n2\n").await;
    assert_eq!(files.read(&format("CSV", &[])).await.unwrap(), ["1|∅", "∅|2"]);
}

#[tokio::test]
async fn a_column_that_csv_cannot_hold_is_told_and_no_row_is_taken_for_bad() {
    let files = Files::with("x.csv", "id,b\n1,a\n").await;
    let schema = columns(&[("id", DataType::Int64), ("b", DataType::Binary)]);
    let error = files.read_as(&format("CSV", &[("on_error", "skip")]), &schema).await.unwrap_err();
    assert!(error.message.contains("x.csv") && error.message.contains("'b' is of type Binary"), "{}", error.message);
}

#[tokio::test]
async fn a_range_may_begin_inside_of_the_byte_order_mark() {
    let schema = columns(&[("a", DataType::Int64)]);
    for (name, options, text) in [
        ("JSON", &[][..], "\u{feff}{\"a\":1}\n{\"a\":2}\n"),
        ("CSV", &[("header", "false")][..], "\u{feff}1\n2\n"),
        ("CSV", &[][..], "\u{feff}a\n1\n2\n"),
    ] {
        let files = Files::with("x", text).await;
        for place in 1..text.len() as u64 {
            let scan = files.scan(&format(name, options), &schema, files.cut(&[place]).await, None).await;
            assert_eq!(files.rows(&scan).await.unwrap(), ["1", "2"], "{name} cut at {place}");
        }
    }
}

#[tokio::test]
async fn what_is_missing_is_null_and_what_is_empty_is_not_where_null_has_a_text() {
    let csv = format("CSV", &[("truncated_rows", "true"), ("null_value", "NA"), ("comment", "#")]);
    let files = Files::with("x.csv", "a,b,c\n1,,\n2,\"x\n,y\"\r\n#,\n\n3\n4,NA,5\n6,,x\n7,8").await;
    let schema = columns(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Int64)]);
    // An empty field is no number, and nothing that is missing is to blame for that.
    let error = files.read_as(&csv, &schema).await.unwrap_err();
    assert!(error.message.contains("line 2") && error.message.contains("'' in column 'c'"), "{}", error.message);
    let lenient = [("truncated_rows", "true"), ("null_value", "NA"), ("comment", "#"), ("on_error", "skip")];
    let rows = files.read_as(&format("CSV", &lenient), &schema).await.unwrap();
    assert_eq!(rows, ["2|x\n,y|∅", "3|∅|∅", "4|∅|5", "7|8|∅"]);
}

#[tokio::test]
async fn dates_are_read_by_the_pattern_of_their_file() {
    let options = [("date_format", "%d.%m.%Y"), ("timestamp_format", "%d.%m.%Y %H:%M"), ("on_error", "skip")];
    let files = Files::with("x.csv", "d,n,t\n31.01.2024,1,01.02.2024 10:05\n,2,\n2024-01-31,3,\n30.02.2024,4,\n").await;
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    let schema = columns(&[("d", DataType::Date32), ("n", DataType::Int64), ("t", timestamp)]);
    let rows = files.read_as(&format("CSV", &options), &schema).await.unwrap();
    assert_eq!(rows, ["2024-01-31|1|2024-02-01T10:05:00", "∅|2|∅"]);
    let error = files.read_as(&format("CSV", &options[..2]), &schema).await.unwrap_err();
    for part in ["line 4", "'2024-01-31' in column 'd'", "'%d.%m.%Y'"] {
        assert!(error.message.contains(part), "no {part}: {}", error.message);
    }
}

#[tokio::test]
async fn rows_are_counted_without_a_column() {
    let csv = format("CSV", &[]);
    let files = Files::with("x.csv", "id,t\n1,a\n2,b\n3,c\n4,d\n").await;
    let schema = columns(&[("id", DataType::Int64), ("t", DataType::Utf8)]);
    let scan = files.scan(&csv, &schema, files.cut(&[9]).await, Some(vec![])).await;
    assert_eq!(files.rows(&scan).await.unwrap().len(), 4);
    let wide: Vec<String> = (0..10_000).map(|at| format!("c{at}")).collect();
    let values: Vec<String> = (0..10_000).map(|at| at.to_string()).collect();
    let files = Files::with("x.csv", format!("{}\n{}\n", wide.join(","), values.join(","))).await;
    assert_eq!(files.read(&csv).await.unwrap(), [values.join("|")]);
}

//! Scans as they travel to a worker: with every option, with their files beside them.

use arrow::datatypes::DataType;
use datafusion::config::ConfigOptions;
use windrow_engine::codec::encode::file_scan;
use windrow_engine::codec::splits::TaskSplits;
use windrow_engine::codec::{AttemptInputs, OutputDivision, StageDecoder, encode_stage};
use windrow_engine::formats::FormatSource;

use super::{Files, columns, format, ipc};

#[tokio::test]
async fn a_scan_arrives_with_all_of_its_options_and_reads_the_same() {
    let csv = "# x\n1;'a\\'b';NA\n2;c\nx;y;z\n";
    let csv_options: &[(&str, &str)] = &[
        ("sep", ";"),
        ("quote", "'"),
        ("escape", "\\"),
        ("comment", "#"),
        ("header", "false"),
        ("null_value", "NA"),
        ("truncated_rows", "true"),
        ("on_error", "skip"),
        ("max_record_size", "100KiB"),
    ];
    let zstd = zstd::encode_all("{\"a\":1,\"b\":\"x\"}\n".as_bytes(), 1).unwrap();
    let utf16: Vec<u8> = "a,b\n1,\u{e9}\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let three = columns(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Utf8)]);
    let two = columns(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let arrow = ipc::batch(0..3).schema();
    for (name, options, bytes, schema, rows) in [
        ("CSV", csv_options, csv.as_bytes().to_vec(), three, vec!["∅|a'b", "∅|c"]),
        ("CSV", &[("encoding", "utf-16be")][..], utf16, two.clone(), vec!["é|1"]),
        ("JSON", &[("compression", "zstd")][..], zstd, two, vec!["x|1"]),
        ("ARROW", &[][..], ipc::stream(&[ipc::batch(0..3)]), arrow, vec!["a|∅", "b|text 1", "a|text 2"]),
    ] {
        let files = Files::with("x", bytes).await;
        let format = format(name, options);
        let columns: Vec<usize> = if schema.fields().len() == 3 { vec![2, 1] } else { vec![1, 0] };
        let scan = files.scan(&format, &schema, files.whole().await, Some(columns)).await;
        assert_eq!(files.rows(&scan).await.unwrap(), rows, "{name} {options:?}");

        let stage = encode_stage(&scan, &OutputDivision::AsIs, &[], &ConfigOptions::new()).unwrap();
        let mut splits = TaskSplits::default();
        splits.insert(0, 0, files.whole().await.remove(0));
        let splits = TaskSplits::decode(&splits.encode(false).unwrap()).unwrap();
        let mut inputs = AttemptInputs::default();
        inputs.splits = splits;
        let decoder = StageDecoder::parse(&stage.bytes).unwrap();
        let unbound = decoder.instantiate(&files.context.task_ctx(), &AttemptInputs::default(), true).unwrap();
        let options_of = |scan| {
            let source = file_scan(scan).unwrap().file_source();
            source.downcast_ref::<FormatSource>().unwrap().options().clone()
        };
        assert_eq!(options_of(&unbound.plan), options_of(&scan), "{name}");
        let instance = decoder.instantiate(&files.context.task_ctx(), &inputs, false).unwrap();
        assert_eq!(files.rows(&instance.plan).await.unwrap(), rows, "{name} {options:?} after a journey");
    }
}

//! Records that cannot be read: told with their place, or left out and counted exactly.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_plan::ExecutionPlan;
use windrow_engine::formats::{FormatOptions, FormatSource, ROWS_REJECTED, Rejects, RejectsInMemory};

use super::{Files, columns, format, url};

fn schema() -> SchemaRef {
    columns(&[("id", DataType::Int64), ("t", DataType::Utf8)])
}

/// The error of the only record that is bad.
async fn error(text: impl Into<bytes::Bytes>, options: &[(&str, &str)]) -> String {
    let files = Files::with("d/x.csv", text).await;
    let error = files.read_as(&format("CSV", options), &schema()).await.unwrap_err();
    assert!(error.message.contains("d/x.csv"), "no file: {}", error.message);
    assert_eq!(error.kind, windrow_common::ErrorKind::User, "{}", error.message);
    error.message
}

fn rejected(scan: &Arc<dyn ExecutionPlan>) -> usize {
    scan.metrics().unwrap().sum_by_name(ROWS_REJECTED).map_or(0, |count| count.as_usize())
}

#[tokio::test]
async fn an_error_names_file_byte_line_column_and_value() {
    let said = error("id,t\n1,\"a\nb\"\nseven,c\n", &[]).await;
    for part in ["byte 13", "line 4", "'seven'", "'id'", "Int64", "on_error 'skip'"] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    let said = error("id,t\n1,a\n2,b,c\n3,d\n", &[]).await;
    assert!(said.contains("byte 9 (line 3)") && said.contains("3 fields and not 2"), "{said}");
    let said = error("id,t\n1\n", &[]).await;
    assert!(said.contains("byte 5 (line 2)") && said.contains("1 fields and not 2"), "{said}");
    let said = error("id,t\n1,\"a\"b\n", &[]).await;
    assert!(said.contains("byte 5 (line 2)") && said.contains("closing quote"), "{said}");
    let said = error("id,t\n1,a\n2,\"b\n3,c\n", &[]).await;
    assert!(said.contains("byte 9 (line 3)") && said.contains("never closed"), "{said}");
    let said = error(b"id,t\n1,a\n2,b\xffc\n".to_vec(), &[]).await;
    assert!(said.contains("byte 9 (line 3)") && said.contains("0xff"), "{said}");
    let long = "v".repeat(70_000);
    let said = error(format!("id,t\n1,a\n2,{long}\n"), &[("max_record_size", "64KiB")]).await;
    assert!(said.contains("byte 9 (line 3)") && said.contains("max_record_size"), "{said}");
    let said = error(format!("id,t\n{long},a\n"), &[]).await;
    assert!(said.len() < 600, "a long value is not shortened: {} bytes", said.len());
}

#[tokio::test]
async fn records_left_out_are_counted_exactly_in_any_ranges() {
    let mut text = String::from("id,t\n");
    let mut good = vec![];
    for id in 0..400 {
        match id % 10 {
            3 => text.push_str("x,bad number\n"),
            5 => text.push_str("1,2,3\n"),
            7 => text.push_str("8,\"junk\"behind\n"),
            _ => {
                text.push_str(&format!("{id},\"two\nlines, {id}\"\n"));
                good.push(format!("{id}|two\nlines, {id}"));
            }
        }
    }
    let csv = format("CSV", &[("on_error", "skip")]);
    let files = Files::with("x.csv", text.clone()).await;
    let whole = files.scan(&csv, &schema(), files.whole().await, None).await;
    assert_eq!(files.rows(&whole).await.unwrap(), good);
    assert_eq!(rejected(&whole), 120);
    for parts in [2, 3, 7, 50] {
        let places: Vec<u64> = (1..parts).map(|part| part * text.len() as u64 / parts).collect();
        let scan = files.scan(&csv, &schema(), files.cut(&places).await, None).await;
        // Ranges of a file with bad quoting may be refused, but never be wrong.
        match files.rows(&scan).await {
            Ok(rows) => assert!(rows == good && rejected(&scan) == 120, "{parts} ranges: {} rejected", rejected(&scan)),
            Err(error) => assert!(error.message.contains("parallel 'false'"), "{parts} ranges: {}", error.message),
        }
    }
}

#[tokio::test]
async fn which_records_are_bad_does_not_depend_on_the_columns_that_are_read() {
    let csv = "id,t\n1,a\nx,b\n2,c,d\n3,e\n";
    let json = "{\"id\":1,\"t\":\"a\"}\n{\"id\":\"x\",\"t\":\"b\"}\n{\"id\":4,\"t\":{}}\n{\"id\":3,\"t\":\"e\"}\n";
    for (name, text) in [("CSV", csv), ("JSON", json)] {
        let files = Files::with("x", text).await;
        let format = format(name, &[("on_error", "skip")]);
        for (columns, expected) in
            [(vec![0, 1], ["1|a", "3|e"]), (vec![1], ["a", "e"]), (vec![1, 0], ["a|1", "e|3"]), (vec![], ["", ""])]
        {
            for partitions in [files.whole().await, files.cut(&[12]).await] {
                let scan = files.scan(&format, &schema(), partitions, Some(columns.clone())).await;
                assert_eq!(files.rows(&scan).await.unwrap(), expected, "{name} {columns:?}");
                assert_eq!(rejected(&scan), 2, "{name} {columns:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_scan_that_stops_early_counts_what_lies_before_its_end() {
    let files = Files::with("x.csv", "id,t\n1,a\nx,b\n2,c\ny,d\n3,e\nz,f\n4,g\n").await;
    for (limit, count) in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 3)] {
        let source = format("CSV", &[("on_error", "skip")]).file_source(TableSchema::from(schema()));
        let group = FileGroup::new(files.whole().await.remove(0));
        let scan = FileScanConfigBuilder::new(url(), source).with_file_group(group).with_limit(Some(limit)).build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        assert_eq!(files.rows(&scan).await.unwrap().len(), limit.min(4), "LIMIT {limit}");
        assert_eq!(rejected(&scan), count, "LIMIT {limit}");
    }
}

#[tokio::test]
async fn whoever_asked_for_rejects_gets_them() {
    let options = [("on_error", "skip"), ("rejects", "mem://rejects")];
    let parsed = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let parsed = FormatOptions::parse("CSV", &parsed).unwrap();
    let files = Files::with("x.csv", b"id,t\n1,a\nx,b\n2,c\xff\n3,d\n".to_vec()).await;
    let memory = Arc::new(RejectsInMemory::default());
    let source = FormatSource::new(Arc::new(parsed), TableSchema::from(schema()));
    let source = source.with_rejects(Some(Rejects(Arc::clone(&memory) as _)));
    let group = FileGroup::new(files.whole().await.remove(0));
    let scan = FileScanConfigBuilder::new(url(), Arc::new(source)).with_file_group(group).build();
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
    assert_eq!(files.rows(&scan).await.unwrap(), ["1|a", "3|d"]);
    assert_eq!(rejected(&scan), 2);
    let records = memory.records();
    let brief: Vec<_> = records.iter().map(|record| (record.offset, record.text.as_str())).collect();
    assert_eq!(brief, [(9, "x,b\n"), (13, "2,c\u{fffd}\n")]);
    assert!(records.iter().all(|record| record.file.ends_with("x.csv") && !record.reason.is_empty()), "{records:?}");
    // Nobody to take them: not silently dropped.
    let error = files.read_as(&format("CSV", &options), &schema()).await.unwrap_err();
    assert!(error.message.contains("mem://rejects"), "{}", error.message);
}

#[tokio::test]
async fn a_column_that_may_not_be_null_makes_records_bad() {
    use arrow::datatypes::{Field, Schema};
    let strict: SchemaRef =
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("t", DataType::Utf8, true)]));
    let files = Files::with("x.csv", "id,t\n1,a\n,b\n").await;
    let error = files.read_as(&format("CSV", &[]), &strict).await.unwrap_err();
    assert!(error.message.contains("line 3") && error.message.contains("'id' has no value"), "{}", error.message);
    let files = Files::with("x.csv", "t\na\n").await;
    let error = files.read_as(&format("CSV", &[]), &strict).await.unwrap_err();
    assert!(error.message.contains("no column 'id'"), "{}", error.message);
}

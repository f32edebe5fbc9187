//! Lines of JSON: nested, in ranges, compressed, and wrong.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use windrow_engine::formats::ROWS_REJECTED;

use super::{Files, columns, format};

#[tokio::test]
async fn nested_objects_are_found_out_and_read_in_any_ranges() {
    let text = "{\"a\":1,\"b\":{\"c\":[1,2],\"d\":null}}\n\n {\"b\":{\"c\":[],\"d\":\"x\"},\"e\":\"\\u00e9\\n\"}\r\n{\"a\":2.5}";
    let json = format("JSON", &[]);
    let files = Files::with("x.json", text).await;
    let schema = files.schema(&json).await.unwrap();
    let names: Vec<_> =
        schema.fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    let nested = vec![Field::new("c", list, true), Field::new("d", DataType::Utf8, true)];
    let expected = [("a", DataType::Float64), ("b", DataType::Struct(nested.into())), ("e", DataType::Utf8)];
    assert_eq!(names, expected);
    let rows = files.read(&json).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[0].starts_with("1.0|{c: [1, 2]") && rows[1].ends_with("|é\n") && rows[2] == "2.5|∅|∅", "{rows:?}");
    for place in 1..text.len() as u64 {
        let scan = files.scan(&json, &schema, files.cut(&[place]).await, None).await;
        assert_eq!(files.rows(&scan).await.unwrap(), rows, "cut at {place}");
    }
    let scan = files.scan(&json, &schema, files.cut(&[20]).await, Some(vec![])).await;
    assert_eq!(files.rows(&scan).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_no_object_on_one_line_is_told_or_left_out() {
    let schema = columns(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let deep = "[".repeat(1_000_000);
    for (bad, says) in [
        ("{\"a\":1,\n\"b\":2}", "not an object of JSON on one line"),
        ("{\"a\":\"x\"}", "'a' cannot be read as Int64"),
        ("{\"a\":{\"b\":1}}", "'a' cannot be read as Int64"),
        ("{\"a\":1}{\"a\":2}", "not an object of JSON on one line"),
        ("5", "byte 8"),
        ("[{\"a\":1}]", "list"),
        ("{\"a\":1e99}", "'a' cannot be read as Int64"),
        ("{\"a\":1.5}", "'a' cannot be read as Int64"),
        ("{\"a\":1e-5}", "'a' cannot be read as Int64"),
        ("{\"b\":\"\\ud800\"}", "not an object of JSON on one line"),
        (deep.as_str(), "byte 8"),
        (format!("{{\"a\":{deep}").as_str(), "nested deeper than 100"),
    ] {
        let files = Files::with("x.json", format!("{{\"a\":1}}\n{bad}\n{{\"a\":2}}\n")).await;
        let error = files.read_as(&format("JSON", &[]), &schema).await.unwrap_err();
        let shown: String = bad.chars().take(20).collect();
        for part in ["x.json", "byte 8", "line 2", says] {
            assert!(error.message.contains(part), "{shown}: no {part} in {}", error.message);
        }
        assert!(error.message.len() < 1000, "{shown}: {} bytes", error.message.len());
        let scan = files.scan(&format("JSON", &[("on_error", "skip")]), &schema, files.whole().await, None).await;
        assert_eq!(files.rows(&scan).await.unwrap(), ["1|∅", "2|∅"], "{shown}");
        let bad_lines = bad.lines().count();
        assert_eq!(scan.metrics().unwrap().sum_by_name(ROWS_REJECTED).unwrap().as_usize(), bad_lines, "{shown}");
    }
}

#[tokio::test]
async fn a_schema_is_not_made_of_what_is_not_json() {
    let deep = "[".repeat(1_000_000);
    for text in ["[{\"a\":1}]\n", "{\"a\":\n", &deep, "{\"a\":1}\n{\"a\":{\"b\":1}}\n", "5\n"] {
        let files = Files::with("x.json", text.to_owned()).await;
        let error = files.schema(&format("JSON", &[])).await.unwrap_err();
        assert!(error.message.contains("x.json"), "{}", error.message);
    }
    let files = Files::with("x.json", "{\"a\":1}\nnot json\n{\"a\":2}\n").await;
    assert_eq!(files.read(&format("JSON", &[("on_error", "skip")])).await.unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn integers_are_never_rounded_wherever_they_are() {
    let json = format("JSON", &[]);
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let inner = DataType::Struct(vec![Field::new("c", DataType::List(item), true)].into());
    let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int8, true)];
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false);
    let schema = columns(&[("a", DataType::UInt64), ("b", inner), ("m", map)]);
    let good = "{\"a\":18446744073709551615,\"b\":{\"c\":[1.0,null,9223372036854775807]},\"m\":{\"x\":7}}\n{}\n";
    let files = Files::with("x.json", good).await;
    let rows = files.read_as(&json, &schema).await.unwrap();
    assert_eq!(rows.len(), 2);
    for part in ["18446744073709551615|", "9223372036854775807", "[1,", "7"] {
        assert!(rows[0].contains(part), "no {part}: {rows:?}");
    }
    assert_eq!(rows[1], "∅|∅|∅");
    for bad in ["{\"b\":{\"c\":[1,2.5]}}", "{\"m\":{\"x\":1e-5}}", "{\"m\":{\"x\":300}}", "{\"a\":-1}"] {
        let files = Files::with("x.json", bad).await;
        let error = files.read_as(&json, &schema).await.unwrap_err();
        assert!(error.message.contains("x.json") && error.message.contains("byte 0 (line 1)"), "{}", error.message);
    }
    // What no integer of the format holds is text with all of its digits, and not a float with some of them.
    let files = Files::with("x.json", "{\"a\":18446744073709551615}\n{\"a\":1}\n").await;
    assert_eq!(files.read(&json).await.unwrap(), ["18446744073709551615", "1"]);
    assert_eq!(files.schema(&json).await.unwrap().field(0).data_type(), &DataType::Utf8);
}

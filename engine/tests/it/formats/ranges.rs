//! Ranges of one CSV file, read apart, are the file: whatever is in quotes, and wherever the ranges begin.

use arrow::datatypes::DataType;

use super::{Files, Numbers, columns, format, texts};

/// A CSV file with line ends, quotes and delimiters in its values.
fn random(numbers: &mut Numbers, records: usize) -> String {
    const PIECES: [&str; 10] = ["a", "\"\"", ",", "\n", "\r\n", "\r", " ", "é", "日本", "\"\"\"\""];
    let mut text = String::from("id,te xt,\"no\nte\"\r\n");
    for id in 0..records {
        text.push_str(&id.to_string());
        for _ in 0..2 {
            text.push(',');
            if numbers.below(3) > 0 {
                text.push('"');
                (0..numbers.below(7)).for_each(|_| text.push_str(PIECES[numbers.below(PIECES.len())]));
                text.push('"');
            } else {
                text.push_str(["", "plain", "mid\"dle", "x y"][numbers.below(4)]);
            }
        }
        text.push_str(["\n", "\r\n", "\r", "\n\n"][numbers.below(4)]);
    }
    if numbers.below(3) == 0 {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    text
}

/// What arrow-csv reads of it in one go.
fn expected(text: &str) -> Vec<String> {
    let schema = columns(&[("id", DataType::Int64), ("te xt", DataType::Utf8), ("no\nte", DataType::Utf8)]);
    let reader = arrow::csv::ReaderBuilder::new(schema).with_header(true).build(text.as_bytes()).unwrap();
    texts(&reader.collect::<Result<Vec<_>, _>>().unwrap())
}

#[tokio::test]
async fn two_ranges_cut_anywhere_are_the_file() {
    let csv = format("CSV", &[]);
    let schema = columns(&[("id", DataType::Int64), ("te xt", DataType::Utf8), ("no\nte", DataType::Utf8)]);
    for seed in 0..25 {
        let text = random(&mut Numbers(seed), 5);
        let files = Files::with("x.csv", text.clone()).await;
        let expected = expected(&text);
        for place in 1..text.len() as u64 {
            let scan = files.scan(&csv, &schema, files.cut(&[place]).await, None).await;
            assert_eq!(files.rows(&scan).await.unwrap(), expected, "seed {seed} cut at {place}: {text:?}");
        }
    }
}

#[tokio::test]
async fn many_ranges_of_a_larger_file_are_the_file() {
    let csv = format("CSV", &[]);
    let schema = columns(&[("id", DataType::Int64), ("te xt", DataType::Utf8), ("no\nte", DataType::Utf8)]);
    for seed in 100..110 {
        let numbers = &mut Numbers(seed);
        let text = random(numbers, 20_000);
        let files = Files::with("x.csv", text.clone()).await;
        let mut places: Vec<u64> = (0..20).map(|_| numbers.below(text.len()) as u64).collect();
        places.sort_unstable();
        let scan = files.scan(&csv, &schema, files.cut(&places).await, Some(vec![0, 2])).await;
        let expected: Vec<String> = {
            let wanted = columns(&[("id", DataType::Int64), ("te xt", DataType::Utf8), ("no\nte", DataType::Utf8)]);
            let reader = arrow::csv::ReaderBuilder::new(wanted).with_header(true).with_projection(vec![0, 2]);
            texts(&reader.build(text.as_bytes()).unwrap().collect::<Result<Vec<_>, _>>().unwrap())
        };
        assert_eq!(expected.len(), 20_000);
        assert!(files.rows(&scan).await.unwrap() == expected, "seed {seed}, ranges {places:?}");
    }
}

#[tokio::test]
async fn a_range_inside_one_long_quoted_value_has_no_rows() {
    let long = "line of text, with commas\n".repeat(40_000);
    let text = format!("id,t\n1,\"{long}\"\n2,b\n");
    let files = Files::with("x.csv", text.clone()).await;
    let schema = columns(&[("id", DataType::Int64), ("t", DataType::Utf8)]);
    let places: Vec<u64> = (1..8).map(|part| part * text.len() as u64 / 8).collect();
    let scan = files.scan(&format("CSV", &[]), &schema, files.cut(&places).await, Some(vec![0])).await;
    assert_eq!(files.rows(&scan).await.unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn broken_quoting_that_hides_where_records_begin_is_an_error() {
    let csv = format("CSV", &[("header", "false")]);
    let schema = columns(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
    // Behind the cut the text can be taken for the inside of a quoted field that ends at the only quote there is.
    let files = Files::with("x.csv", "ab,a\nb,\",a,").await;
    let scan = files.scan(&csv, &schema, files.cut(&[2]).await, None).await;
    let error = files.rows(&scan).await.unwrap_err();
    assert!(error.message.contains("x.csv") && error.message.contains("parallel 'false'"), "{}", error.message);
    let error = files.read_as(&csv, &schema).await.unwrap_err();
    assert!(error.message.contains("a quote is never closed"), "{}", error.message);
}

#[tokio::test]
async fn comments_escapes_and_other_bytes_divide_as_they_are_told_to() {
    let text = "# \"odd\n1|'a\\'b\nc'|x\n#|'\n\n2|''|'y''z'\n";
    let options = [("sep", "|"), ("quote", "'"), ("escape", "\\"), ("comment", "#"), ("header", "false")];
    let schema = columns(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Utf8)]);
    let files = Files::with("x.csv", text).await;
    for place in 1..text.len() as u64 {
        let scan = files.scan(&format("CSV", &options), &schema, files.cut(&[place]).await, None).await;
        let rows = files.rows(&scan).await.unwrap();
        assert_eq!(rows, ["1|a'b\nc|x", "2|∅|y'z"], "cut at {place}");
    }
    let text = "1,a;2,b\n;3,\"c;\";";
    let options = [("terminator", ";"), ("header", "false")];
    let schema = columns(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let files = Files::with("x.csv", text).await;
    for place in 1..text.len() as u64 {
        let scan = files.scan(&format("CSV", &options), &schema, files.cut(&[place]).await, None).await;
        assert_eq!(files.rows(&scan).await.unwrap(), ["1|a", "2|b\n", "3|c;"], "cut at {place}");
    }
    let files = Files::with("x.csv", "a;b\n1,x\n2,\"y\n").await;
    let rows = files.read(&format("CSV", &[("terminator", ";"), ("quote", ""), ("header", "false")])).await;
    assert!(rows.is_err(), "records that end with a semicolon have different numbers of fields here");
    let files = Files::with("x.csv", "a,b;1,x\ny;2,\"z\";").await;
    let rows = files.read(&format("CSV", &[("terminator", ";"), ("quote", "")])).await.unwrap();
    assert_eq!(rows, ["1|x\ny", "2|\"z\""]);
}

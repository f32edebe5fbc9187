//! `windrow sql`: rows out, in every format; what goes wrong; what is left.

use std::io::Read;
use std::process::Stdio;

use crate::windrow::{Running, assert_code, command, small_data, stderr, stdout, windrow, windrow_with_stdin};

#[test]
fn rows_leave_in_every_format() {
    let sql = "SELECT 1 AS a, CAST(NULL AS VARCHAR) AS b UNION ALL SELECT 2, 'x;y' ORDER BY a";
    for (format, expected) in [
        ("csv", "a,b\n1,\n2,x;y\n"),
        ("json", "{\"a\":1,\"b\":null}\n{\"a\":2,\"b\":\"x;y\"}\n"),
        ("table", " a | b\n---+------\n 1 | NULL\n 2 | x;y\n"),
    ] {
        let output = windrow(&["sql", "--format", format, "-c", sql]);
        assert_code(&output, 0);
        assert_eq!(stdout(&output), expected, "{format}");
        assert_eq!(stderr(&output), "", "{format}");
    }
}

#[test]
fn arrow_is_a_stream_that_arrow_reads() {
    let output = windrow(&["sql", "--format", "arrow", "-c", "SELECT 7 AS a"]);
    assert_code(&output, 0);
    let reader = arrow::ipc::reader::StreamReader::try_new(&output.stdout[..], None).unwrap();
    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 1);
}

#[test]
fn in_a_pipe_the_default_is_csv_and_no_rows_still_have_a_header() {
    let output = windrow(&["sql", "-c", "SELECT 1 AS a WHERE false"]);
    assert_code(&output, 0);
    assert_eq!(stdout(&output), "a\n");
}

#[test]
fn statements_come_from_stdin_and_run_in_order() {
    let output = windrow_with_stdin(&["sql"], "SELECT 'a;b' AS x; -- then\nSELECT 2 AS y;\n");
    assert_code(&output, 0);
    assert_eq!(stdout(&output), "x\na;b\ny\n2\n");
    assert_code(&windrow_with_stdin(&["sql"], ""), 0);
}

#[test]
fn the_first_statement_that_fails_ends_the_run_and_is_named() {
    let output = windrow_with_stdin(&["sql"], "SELECT 1 AS a;\n\nSELECT nope FROM nothing;\nSELECT 3 AS c");
    assert_code(&output, 1);
    assert_eq!(stdout(&output), "a\n1\n");
    assert!(stderr(&output).starts_with("error: statement 2 (line 3): "), "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sql = format!("SELECT l_comment FROM '{}/lineitem.parquet'", small_data());
    let mut child = command(&["sql", "-c", &sql]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 16];
    let mut rows = child.stdout.take().unwrap();
    rows.read_exact(&mut first).unwrap();
    drop(rows);
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert_eq!(stderr(&output), "");
}

#[test]
fn ctrl_c_cancels() {
    let table = format!("'{}/lineitem.parquet'", small_data());
    let slow = format!("SELECT count(*) FROM {table} a, {table} b WHERE a.l_comment || b.l_comment LIKE '%q%z%'");
    let mut running = Running::start(&["sql", "-c", "SELECT 1 AS a", "-c", &slow]);
    assert_eq!((running.line(), running.line()), ("a".to_owned(), "1".to_owned()));
    running.signal("INT");
    assert_eq!(running.wait(), Some(130));
}

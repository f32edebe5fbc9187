//! `windrow tpch` and `windrow demo`.

use crate::windrow::{assert_code, small_data, stderr, stdout, windrow};

#[test]
fn queries_run_here_and_on_processes_and_say_the_same() {
    let run = |more: &[&str]| {
        let base = ["tpch", "run", "--data", small_data(), "--queries", "1,q06,22", "--runs", "2", "--json"];
        let output = windrow(&[&base, more].concat());
        assert_code(&output, 0);
        let text = stdout(&output);
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let (here, there) = (run(&[]), run(&["--workers", "2", "--set", "windrow.fast_path=off"]));
    for lines in [&here, &there] {
        let names: Vec<_> = lines.iter().map(|line| line["q"].as_str().unwrap()).collect();
        assert_eq!(names, ["q01", "q06", "q22"]);
        assert!(lines.iter().all(|line| line["s"].as_array().unwrap().len() == 2));
    }
    let rows = |lines: &[serde_json::Value]| lines.iter().map(|line| line["rows"].clone()).collect::<Vec<_>>();
    assert_eq!(rows(&here), rows(&there));
    assert_eq!(here[0]["rows"], 4);
}

#[test]
fn data_that_is_not_there_is_told_how_to_make() {
    let empty = tempfile::tempdir().unwrap();
    let output = windrow(&["tpch", "run", "--data", empty.path().to_str().unwrap()]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("windrow tpch generate"), "{}", stderr(&output));
}

#[test]
fn the_demo_is_right_and_keeps_the_data_it_was_given() {
    let output = windrow(&["demo", "--scale", "0.01", "--dir", small_data()]);
    assert_code(&output, 0);
    assert!(stdout(&output).contains("22/22"), "{}", stdout(&output));
    assert!(std::path::Path::new(small_data()).join("lineitem.parquet").exists());
}

//! The server for shells and scripts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::plain::ask;

#[test]
fn it_says_where_it_is_and_ends_with_its_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_windrow-test-stores"))
        .args(["s3", "--unsigned", "--synthetic", "many/:3:.csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "BUCKET=windrow");
    let variables: Vec<String> = lines.by_ref().take(6).map(Result::unwrap).collect();
    assert!(variables.contains(&format!("AWS_ENDPOINT_URL={url}")), "{variables:?}");
    assert!(ask(&url, "GET", "/windrow/many/00000002.csv", "").ends_with("number\n2\n"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_refuses_what_it_does_not_know() {
    for arguments in [&[][..], &["ftp"], &["s3", "--ranges", "1"], &["http"], &["gcs", "--random-faults", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_windrow-test-stores")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage:"));
    }
}

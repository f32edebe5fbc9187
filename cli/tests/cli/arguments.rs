//! Wrong arguments and wrong circumstances: a clear word, the right exit code.

use std::net::TcpListener;

use crate::windrow::{assert_code, stderr, stdout, windrow};

#[test]
fn wrong_arguments_are_2_and_help_is_0() {
    for arguments in
        [&["sql", "--bogus"][..], &[], &["up", "--workers", "0"], &["tpch", "run"], &["sql", "-c", "x", "-f", "y"]]
    {
        assert_code(&windrow(arguments), 2);
    }
    let help = windrow(&["sql", "--help"]);
    assert_code(&help, 0);
    assert!(stdout(&help).contains("Examples:"));
    assert!(stdout(&windrow(&["--version"])).starts_with("windrow "));
}

#[test]
fn a_bad_size_says_how_to_write_one() {
    let output = windrow(&["sql", "--memory", "lots", "-c", "SELECT 1"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("512MiB"), "{}", stderr(&output));
}

#[test]
fn a_missing_script_is_named() {
    let output = windrow(&["sql", "-f", "no-such-file.sql"]);
    assert_code(&output, 1);
    assert!(stderr(&output).starts_with("error: cannot read 'no-such-file.sql'"), "{}", stderr(&output));
}

#[test]
fn other_machines_are_let_in_only_on_purpose() {
    let output = windrow(&["coordinator", "--listen", "0.0.0.0:0"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("--insecure"), "{}", stderr(&output));
}

#[test]
fn a_port_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for arguments in [["coordinator", "--listen", &address], ["up", "--listen", &address]] {
        let output = windrow(&arguments);
        assert_code(&output, 3);
        assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    }
}

#[test]
fn a_coordinator_that_is_not_there_is_named() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("grpc://{address}");
    for arguments in [&["sql", "--connect", &url, "-c", "SELECT 1"][..], &["worker", "--coordinator", &url]] {
        let output = windrow(arguments);
        assert_code(&output, 3);
        assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    }
}

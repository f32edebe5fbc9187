//! A server of S3 that is not ours: moto's, from Python's registry. `WINDROW_MOTO` says where its `moto_server` is; without
//! it these tests are skipped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::windrow::{Running, assert_code, small_data, stdout, windrow_with};

const BUCKET: &str = "windrow";

/// A running server with one bucket; it ends when dropped.
struct Moto {
    _process: Running,
    url: String,
}

impl Moto {
    /// None, and a word why, where there is no such server.
    fn start() -> Option<Moto> {
        let Ok(program) = std::env::var("WINDROW_MOTO") else {
            println!("skipped, because WINDROW_MOTO does not say where moto_server is");
            return None;
        };
        // It says its port among what it logs. All of that must be read, and one line of it is for us; with exec the
        // process is moto's own and can be ended.
        let script = r#"exec "$0" -H 127.0.0.1 -p 0 2> >(exec grep --line-buffered 'Running on')"#;
        let mut process = Running::of(Command::new("bash").args(["-c", script, &program]));
        let line = process.line();
        let from = line.find("http://").unwrap();
        let url = line[from..].split(|c: char| c.is_whitespace() || c == '\u{1b}').next().unwrap().to_owned();
        let moto = Moto { _process: process, url };
        moto.make_bucket();
        Some(moto)
    }

    fn make_bucket(&self) {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!("PUT /{BUCKET} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.lines().next().is_some_and(|line| line.contains(" 200 ")), "{answer}");
    }

    fn environment(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "anybody"),
            ("AWS_SECRET_ACCESS_KEY", "anything"),
        ]
    }
}

#[test]
fn motos_s3_gives_back_what_was_written_to_it() {
    let Some(moto) = Moto::start() else { return };
    let lineitem = format!("{}/lineitem.parquet", small_data());
    let sums = |place: &str| {
        format!("SELECT count(*) AS n, sum(l_orderkey) AS s, count(DISTINCT l_comment) AS c FROM '{place}'")
    };
    let expected = windrow_with(&[], &["sql", "-c", &sums(&lineitem)]);
    assert_code(&expected, 0);
    for format in ["parquet", "csv", "json", "arrow", "avro"] {
        let place = format!("s3://{BUCKET}/out/{format}/");
        let copy = format!("COPY (SELECT * FROM '{lineitem}') TO '{place}' STORED AS {format}");
        assert_code(&windrow_with(&moto.environment(), &["sql", "-c", &copy]), 0);
        let read = windrow_with(&moto.environment(), &["sql", "-c", &sums(&place)]);
        assert_code(&read, 0);
        assert_eq!(stdout(&read), stdout(&expected), "{format}");
        // Where something is already, nothing is written by itself.
        assert_code(&windrow_with(&moto.environment(), &["sql", "-c", &copy]), 1);
    }
}

//! Requests as bytes on a socket, and the bytes that come back.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::clients::PATIENCE;

/// Sends a request without a body, and further headers each with its line end; all that comes back.
pub fn ask(url: &str, method: &str, path: &str, headers: &str) -> String {
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    // What came before a connection broke is worth seeing.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

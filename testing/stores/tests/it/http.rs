//! Files over plain HTTP, as `object_store`'s client for it reads them.

use std::fs;
use std::path::PathBuf;

use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::{ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt};
use windrow_stores_testing::{Fault, HttpConfig, HttpServer, Operation, Rule};

use crate::clients::retries;
use crate::plain::ask;

fn client(server: &HttpServer) -> HttpStore {
    let options = ClientOptions::new().with_allow_http(true);
    HttpBuilder::new().with_url(server.url()).with_client_options(options).with_retry(retries(0)).build().unwrap()
}

fn files() -> HttpConfig {
    HttpConfig::files([("data/a b.csv", "0123456789"), ("empty", "")])
}

#[tokio::test]
async fn files_are_read_whole_and_in_parts() {
    let server = HttpServer::start(files()).unwrap();
    let (store, path) = (client(&server), Path::from("data/a b.csv"));
    let whole = store.get(&path).await.unwrap();
    let meta = whole.meta.clone();
    assert_eq!(whole.bytes().await.unwrap(), "0123456789");
    assert_eq!(store.get_range(&path, 3..6).await.unwrap(), "345");
    assert_eq!(store.head(&path).await.unwrap(), meta);
    assert!(meta.e_tag.is_some());
    assert_eq!(store.head(&Path::from("empty")).await.unwrap().size, 0);
    assert!(matches!(store.get(&Path::from("nothing")).await, Err(Error::NotFound { .. })));
    server.put("data/a b.csv", "changed");
    let pinned = GetOptions { if_match: meta.e_tag, ..GetOptions::default() };
    assert!(matches!(store.get_opts(&path, pinned).await, Err(Error::Precondition { .. })));
    server.delete("data/a b.csv");
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
    assert_eq!(server.counters().of(Operation::Head).requests, 3);
}

#[tokio::test]
async fn a_directory_is_served_and_nothing_above_it() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("served-{}", std::process::id()));
    fs::create_dir_all(directory.join("inner")).unwrap();
    fs::write(directory.join("inner/file.txt"), "of a file").unwrap();
    let server = HttpServer::start(HttpConfig::directory(directory.join("inner"))).unwrap();
    assert_eq!(client(&server).get(&Path::from("file.txt")).await.unwrap().bytes().await.unwrap(), "of a file");
    fs::write(directory.join("secret"), "secret").unwrap();
    for path in ["/../secret", "/..%2Fsecret", "/%2e%2e/secret", "/"] {
        assert!(ask(&server.url(), "GET", path, "").starts_with("HTTP/1.1 404 "), "{path}");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn servers_may_lack_what_not_all_have() {
    let answer = |config: HttpConfig, method: &str, headers: &str| {
        let server = HttpServer::start(config).unwrap();
        ask(&server.url(), method, "/data/a%20b.csv", headers).to_lowercase()
    };
    let whole = answer(files().without_ranges(), "GET", "range: bytes=2-3\r\n");
    assert!(whole.starts_with("http/1.1 200 ") && whole.ends_with("0123456789"), "{whole}");
    assert!(!whole.contains("accept-ranges"), "{whole}");
    let part = answer(files(), "GET", "range: bytes=2-3\r\n");
    assert!(part.starts_with("http/1.1 206 ") && part.contains("content-range: bytes 2-3/10"), "{part}");
    let outside = answer(files(), "GET", "range: bytes=10-\r\n");
    assert!(outside.starts_with("http/1.1 416 "), "{outside}");
    assert!(answer(files().without_head(), "HEAD", "").starts_with("http/1.1 405 "));
    let head = answer(files(), "HEAD", "");
    assert!(
        head.contains("content-length: 10") && head.contains("last-modified: ") && head.contains("etag: "),
        "{head}"
    );
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert!(!answer(files().without_etags(), "GET", "").contains("etag"));
    let unsized_body = answer(files().without_lengths(), "GET", "");
    assert!(
        unsized_body.contains("transfer-encoding: chunked") && !unsized_body.contains("content-length"),
        "{unsized_body}"
    );
    assert!(answer(files(), "POST", "").starts_with("http/1.1 405 "));
}

#[tokio::test]
async fn faults_are_those_of_every_server() {
    let server = HttpServer::start(files()).unwrap();
    let (store, path) = (client(&server), Path::from("data/a b.csv"));
    server.faults().add(Rule::new(Fault::Status(500)).suffix(".csv").times(1));
    server.faults().add(Rule::new(Fault::CutBody(4)).on(Operation::Get).skip(1).times(1));
    server.faults().add(Rule::new(Fault::Replace("new".into())).on(Operation::Get).skip(2).times(1));
    assert!(store.get(&path).await.is_err());
    assert!(store.get(&path).await.unwrap().bytes().await.is_err());
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "new");
}

//! Every kind of fault, seen once by a client.

use std::time::Duration;

use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::time::timeout;
use windrow_stores_testing::{Config, Fault, Operation, Rule, S3Server};

use crate::clients::{PATIENCE, s3};
use crate::plain::ask;

fn started() -> (S3Server, AmazonS3, Path) {
    let server = S3Server::start(Config::default()).unwrap();
    server.put("x", vec![b'x'; 100_000]);
    let store = s3(&server, 0);
    (server, store, Path::from("x"))
}

async fn read(store: &AmazonS3, path: &Path) -> Result<usize, Error> {
    Ok(timeout(PATIENCE, async { store.get(path).await?.bytes().await }).await.unwrap()?.len())
}

#[tokio::test]
async fn errors_are_said_as_s3_says_them_and_tried_again() {
    let (server, store, path) = started();
    let busy = server.faults().add(Rule::new(Fault::Status(503)).on(Operation::Get).times(1));
    let error = read(&store, &path).await.unwrap_err().to_string();
    assert!(error.contains("SlowDown") && error.contains("503"), "{error}");
    assert_eq!((busy.count(), read(&store, &path).await.unwrap()), (1, 100_000));
    server.faults().clear();

    let broken = server.faults().add(Rule::new(Fault::Status(500)).method("GET").skip(1).times(2));
    let patient = s3(&server, 5);
    assert_eq!(read(&patient, &path).await.unwrap(), 100_000);
    assert_eq!((read(&patient, &path).await.unwrap(), broken.count()), (100_000, 2));

    let open = S3Server::start(Config::default().unsigned()).unwrap();
    open.faults().add(Rule::new(Fault::Status(503)));
    let answer = ask(&open.url(), "GET", "/windrow/x", "").to_lowercase();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
}

#[tokio::test]
async fn a_reset_connection_is_an_error_without_an_answer() {
    let (server, store, path) = started();
    let reset = server.faults().add(Rule::new(Fault::Reset).prefix("x").times(1));
    let error = read(&store, &path).await.unwrap_err().to_string();
    assert!(error.contains("sending request"), "{error}");
    assert_eq!((reset.count(), read(&store, &path).await.unwrap()), (1, 100_000));
    server.faults().add(Rule::new(Fault::Reset));
    assert_eq!(ask(&server.url(), "GET", "/windrow/x", ""), "");
}

#[tokio::test]
async fn a_body_is_cut_and_read_on() {
    let (server, store, path) = started();
    let rule = Rule::new(Fault::CutBody(70_000)).on(Operation::Get).times(1);
    let cut = server.faults().add(rule.clone());
    assert!(read(&store, &path).await.is_err());
    let open = S3Server::start(Config::default().unsigned()).unwrap();
    open.put("x", vec![b'x'; 100_000]);
    open.faults().add(rule.clone());
    let answer = ask(&open.url(), "GET", "/windrow/x", "");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 100000") && body.len() == 70_000, "{head} {}", body.len());
    assert_eq!((cut.count(), server.counters().of(Operation::Get).sent), (1, 70_000));
    // A client that tries again asks for the rest only.
    server.faults().add(rule);
    assert_eq!(read(&s3(&server, 3), &path).await.unwrap(), 100_000);
    let ranges: Vec<Option<String>> = server.counters().requests().into_iter().map(|seen| seen.range).collect();
    assert_eq!(ranges.last().unwrap().as_deref(), Some("bytes=70000-99999"), "{ranges:?}");
}

#[tokio::test]
async fn what_stalls_goes_on_when_the_faults_are_cleared() {
    let (server, store, path) = started();
    let stalled = server.faults().add(Rule::new(Fault::Stall).on(Operation::Head));
    let in_the_body = server.faults().add(Rule::new(Fault::StallBody(10)).on(Operation::Get));
    let begun = async {
        timeout(PATIENCE, stalled.reached(1)).await.unwrap();
        timeout(PATIENCE, in_the_body.reached(1)).await.unwrap();
        assert_eq!(server.counters().total().in_flight, 2);
        server.faults().clear();
    };
    let (head, body, ()) = tokio::join!(timeout(PATIENCE, store.head(&path)), read(&store, &path), begun);
    assert_eq!(head.unwrap().unwrap().size, 100_000);
    assert!(body.is_err(), "a body that stalled is never whole");
}

#[tokio::test]
async fn what_is_late_is_right() {
    let (server, store, path) = started();
    let late = server.faults().add(Rule::new(Fault::Delay(Duration::from_millis(30))).suffix("x").containing("x"));
    assert_eq!((read(&store, &path).await.unwrap(), late.count()), (100_000, 1));
}

#[tokio::test]
async fn an_ambiguous_answer_hides_that_it_was_done() {
    let (server, store, _) = started();
    for fault in [Fault::DoneButStatus(500), Fault::DoneButReset] {
        let path = Path::from(format!("{fault:?}"));
        server.faults().add(Rule::new(fault).method("PUT").times(1));
        let create = || PutOptions::from(PutMode::Create);
        let error = store.put_opts(&path, "done".into(), create()).await.unwrap_err();
        assert!(!matches!(error, Error::AlreadyExists { .. }), "{error}");
        assert_eq!(server.get(path.as_ref()).unwrap(), "done");
        let again = store.put_opts(&path, "again".into(), create()).await.unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
    }
    // The completion was done; a client that tries again hears that there is no such upload.
    let mut upload = s3(&server, 3).put_multipart(&Path::from("parts")).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    server.faults().add(Rule::new(Fault::DoneButStatus(500)).on(Operation::CompleteUpload).query("uploadId").times(1));
    let error = upload.complete().await.unwrap_err().to_string();
    assert!(error.contains("NoSuchUpload"), "{error}");
    assert_eq!(server.get("parts").unwrap(), "x");
}

#[tokio::test]
async fn a_copy_may_fail_with_success() {
    let (server, store, path) = started();
    let failed = server.faults().add(Rule::new(Fault::ErrorWith200).on(Operation::Copy).times(2));
    assert!(store.copy(&path, &Path::from("y")).await.is_err());
    assert_eq!((server.get("y"), failed.count()), (None, 1));
    s3(&server, 3).copy(&path, &Path::from("y")).await.unwrap();
    assert_eq!((server.get("y").unwrap().len(), failed.count()), (100_000, 2));
}

#[tokio::test]
async fn a_second_create_may_succeed() {
    let (server, store, path) = started();
    let create = || PutOptions::from(PutMode::Create);
    let ignored = server.faults().add(Rule::new(Fault::IgnoreConditions).on(Operation::Put).times(1));
    store.put_opts(&path, "second".into(), create()).await.unwrap();
    assert_eq!((server.get("x").unwrap().as_ref(), ignored.count()), (&b"second"[..], 1));
    assert!(store.put_opts(&path, "third".into(), create()).await.is_err());

    let careless = S3Server::start(Config::default().without_conditions()).unwrap();
    let store = s3(&careless, 0);
    for contents in ["first", "second"] {
        store.put_opts(&path, contents.into(), create()).await.unwrap();
    }
    assert_eq!(careless.get("x").unwrap(), "second");
}

#[tokio::test]
async fn an_object_changes_and_vanishes_between_reads() {
    let (server, store, path) = started();
    let before = store.head(&path).await.unwrap();
    server.faults().add(Rule::new(Fault::Replace("other".into())).on(Operation::Get).skip(1).times(1));
    server.faults().add(Rule::new(Fault::Vanish).on(Operation::Get).skip(2).times(1));
    let first = store.get(&path).await.unwrap();
    assert_eq!(first.meta.e_tag, before.e_tag);
    let second = store.get(&path).await.unwrap();
    assert_ne!(second.meta.e_tag, before.e_tag);
    assert_eq!(second.bytes().await.unwrap(), "other");
    assert!(matches!(read(&store, &path).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn random_faults_come_from_the_seed() {
    let run = |seed| async move {
        let (server, store, path) = started();
        let hits = server.faults().random(seed, 0.3);
        let mut fates = Vec::new();
        for _ in 0..60 {
            fates.push(read(&store, &path).await.is_ok());
        }
        (fates, hits.count())
    };
    let (first, again, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    assert!(first.1 > 5 && first.0.contains(&true) && first.0.contains(&false), "{first:?}");
    // With enough tries everything is read all the same.
    let (server, _, path) = started();
    server.faults().random(3, 0.3);
    for _ in 0..20 {
        assert_eq!(read(&s3(&server, 30), &path).await.unwrap(), 100_000);
    }
}

#[tokio::test]
async fn requests_bytes_and_peaks_are_counted() {
    let (server, store, path) = started();
    let all = server.faults().add(Rule::new(Fault::Stall).on(Operation::Get));
    let reads = futures::future::join_all((0..4).map(|_| read(&store, &path)));
    let release = async {
        timeout(PATIENCE, all.reached(4)).await.unwrap();
        server.faults().clear();
    };
    let (reads, ()) = tokio::join!(reads, release);
    assert!(reads.into_iter().all(|read| read.unwrap() == 100_000));
    store.put(&Path::from("y"), PutPayload::from(vec![0; 5000])).await.unwrap();
    let (got, put) = (server.counters().of(Operation::Get), server.counters().of(Operation::Put));
    assert_eq!((got.requests, got.sent, got.received, got.peak), (4, 400_000, 0, 4));
    assert_eq!((put.requests, put.received, put.peak), (1, 5000, 1));
    assert_eq!(server.counters().total().requests, 5);
    assert!(server.connections() <= 5);
    server.counters().reset();
    assert_eq!(server.counters().total().requests, 0);
}

#[tokio::test]
async fn what_is_written_may_look_old() {
    let (server, store, path) = started();
    let now = store.head(&path).await.unwrap().last_modified;
    server.set_behind(Duration::from_secs(3 * 86_400));
    store.put(&Path::from("old"), "x".into()).await.unwrap();
    let old = store.head(&Path::from("old")).await.unwrap().last_modified;
    assert!((now - old).num_hours() >= 71);
}

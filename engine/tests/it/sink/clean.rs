//! What writers that died leave, and what is done about it.

use windrow_common::ErrorKind;
use windrow_engine::sink::{CleanReport, Ending};

use super::*;

const LATER: Duration = Duration::from_secs(7200);

#[tokio::test]
async fn orphans_go_when_they_are_old_and_their_writers_find_themselves_aborted() {
    for lab in Lab::each() {
        lab.write("t", SinkMode::Append, 0..10).await;
        lab.put("t/README.md", b"mine").await;
        let orphan = lab.spec("t", SinkMode::Overwrite);
        let files = lab.stage(&orphan, 10..30).await;

        let before = lab.tree().await;
        let young = lab.clean("t", Duration::ZERO, false).await.unwrap();
        assert_eq!(young, CleanReport { kept: 2, ..CleanReport::default() });
        assert_eq!(lab.tree().await, before, "it may be alive");

        let told = lab.clean("t", LATER, true).await.unwrap();
        assert_eq!(lab.tree().await, before, "a dry run does nothing");
        let done = lab.clean("t", LATER, false).await.unwrap();
        assert_eq!(done, told);
        let bytes = files.iter().map(|f| f.bytes).sum();
        let expected_report = match lab.is_local() {
            true => CleanReport { aborted: 1, files: 2, bytes, ..CleanReport::default() },
            false => CleanReport { aborted: 1, uploads: 2, ..CleanReport::default() },
        };
        assert_eq!(done, expected_report);
        assert!(!lab.is_staged().await);
        assert_eq!(lab.read("t").await.unwrap(), expected(0..10));
        assert!(lab.exists("t/README.md").await);

        // It was only slow.
        assert_eq!(lab.publish(&orphan, &files).await.unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(lab.abort(&orphan).await.unwrap(), Ending::Aborted);
        assert_eq!(lab.read("t").await.unwrap(), expected(0..10));
        assert_eq!(lab.clean("t", LATER, false).await.unwrap(), CleanReport::default(), "nothing is left to do");
    }
}

#[tokio::test]
async fn what_is_decided_is_finished_and_what_is_left_of_it_goes_whatever_its_age() {
    for lab in Lab::each() {
        lab.write("t", SinkMode::Append, 0..10).await;
        let spec = lab.spec("t", SinkMode::Overwrite);
        let first = lab.stage(&spec, 10..30).await;
        lab.stage(&spec, 10..30).await;
        assert!(lab.die_after(&spec, &first, 1).await);
        let before = lab.tree().await;
        let told = lab.clean("t", Duration::ZERO, true).await.unwrap();
        assert_eq!((told.finished, told.files + told.uploads), (1, 2));
        assert_eq!(lab.tree().await, before, "a dry run does nothing");
        let done = lab.clean("t", Duration::ZERO, false).await.unwrap();
        assert_eq!((done.finished, done.aborted, done.kept), (1, 0, 0));
        assert_eq!(lab.read("t").await.unwrap(), expected(10..30));
        assert!(!lab.is_staged().await);

        // A late attempt died before it could look.
        let late = lab.stage_in(&spec, "t", "year=2024", b"late").await;
        assert!(lab.is_staged().await);
        let done = lab.clean("t", Duration::ZERO, false).await.unwrap();
        assert_eq!(done.files + done.uploads, 1, "{late:?}");
        assert!(!lab.is_staged().await);
        assert_eq!(lab.read("t").await.unwrap(), expected(10..30));
    }
}

#[tokio::test]
async fn a_write_that_is_alive_is_left_alone() {
    for lab in Lab::each() {
        let alive = lab.spec("t", SinkMode::Append);
        let files = lab.stage(&alive, 0..10).await;
        lab.clean("t", Duration::from_secs(600), false).await.unwrap();
        lab.publish(&alive, &files).await.unwrap();
        assert_eq!(lab.read("t").await.unwrap(), expected(0..10));
    }
}

#[tokio::test]
async fn single_files_leave_orphans_too() {
    for lab in Lab::each() {
        let spec = lab.spec("d/x.parquet", SinkMode::Overwrite);
        let files = lab.stage_one(&spec, 0..10).await;
        lab.publish(&spec, &files).await.unwrap();
        let orphan = lab.spec("d/x.parquet", SinkMode::Overwrite);
        let files = lab.stage_one(&orphan, 10..30).await;
        assert_eq!(lab.clean("d", Duration::ZERO, false).await.unwrap().kept, 1);
        let told = lab.clean("d", LATER, true).await.unwrap();
        assert_eq!(told.files + told.uploads, 1);
        assert_eq!(lab.clean("d", LATER, false).await.unwrap(), told);
        assert!(!lab.is_staged().await);
        assert!(lab.publish(&orphan, &files).await.is_err());
        assert_eq!(lab.read("d/x.parquet").await.unwrap(), expected(0..10));
    }
}

#[tokio::test]
async fn a_single_file_that_is_decided_is_finished() {
    let lab = Lab::bucket();
    let spec = lab.spec("d/x.parquet", SinkMode::ErrorIfExists);
    let files = lab.stage_one(&spec, 0..10).await;
    assert!(lab.die_after(&spec, &files, 1).await);
    assert!(!lab.exists("d/x.parquet").await);
    assert_eq!(lab.clean("d", Duration::ZERO, true).await.unwrap().finished, 1);
    assert_eq!(lab.clean("d", Duration::ZERO, false).await.unwrap().finished, 1);
    assert_eq!(lab.read("d/x.parquet").await.unwrap(), expected(0..10));
    assert!(!lab.is_staged().await);
}

#[tokio::test]
async fn what_served_a_moment_goes_and_what_is_not_ours_stays() {
    for lab in Lab::each() {
        lab.write("t", SinkMode::Append, 0..10).await;
        let kept = ["t/_windrow/notes.txt", "t/_windrow/staging/mine/file", "t/.hidden.staged", "t/_other/probe-1"];
        for name in kept {
            lab.put(name, b"mine").await;
        }
        for name in ["t/_windrow/probe-5", "t/_windrow/00000000000000000009.manifest.0.tmp"] {
            lab.put(name, b"left").await;
        }
        assert_eq!(lab.clean("t", Duration::ZERO, false).await.unwrap().kept, 2);
        let done = lab.clean("t", LATER, false).await.unwrap();
        assert_eq!(done, CleanReport { files: 2, bytes: 8, ..CleanReport::default() });
        for name in kept {
            assert!(lab.exists(name).await, "{name}");
        }
        assert_eq!(lab.read("t").await.unwrap(), expected(0..10));
        lab.write("t", SinkMode::Append, 10..20).await;
        assert_eq!(lab.read("t").await.unwrap(), expected(0..20));
    }
}

#[tokio::test]
async fn a_wrong_place_is_an_error_and_no_success() {
    let lab = Lab::local();
    assert_eq!(lab.clean("nothing", LATER, false).await.unwrap_err().kind, ErrorKind::NotFound);
    lab.put("file", b"").await;
    assert_eq!(lab.clean("file", LATER, false).await.unwrap_err().kind, ErrorKind::User);
    let now = SystemTime::UNIX_EPOCH;
    let options = sink::CleanOptions { older_than: Duration::ZERO, now, dry_run: true };
    let error = sink::clean(&lab.stores, &lab.target("x.parquet"), options).await.unwrap_err();
    assert!(error.message.contains("names a file"), "{error}");
}

#[tokio::test]
async fn clocks_that_differ_make_nobody_old() {
    let lab = Lab::bucket();
    lab.store().set_behind(LATER);
    let alive = lab.spec("t", SinkMode::Append);
    let files = lab.stage(&alive, 0..10).await;
    let done = lab.clean("t", Duration::ZERO, false).await.unwrap();
    assert_eq!(done, CleanReport { kept: 2, ..CleanReport::default() }, "it is some seconds old");
    lab.publish(&alive, &files).await.unwrap();
    assert_eq!(lab.read("t").await.unwrap(), expected(0..10));
}

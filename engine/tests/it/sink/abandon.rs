//! Writes that are decided and can never be finished: they stop everybody, until they are given up as a whole.

use windrow_common::ErrorKind;
use windrow_engine::sink::{AbandonReport, Ending};

use super::*;

/// Loses a staged file for good.
async fn lose(lab: &Lab, name: &str, file: &WrittenFile) {
    match &file.upload {
        None => lab.remove(&format!("{name}/{}", file.staged)).await,
        Some(upload) => {
            lab.store().abort_multipart(&lab.path(&format!("{name}/{}", file.name)), &upload.id).await.unwrap();
        }
    }
}

/// Old rows, and an overwrite that is decided, has put its first file into its place, and loses the second.
async fn half_published(lab: &Lab) -> (SinkSpec, Vec<WrittenFile>) {
    lab.write("t", SinkMode::Append, 0..10).await;
    let spec = lab.spec("t", SinkMode::Overwrite);
    let files = lab.stage(&spec, 10..30).await;
    if lab.is_local() {
        // Verified, decided, opened, renamed.
        assert!(lab.die_after(&spec, &files, 3).await);
    } else {
        let second = lab.path(&format!("t/{}", files[1].name));
        lab.store()
            .fail(move |op, path| if op == Op::Complete && *path == second { Fault::Refused } else { Fault::None });
        lab.publish(&spec, &files).await.unwrap_err();
        lab.store().heal();
    }
    assert!(lab.exists(&format!("t/{}", files[0].name)).await && !lab.exists(&format!("t/{}", files[1].name)).await);
    lose(lab, "t", &files[1]).await;
    (spec, files)
}

async fn abandon(lab: &Lab, name: &str, write: &str) -> Result<AbandonReport, Error> {
    sink::abandon(&lab.stores, &lab.target(name), write).await
}

#[tokio::test]
async fn a_write_that_lost_a_file_stops_all_until_it_is_given_up_as_a_whole() {
    for lab in Lab::each() {
        let (spec, files) = half_published(&lab).await;
        let next = lab.spec("t", SinkMode::Append);
        let more = lab.stage(&next, 30..40).await;
        let error = lab.publish(&next, &more).await.unwrap_err();
        let advice = format!("windrow clean {} --abandon {}", lab.target("t"), spec.key());
        assert!(error.message.contains(&advice), "{error}");
        assert!(lab.read("t").await.is_err(), "an error and no part of it");

        let wrong = abandon(&lab, "t", "test-0-0-0").await.unwrap_err();
        assert_eq!(wrong.kind, ErrorKind::NotFound);
        assert!(wrong.message.contains(&spec.key()), "{wrong}");
        let report = abandon(&lab, "t", &spec.key()).await.unwrap();
        assert_eq!(report, AbandonReport { lost: vec![files[1].name.clone()], rows: 20 });
        assert_eq!(lab.read("t").await.unwrap(), expected(0..10), "what was there before");
        assert!(lab.exists("t/_SUCCESS").await);
        let left: Vec<String> = lab.tree().await.into_keys().filter(|name| name.contains(&files[0].name)).collect();
        assert!(left.is_empty(), "nothing of it stays: {left:?}");

        // Its coordinator comes back.
        assert_eq!(lab.publish(&spec, &files).await.unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(lab.abort(&spec).await.unwrap(), Ending::Aborted);
        assert_eq!(abandon(&lab, "t", &spec.key()).await.unwrap_err().kind, ErrorKind::NotFound, "once");
        lab.publish(&next, &more).await.unwrap();
        lab.write("t", SinkMode::Overwrite, 50..60).await;
        assert_eq!(lab.read("t").await.unwrap(), expected(50..60));
        assert!(!lab.is_staged().await);
    }
}

#[tokio::test]
async fn a_write_that_lost_nothing_is_finished_and_not_given_up() {
    for lab in Lab::each() {
        lab.write("t", SinkMode::Append, 0..10).await;
        let spec = lab.spec("t", SinkMode::Overwrite);
        let files = lab.stage(&spec, 10..30).await;
        assert!(lab.die_after(&spec, &files, 1).await);
        assert!(abandon(&lab, "t", &spec.key()).await.unwrap().lost.is_empty());
        assert_eq!(lab.read("t").await.unwrap(), expected(10..30));
        assert!(matches!(lab.abort(&spec).await.unwrap(), Ending::Published(_)));
    }
}

#[tokio::test]
async fn a_single_file_that_is_given_up_leaves_the_old_one() {
    let lab = Lab::bucket();
    for ids in [0..10, 10..20] {
        let spec = lab.spec("d/x.parquet", SinkMode::Overwrite);
        let files = lab.stage_one(&spec, ids.clone()).await;
        if ids.start == 0 {
            lab.publish(&spec, &files).await.unwrap();
            continue;
        }
        assert!(lab.die_after(&spec, &files, 1).await);
        lose(&lab, "d", &files[0]).await;
        assert_eq!(abandon(&lab, "d", &spec.key()).await.unwrap().lost, ["x.parquet"]);
        assert_eq!(lab.publish(&spec, &files).await.unwrap_err().kind, ErrorKind::Cancelled);
    }
    assert_eq!(lab.read("d/x.parquet").await.unwrap(), expected(0..10));
    assert!(!lab.is_staged().await);
}

#[test]
fn whoever_was_carrying_it_out_deletes_nothing_afterwards() {
    let lab = Lab::local();
    let runtime = runtime();
    let _entered = runtime.enter();
    runtime.block_on(lab.write("t", SinkMode::Append, 0..10));
    let spec = lab.spec("t", SinkMode::Overwrite);
    let files = runtime.block_on(lab.stage(&spec, 10..30));
    let result = commit::publish_watched(&lab.stores, &spec, &files, &mut |step| {
        if step == Step::Opened {
            // It stops here for a while. Its file is lost, and somebody gives it up.
            runtime.block_on(lose(&lab, "t", &files[1]));
            runtime.block_on(abandon(&lab, "t", &spec.key())).unwrap();
        }
        Ok(())
    });
    assert_eq!(result.unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(runtime.block_on(lab.read("t")).unwrap(), expected(0..10));
}

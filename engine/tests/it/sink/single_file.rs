//! `COPY … TO 'x.parquet'`: one file, replaced in one step.

use windrow_common::ErrorKind;

use super::*;

/// What lies in the directory that is not the log of a single file.
async fn names(lab: &Lab) -> Vec<String> {
    lab.tree().await.into_keys().filter(|name| !name.starts_with("_windrow/files/") && !name.ends_with('/')).collect()
}

#[tokio::test]
async fn it_replaces_what_was_there() {
    for lab in Lab::each() {
        for ids in [0..10, 10..30, 30..30, 30..31] {
            let spec = lab.spec("deep/x.parquet", SinkMode::Overwrite);
            let files = lab.stage_one(&spec, ids.clone()).await;
            let twice = lab.stage_one(&spec, ids.clone()).await;
            assert_eq!(files[0].name, twice[0].name);
            lab.publish(&spec, &twice).await.unwrap();
            assert_eq!(lab.read("deep/x.parquet").await.unwrap(), expected(ids));
            assert_eq!(lab.listed("deep").await, ["x.parquet"]);
            assert!(!lab.is_staged().await, "nothing else stays, not even of the other attempt");
        }
        if lab.is_local() {
            assert_eq!(lab.tree().await.into_keys().collect::<Vec<_>>(), ["deep/", "deep/x.parquet"]);
        }
    }
}

#[tokio::test]
async fn it_refuses_what_it_cannot_do() {
    for lab in Lab::each() {
        lab.put("x.parquet", b"precious").await;
        let kind = async |mode| lab.prepare(&lab.spec("x.parquet", mode)).await.unwrap_err().kind;
        assert_eq!(kind(SinkMode::ErrorIfExists).await, ErrorKind::AlreadyExists);
        assert_eq!(kind(SinkMode::Append).await, ErrorKind::Unsupported);
        lab.put("d.parquet/part.parquet", b"").await;
        let error = lab.prepare(&lab.spec("d.parquet", SinkMode::Overwrite)).await.unwrap_err();
        assert!(error.message.contains("is a directory"), "{error}");
        assert_eq!(names(&lab).await, ["d.parquet/part.parquet", "x.parquet"]);
    }
}

#[tokio::test]
async fn killed_after_any_step_it_rolls_forward() {
    for new_lab in [Lab::local, Lab::bucket] {
        for mode in [SinkMode::Overwrite, SinkMode::ErrorIfExists] {
            let mut steps = 0;
            loop {
                let lab = new_lab();
                let spec = lab.spec("x.parquet", mode);
                if mode == SinkMode::Overwrite {
                    // The old file is as large as the new one: nobody may take it for that.
                    let old = lab.spec("x.parquet", mode);
                    let files = lab.stage_one(&old, 0..10).await;
                    lab.publish(&old, &files).await.unwrap();
                }
                let files = lab.stage_one(&spec, 0..10).await;
                let killed = lab.die_after(&spec, &files, steps).await;
                lab.publish(&spec, &files).await.unwrap();
                lab.abort(&spec).await.unwrap();
                assert_eq!(lab.read("x.parquet").await.unwrap(), expected(0..10), "published is published");
                assert_eq!(names(&lab).await, ["x.parquet"]);
                assert!(!lab.is_staged().await);
                if !killed {
                    break;
                }
                steps += 1;
            }
            assert_eq!(steps, if new_lab().is_local() { 3 } else { 5 }, "every step was a place to die");
        }
    }
}

#[tokio::test]
async fn somebody_elses_file_is_not_taken_for_ours() {
    for lab in Lab::each() {
        let spec = lab.spec("x.parquet", SinkMode::ErrorIfExists);
        let files = lab.stage_one(&spec, 0..10).await;
        lab.put("x.parquet", b"came meanwhile").await;
        assert_eq!(lab.publish(&spec, &files).await.unwrap_err().kind, ErrorKind::AlreadyExists);
        lab.abort(&spec).await.unwrap();
        assert_eq!(lab.get("x.parquet").await.unwrap(), "came meanwhile");
        let late = lab.publish(&spec, &files).await.unwrap_err().kind;
        // In a file system the staged file is gone; a bucket knows why.
        assert_eq!(late, if lab.is_local() { ErrorKind::Io } else { ErrorKind::Cancelled });
        assert_eq!(names(&lab).await, ["x.parquet"]);
    }
}

#[tokio::test]
async fn an_aborted_overwrite_cannot_be_published_over_an_equal_file() {
    let lab = Lab::bucket();
    let old = lab.spec("x.parquet", SinkMode::Overwrite);
    let files = lab.stage_one(&old, 0..10).await;
    lab.publish(&old, &files).await.unwrap();
    let new = lab.spec("x.parquet", SinkMode::Overwrite);
    let files = lab.stage_one(&new, 0..10).await;
    // Its upload is lost after the decision: the old file, of the same size, is not the new one.
    assert!(lab.die_after(&new, &files, 1).await);
    let upload = files[0].upload.as_ref().unwrap();
    lab.store().abort_multipart(&lab.path("x.parquet"), &upload.id).await.unwrap();
    let error = lab.publish(&new, &files).await.unwrap_err();
    assert!(error.message.contains("is gone"), "{error}");
}

#[tokio::test]
async fn an_aborted_write_is_not_taken_for_published_because_an_old_file_is_as_large() {
    for lab in Lab::each() {
        let old = lab.spec("x.parquet", SinkMode::Overwrite);
        let before = lab.stage_one(&old, 0..10).await;
        lab.publish(&old, &before).await.unwrap();
        let new = lab.spec("x.parquet", SinkMode::Overwrite);
        let files = lab.stage_one(&new, 0..10).await;
        assert_eq!(files[0].bytes, before[0].bytes, "else the test shows nothing");
        lab.abort(&new).await.unwrap();
        let error = lab.publish(&new, &files).await.unwrap_err();
        assert_eq!(error.kind, if lab.is_local() { ErrorKind::Io } else { ErrorKind::Cancelled }, "{error}");
    }
}

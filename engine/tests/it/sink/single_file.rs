//! `COPY … TO 'x.parquet'`: one file, replaced in one step.

use windrow_common::ErrorKind;

use super::*;

async fn stage_one(spec: &SinkSpec, ids: std::ops::Range<i64>) -> Vec<WrittenFile> {
    sink::prepare(spec).await.unwrap();
    run_all(&plan(&[vec![batch(ids)]], spec)).await
}

#[tokio::test]
async fn it_replaces_what_was_there() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("deep/x.parquet");
    for ids in [0..10, 10..30, 30..30] {
        let spec = spec(&target, SinkMode::Overwrite);
        let files = stage_one(&spec, ids.clone()).await;
        let twice = stage_one(&spec, ids.clone()).await;
        assert_eq!(files[0].name, twice[0].name);
        sink::publish(&spec, twice).await.unwrap();
        assert_eq!(read(&target).await.unwrap(), expected(ids));
        assert_eq!(tree(&dir.path().join("deep")).len(), 1, "nothing else stays, not even of the other attempt");
    }
}

#[tokio::test]
async fn it_refuses_what_it_cannot_do() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("x.parquet");
    std::fs::write(&target, "precious").unwrap();
    let kind = |mode| {
        let spec = spec(&target, mode);
        async move { sink::prepare(&spec).await.unwrap_err().kind }
    };
    assert_eq!(kind(SinkMode::ErrorIfExists).await, ErrorKind::AlreadyExists);
    assert_eq!(kind(SinkMode::Append).await, ErrorKind::Unsupported);
    let directory = dir.path().join("d.parquet");
    std::fs::create_dir(&directory).unwrap();
    let error = sink::prepare(&spec(&directory, SinkMode::Overwrite)).await.unwrap_err();
    assert!(error.message.contains("is a directory"), "{error}");
    let two = plan(&[vec![batch(0..1)], vec![batch(1..2)]], &spec(&target, SinkMode::Overwrite));
    assert_eq!(typed(&two.execute(0, context(attempt())).err().unwrap()).kind, ErrorKind::Internal);
}

#[tokio::test]
async fn killed_after_any_step_it_rolls_forward() {
    for mode in [SinkMode::Overwrite, SinkMode::ErrorIfExists] {
        for n in 0..4 {
            let dir = TempDir::new().unwrap();
            let target = dir.path().join("x.parquet");
            let spec = spec(&target, mode);
            let files = stage_one(&spec, 0..10).await;
            assert_eq!(publish_until(&spec, &files, n, &mut |_| {}), n < 3);
            sink::publish(&spec, files.clone()).await.unwrap();
            sink::abort(&spec).await.unwrap();
            assert_eq!(read(&target).await.unwrap(), expected(0..10), "published is published");
            assert_eq!(tree(dir.path()).len(), 1);
        }
    }
}

#[tokio::test]
async fn somebody_elses_file_is_not_taken_for_ours() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("x.parquet");
    let spec = spec(&target, SinkMode::ErrorIfExists);
    let files = stage_one(&spec, 0..10).await;
    std::fs::write(&target, "came meanwhile").unwrap();
    assert_eq!(sink::publish(&spec, files.clone()).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    sink::abort(&spec).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"came meanwhile");
    assert_eq!(sink::publish(&spec, files).await.unwrap_err().kind, ErrorKind::Io, "staged file is gone");
    assert_eq!(tree(dir.path()).len(), 1);
}

//! What our readers see.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use object_store::GetOptions;

use super::*;

#[tokio::test]
async fn hidden_files_are_hidden_below_the_prefix_only() {
    for lab in Lab::each() {
        let root = ".cache/_tables/t";
        for name in
            ["a.parquet", "year=2020/b.parquet", "_p=1/c.parquet", "_x.parquet", ".y", "_d/z", "year=2020/.z", "e/_f/g"]
        {
            lab.put(&format!("{root}/{name}"), name.as_bytes()).await;
        }
        let names = ["_p=1/c.parquet", "a.parquet", "year=2020/b.parquet"];
        assert_eq!(lab.listed(root).await, names);
        let (store, prefix) = (lab.visible(), lab.path(root));
        let result = store.list_with_delimiter(Some(&prefix)).await.unwrap();
        assert_eq!(result.objects.len(), 1);
        let directories: BTreeSet<_> = result.common_prefixes.iter().map(|p| p.filename().unwrap()).collect();
        assert_eq!(directories, BTreeSet::from(["_p=1", "e", "year=2020"]));
        let offset = lab.path(&format!("{root}/a.parquet"));
        let after: Vec<_> = store.list_with_offset(Some(&prefix), &offset).try_collect().await.unwrap();
        assert_eq!(after.len(), 1);
        // Named explicitly, anything can be read.
        assert_eq!(store.head(&lab.path(&format!("{root}/_d/z"))).await.unwrap().size, 4);
        assert_eq!(lab.listed(&format!("{root}/_d")).await, ["z"]);
        assert!(store.head(&lab.path(&format!("{root}/nothing"))).await.is_err());
    }
}

#[tokio::test]
async fn decided_files_are_read_before_they_are_in_place() {
    for lab in Lab::each() {
        lab.write("t", SinkMode::Append, 0..10).await;
        let old = lab.listed("t").await;
        let spec = lab.spec("t", SinkMode::Overwrite);
        let files = lab.stage(&spec, 10..30).await;
        assert!(lab.die_after(&spec, &files, 1).await);
        let store = lab.visible();
        for file in &files {
            assert!(!lab.is_local() || !lab.exists(&format!("t/{}", file.name)).await);
            let path = lab.path(&format!("t/{}", file.name));
            let meta = store.head(&path).await.unwrap();
            assert_eq!((meta.size, &meta.location), (file.bytes, &path));
            assert_eq!(store.get_range(&path, 0..4).await.unwrap(), "PAR1".as_bytes());
            assert_eq!(store.get_ranges(&path, &[0..4, 4..8]).await.unwrap().len(), 2);
            let options = GetOptions { if_match: meta.e_tag, ..GetOptions::default() };
            assert!(store.get_opts(&path, options).await.is_ok());
        }
        let mut names: Vec<_> = files.iter().map(|f| f.name.clone()).collect();
        names.sort();
        assert_eq!(lab.listed("t").await, names);
        for old in old {
            // A reader that had to complete uploads has done the rest as well.
            assert_eq!(lab.exists(&format!("t/{old}")).await, lab.is_local(), "replaced, not yet deleted");
        }
        let result = store.list_with_delimiter(Some(&lab.path("t"))).await.unwrap();
        assert_eq!(result.objects.len(), 2);
        // Also seen from above: a listing that contains the table.
        assert_eq!(lab.listed("").await.len(), 2);
        assert_eq!(lab.read("t").await.unwrap(), expected(10..30));
    }
}

#[tokio::test]
async fn what_is_decided_and_cannot_be_read_is_brought_to_its_end_by_the_reader() {
    // Each way of reading is the first to come.
    for way in 0..4 {
        let lab = Lab::bucket();
        lab.write("t", SinkMode::Append, 0..10).await;
        let spec = lab.spec("t", SinkMode::Overwrite);
        let files = lab.stage(&spec, 10..30).await;
        assert!(lab.die_after(&spec, &files, 1).await);
        let path = lab.path(&format!("t/{}", files[0].name));
        match way {
            0 => assert_eq!(lab.listed("t").await.len(), 2),
            1 => assert_eq!(lab.listed("").await.len(), 2),
            2 => assert_eq!(lab.visible().head(&path).await.unwrap().size, files[0].bytes),
            _ => {
                let result = lab.visible().list_with_delimiter(Some(&lab.path("t"))).await.unwrap();
                assert_eq!(result.objects.len(), 2);
            }
        }
        assert!(!lab.recover("t").await.unwrap(), "nothing was left to do");
        assert!(!lab.is_staged().await);
        assert_eq!(lab.read("t").await.unwrap(), expected(10..30));
    }
}

#[tokio::test]
async fn a_reader_that_may_not_write_waits_for_whoever_does_and_then_says_so() {
    let lab = Lab::bucket();
    lab.write("t", SinkMode::Append, 0..10).await;
    let spec = lab.spec("t", SinkMode::Overwrite);
    let files = lab.stage(&spec, 10..30).await;
    assert!(lab.die_after(&spec, &files, 1).await);
    let (store, prefix) = (VisibleStore::new(lab.raw()), lab.path("t"));
    let error = store.list(Some(&prefix)).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("decided") && error.to_string().contains("windrow clean"), "{error}");
    let listing = store.list(Some(&prefix)).try_collect::<Vec<_>>();
    let (listed, recovered) = tokio::join!(listing, lab.recover("t"));
    assert!(recovered.unwrap());
    assert_eq!(listed.unwrap().len(), 2);
}

#[test]
fn a_reader_meets_one_generation_whole() {
    for lab in Lab::each() {
        let runtime = runtime();
        runtime.block_on(lab.write("", SinkMode::Append, 0..10));
        let generations: Vec<_> = (0..60)
            .map(|_| {
                let spec = lab.spec("", SinkMode::Overwrite);
                let files = runtime.block_on(lab.stage(&spec, 10..20));
                (spec, files)
            })
            .collect();
        let done = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                let _entered = runtime.enter();
                for (spec, files) in &generations {
                    commit::publish_watched(&lab.stores, spec, files, &mut |_| Ok(())).unwrap();
                }
                done.store(true, Ordering::Release);
            });
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Acquire) {
                let names = runtime.block_on(lab.listed(""));
                assert_eq!(names.len(), 2, "{names:?}");
                let job = |name: &str| name["part-".len()..][..16].to_owned();
                assert_eq!(job(&names[0]), job(&names[1]), "two generations at once");
                seen.insert(names);
            }
            seen.len()
        });
        assert!(seen > 1, "the reader never met a write: the test shows nothing");
    }
}

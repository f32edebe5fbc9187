//! What our readers see.

use std::sync::atomic::AtomicBool;

use object_store::path::Path as StorePath;
use object_store::{GetOptions, ObjectStoreExt};

use super::*;

fn touch(root: &Path, name: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, name).unwrap();
}

fn store_path(path: &Path) -> StorePath {
    StorePath::from_absolute_path(path).unwrap()
}

#[tokio::test]
async fn hidden_files_are_hidden_below_the_prefix_only() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join(".cache/_tables/t");
    for name in
        ["a.parquet", "year=2020/b.parquet", "_p=1/c.parquet", "_x.parquet", ".y", "_d/z", "year=2020/.z", "e/_f/g"]
    {
        touch(&root, name);
    }
    let names = ["_p=1/c.parquet", "a.parquet", "year=2020/b.parquet"];
    assert_eq!(listed(&root).await, names);
    let store = VisibleStore::local();
    let result = store.list_with_delimiter(Some(&store_path(&root))).await.unwrap();
    assert_eq!(result.objects.len(), 1);
    let directories: Vec<_> = result.common_prefixes.iter().map(|p| p.filename().unwrap()).collect();
    assert_eq!(directories, ["_p=1", "e", "year=2020"]);
    let offset = store_path(&root.join("a.parquet"));
    let after: Vec<_> = store.list_with_offset(Some(&store_path(&root)), &offset).try_collect().await.unwrap();
    assert_eq!(after.len(), 1);
    // Named explicitly, anything can be read.
    assert_eq!(store.head(&store_path(&root.join("_d/z"))).await.unwrap().size, 4);
    assert_eq!(listed(&root.join("_d")).await, ["z"]);
    assert!(store.head(&store_path(&root.join("nothing"))).await.is_err());
}

#[tokio::test]
async fn decided_files_are_read_before_they_are_in_place() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("t");
    write(&target, SinkMode::Append, 0..10).await;
    let old = listed(&target).await;
    let spec = spec(&target, SinkMode::Overwrite);
    let files = stage(&spec, 10..30).await;
    assert!(publish_until(&spec, &files, 1, &mut |_| {}));
    let store = VisibleStore::local();
    for file in &files {
        assert!(!target.join(&file.name).exists());
        let path = store_path(&target.join(&file.name));
        let meta = store.head(&path).await.unwrap();
        assert_eq!((meta.size, &meta.location), (file.bytes, &path));
        assert_eq!(store.get_range(&path, 0..4).await.unwrap(), "PAR1".as_bytes());
        assert_eq!(store.get_ranges(&path, &[0..4, 4..8]).await.unwrap().len(), 2);
        let options = GetOptions { if_match: meta.e_tag, ..GetOptions::default() };
        assert!(store.get_opts(&path, options).await.is_ok());
    }
    let mut names: Vec<_> = files.iter().map(|f| f.name.clone()).collect();
    names.sort();
    assert_eq!(listed(&target).await, names);
    assert!(old.iter().all(|o| target.join(o).exists()), "replaced, not yet deleted");
    let result = store.list_with_delimiter(Some(&store_path(&target))).await.unwrap();
    assert_eq!(result.objects.len(), 2);
    // Also seen from above: a listing that contains the table.
    assert_eq!(listed(dir.path()).await.len(), 2);
    assert_eq!(read(&target).await.unwrap(), expected(10..30));
}

#[test]
fn a_reader_meets_one_generation_whole() {
    let dir = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write(dir.path(), SinkMode::Append, 0..10));
    let generations: Vec<_> = (0..60)
        .map(|_| {
            let spec = spec(dir.path(), SinkMode::Overwrite);
            let files = runtime.block_on(stage(&spec, 10..20));
            (spec, files)
        })
        .collect();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            for (spec, files) in &generations {
                commit::publish_watched(spec, files.clone(), &mut |_| Ok(())).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut seen = std::collections::BTreeSet::new();
        while !done.load(Ordering::Acquire) {
            let names = runtime.block_on(listed(dir.path()));
            assert_eq!(names.len(), 2, "{names:?}");
            let job = |name: &str| name[..name.len() - "-00000-000.parquet".len()].to_owned();
            assert_eq!(job(&names[0]), job(&names[1]), "two generations at once");
            seen.insert(names);
        }
        seen.len()
    });
    assert!(seen > 1, "the reader never met a write: the test shows nothing");
}

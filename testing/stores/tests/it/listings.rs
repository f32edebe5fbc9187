//! A million keys that nobody stored.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use windrow_stores_testing::{Config, Operation, S3Server, Synthetic};

use crate::clients::s3;

#[tokio::test]
async fn a_million_keys_are_listed_and_each_can_be_read() {
    const COUNT: u64 = 1_000_000;
    let server = S3Server::start(Config::default().synthetic_keys("many/part-", COUNT, ".csv")).unwrap();
    server.put("many/part-00000500.csv.tmp", "stored among them");
    let store = s3(&server, 0);
    let (mut count, mut last, mut bytes) = (0, String::new(), 0);
    let mut listing = store.list(Some(&Path::from("many")));
    while let Some(meta) = listing.try_next().await.unwrap() {
        assert!(meta.location.as_ref() > last.as_str(), "{} after {last}", meta.location);
        last = meta.location.to_string();
        count += 1;
        bytes += meta.size;
    }
    assert_eq!((count, last.as_str()), (COUNT + 1, "many/part-00999999.csv"));
    assert!(bytes > 8 * COUNT);
    assert_eq!(server.counters().of(Operation::List).requests, COUNT / 1000 + 1);
    let one = store.get(&Path::from("many/part-00123456.csv")).await.unwrap();
    assert_eq!(one.bytes().await.unwrap(), "number\n123456\n");
    assert!(store.head(&Path::from("many/part-01000000.csv")).await.is_err());
    store.delete(&Path::from("many/part-00000000.csv")).await.unwrap();
    let first = store.list(Some(&Path::from("many"))).try_next().await.unwrap().unwrap();
    assert_eq!(first.location.as_ref(), "many/part-00000001.csv");
}

#[tokio::test]
async fn synthetic_keys_hold_what_they_are_told() {
    let keys = Synthetic::new("t/", 10, ".csv").with_contents(|number| format!("{number},x\n").into());
    let server = S3Server::start(Config::default().synthetic(keys)).unwrap();
    let store = s3(&server, 0);
    assert_eq!(store.get(&Path::from("t/00000007.csv")).await.unwrap().bytes().await.unwrap(), "7,x\n");
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!((top.common_prefixes.len(), top.objects.len()), (1, 0));
}

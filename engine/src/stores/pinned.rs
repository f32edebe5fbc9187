//! The stores of one attempt: every file that it was given is the very one that was listed when the statement was planned,
//! or an error. A job never reads a mixture of old and new.
//!
//! Each answer of a store carries what the file is at that moment (entity tag, size, time). It is compared before a byte
//! of the answer is used, for each single read, since a file may be replaced between two of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use sha2::{Digest, Sha256};
use url::Url;
use windrow_common::limits;

use super::location::bare_store;
use super::{file_name, store_key};

/// The files of one attempt, by store and path.
#[derive(Debug, Default)]
pub struct Pins {
    pins: RwLock<BTreeMap<(String, Path), ObjectMeta>>,
}

impl Pins {
    /// Adds a file as it was listed, with its stamp.
    pub fn add(&self, store: &str, listed: &ObjectMeta) {
        let key = (bare_store(store).to_owned(), listed.location.clone());
        self.pins.write().unwrap_or_else(PoisonError::into_inner).insert(key, listed.clone());
    }

    fn get(&self, store: &str, location: &Path) -> Option<ObjectMeta> {
        let key = (store.to_owned(), location.clone());
        self.pins.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

/// The same file with a stamp in place of its time: a number that differs if its store, tag, size or, without a tag, its
/// time differs. DataFusion's caches of footers and statistics go by path, size and time alone; two stores may have the
/// same path, and stores that tell whole seconds the same time twice.
pub fn stamped(store: &str, mut meta: ObjectMeta) -> ObjectMeta {
    meta.last_modified = stamp(store, &meta);
    meta
}

fn stamp(store: &str, meta: &ObjectMeta) -> DateTime<Utc> {
    let mut hash = Sha256::new();
    hash.update(bare_store(store).as_bytes());
    hash.update([0]);
    match &meta.e_tag {
        Some(tag) => hash.update(bare_tag(tag).as_bytes()),
        // Some servers give the time in whole seconds here and more exactly there.
        None => hash.update(meta.last_modified.timestamp().to_le_bytes()),
    }
    hash.update(meta.size.to_le_bytes());
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    DateTime::from_timestamp_nanos((u64::from_le_bytes(first) >> 1) as i64)
}

/// Whether what a store says now is about the file that was listed.
fn is_still(listed: &ObjectMeta, store: &str, found: &ObjectMeta) -> bool {
    listed.size == found.size
        && match (&listed.e_tag, &found.e_tag) {
            (Some(listed), Some(found)) => bare_tag(listed) == bare_tag(found),
            (Some(_), None) => true,
            (None, _) => listed.last_modified == stamp(store, &ObjectMeta { e_tag: None, ..found.clone() }),
        }
}

/// Listings and answers quote tags differently.
fn bare_tag(tag: &str) -> &str {
    tag.trim_start_matches("W/").trim_matches('"')
}

/// Gives out stores that keep to the pins.
#[derive(Debug)]
pub struct PinnedStores {
    inner: Arc<dyn ObjectStoreRegistry>,
    pins: Arc<Pins>,
}

impl PinnedStores {
    /// The stores of `inner`, kept to the pins.
    pub fn new(inner: Arc<dyn ObjectStoreRegistry>, pins: Arc<Pins>) -> Self {
        Self { inner, pins }
    }
}

impl ObjectStoreRegistry for PinnedStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.inner.register_store(url, store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        let inner = self.inner.get_store(url)?;
        Ok(Arc::new(PinnedStore { inner, store: store_key(url), pins: Arc::clone(&self.pins) }))
    }
}

#[derive(Debug)]
struct PinnedStore {
    inner: Arc<dyn ObjectStore>,
    store: String,
    pins: Arc<Pins>,
}

impl PinnedStore {
    fn pin(&self, location: &Path) -> Option<ObjectMeta> {
        self.pins.get(&self.store, location)
    }

    /// The bytes of a local file. It may be written over while it is read: they count only if it is the same behind the read.
    async fn read_at_rest(&self, location: &Path, pin: &ObjectMeta, result: GetResult) -> Result<GetResult> {
        let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
        let bytes = result.bytes().await?;
        let head = GetOptions { head: true, ..GetOptions::default() };
        match self.inner.get_opts(location, head).await {
            Ok(now) if is_still(pin, &self.store, &now.meta) => {
                let payload = GetResultPayload::Stream(stream::once(std::future::ready(Ok(bytes))).boxed());
                Ok(GetResult { payload, meta, range, attributes })
            }
            Ok(_) => Err(self.error(location, "has changed")),
            Err(Error::NotFound { .. }) => Err(self.error(location, "has vanished")),
            Err(error) => Err(error),
        }
    }

    fn error(&self, location: &Path, what: &str) -> Error {
        let file = file_name(&self.store, location);
        let error = windrow_common::Error::user(format!(
            "{file} {what} since the statement was planned; nothing of it was used. Run the statement again"
        ));
        Error::Generic { store: "windrow", source: Box::new(error) }
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(pin) = self.pin(location) else { return self.inner.get_opts(location, options).await };
        let past_the_end = |range: &GetRange| matches!(range, GetRange::Bounded(range) if range.end > pin.size);
        if options.range.as_ref().is_some_and(past_the_end) {
            return Err(self.error(location, "was thought to be longer than it was"));
        }
        let reads = !options.head && matches!(options.range, Some(GetRange::Bounded(_)));
        match self.inner.get_opts(location, options).await {
            Ok(result) if is_still(&pin, &self.store, &result.meta) => match result.payload {
                GetResultPayload::File(..) if reads => self.read_at_rest(location, &pin, result).await,
                _ => Ok(result),
            },
            Ok(_) => Err(self.error(location, "has changed")),
            Err(Error::NotFound { .. }) => Err(self.error(location, "has vanished")),
            Err(error) => {
                // A shorter file answers a range behind its end with an error of its own.
                match self.inner.get_opts(location, GetOptions { head: true, ..GetOptions::default() }).await {
                    Ok(now) if !is_still(&pin, &self.store, &now.meta) => Err(self.error(location, "has changed")),
                    _ => Err(error),
                }
            }
        }
    }

    /// Near ranges are read at once, and a bounded number of reads run at a time.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.pin(location).is_none() {
            return self.inner.get_ranges(location, ranges).await;
        }
        let merged = merged(ranges);
        let reads = merged.iter().cloned().map(|range| async move {
            let result =
                self.get_opts(location, GetOptions { range: Some(range.clone().into()), ..GetOptions::default() });
            let bytes = result.await?.bytes().await?;
            Ok::<_, Error>((range, bytes))
        });
        let read: Vec<(Range<u64>, Bytes)> =
            futures::stream::iter(reads).buffered(limits::STORE_RANGES_AT_ONCE).try_collect().await?;
        ranges
            .iter()
            .map(|range| {
                let found = read.iter().find(|(whole, _)| whole.start <= range.start && range.end <= whole.end);
                let slice = found.and_then(|(whole, bytes)| {
                    let start = (range.start - whole.start) as usize;
                    let end = (range.end - whole.start) as usize;
                    (end <= bytes.len()).then(|| bytes.slice(start..end))
                });
                slice.ok_or_else(|| self.error(location, "was cut short"))
            })
            .collect()
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// Ranges with small gaps between them become one; none becomes too large for that.
fn merged(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = vec![];
    for range in sorted {
        match merged.last_mut() {
            Some(last)
                if range.end <= last.end
                    || (range.start <= last.end.saturating_add(limits::STORE_RANGE_GAP)
                        && range.end - last.start <= limits::STORE_MERGED_RANGE) =>
            {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    fn ranges(ranges: &[(u64, u64)]) -> Vec<Range<u64>> {
        ranges.iter().map(|(a, b)| *a..*b).collect()
    }

    #[test]
    fn near_ranges_are_merged_and_far_ones_are_not() {
        let gap = limits::STORE_RANGE_GAP;
        assert_eq!(merged(&ranges(&[(10, 20), (0, 5), (20, 30), (12, 13)])), ranges(&[(0, 30)]));
        assert_eq!(merged(&ranges(&[(0, 10), (11 + gap, 12 + gap)])), ranges(&[(0, 10), (11 + gap, 12 + gap)]));
        let most = limits::STORE_MERGED_RANGE;
        assert_eq!(merged(&ranges(&[(0, most), (most, most + 1)])), ranges(&[(0, most), (most, most + 1)]));
    }

    async fn pinned(path: &Path) -> (Arc<InMemory>, PinnedStore) {
        let inner = Arc::new(InMemory::new());
        inner.put(path, "0123456789".into()).await.unwrap();
        let pins = Arc::new(Pins::default());
        pins.add("s3://b/", &stamped("s3://b/", inner.head(path).await.unwrap()));
        (Arc::clone(&inner), PinnedStore { inner, store: "s3://b".into(), pins })
    }

    #[tokio::test]
    async fn a_file_that_changes_between_two_reads_is_an_error() {
        let path = Path::from("a/x.csv");
        let (inner, store) = pinned(&path).await;
        assert_eq!(store.get_range(&path, 2..4).await.unwrap(), "23");
        assert_eq!(store.get_ranges(&path, &[0..1, 8..10]).await.unwrap(), ["0", "89"]);
        inner.put(&path, "9876543210".into()).await.unwrap();
        for error in [
            store.get_range(&path, 2..4).await.unwrap_err(),
            store.get_ranges(&path, &[0..1, 3..4]).await.unwrap_err(),
            store.get(&path).await.unwrap_err(),
            store.head(&path).await.unwrap_err(),
        ] {
            let error = crate::error::classify(&DataFusionError::ObjectStore(Box::new(error)));
            assert_eq!(error.kind, windrow_common::ErrorKind::User);
            assert!(error.message.contains("s3://b/a/x.csv has changed"), "{error}");
        }
    }

    /// A file system in which somebody writes over a file as soon as it is open.
    #[derive(Debug)]
    struct Overwriting {
        inner: object_store::local::LocalFileSystem,
        file: std::path::PathBuf,
        contents: &'static [u8],
    }

    impl fmt::Display for Overwriting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Overwriting")
        }
    }

    #[async_trait]
    impl ObjectStore for Overwriting {
        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            let head = options.head;
            let result = self.inner.get_opts(location, options).await?;
            if !head && !self.contents.is_empty() {
                // In place: who has opened it reads the new bytes, and it is as long as it was.
                std::fs::write(&self.file, self.contents).unwrap();
                let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
                std::fs::File::options().write(true).open(&self.file).unwrap().set_modified(later).unwrap();
            }
            Ok(result)
        }

        async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
            Err(Error::NotImplemented { operation: "put".into(), implementer: "test".into() })
        }

        async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
            Err(Error::NotImplemented { operation: "put".into(), implementer: "test".into() })
        }

        fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            locations
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_local_file_that_is_written_over_while_it_is_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.csv");
        let path = Path::from_absolute_path(&file).unwrap();
        for contents in [b"".as_slice(), b"9876543210"] {
            std::fs::write(&file, "0123456789").unwrap();
            let local = object_store::local::LocalFileSystem::new();
            let pins = Arc::new(Pins::default());
            pins.add("file://", &stamped("file://", local.head(&path).await.unwrap()));
            let inner = Arc::new(Overwriting { inner: local, file: file.clone(), contents });
            let store = PinnedStore { inner, store: "file://".into(), pins };
            let read = store.get_ranges(&path, &[2..4, 8..10]).await;
            if contents.is_empty() {
                assert_eq!(read.unwrap(), ["23", "89"]);
                assert_eq!(store.get_range(&path, 2..4).await.unwrap(), "23");
            } else {
                let error = read.unwrap_err().to_string();
                assert!(error.contains("x.csv has changed"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_or_vanishes_is_an_error_that_says_so() {
        let path = Path::from("x.csv");
        let (inner, store) = pinned(&path).await;
        inner.put(&path, "01".into()).await.unwrap();
        let error = store.get_range(&path, 5..8).await.unwrap_err().to_string();
        assert!(error.contains("has changed"), "{error}");
        inner.delete(&path).await.unwrap();
        let error = store.get_range(&path, 5..8).await.unwrap_err().to_string();
        assert!(error.contains("has vanished"), "{error}");
    }
}

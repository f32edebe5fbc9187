//! Listings of many files: bounded, at one moment, or an error.

use std::fmt;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result as StoreResult,
};

use super::*;

/// Files that a listing may hold.
const WINDOW: usize = 10_000;

/// Called when this many files have been listed.
type When = Arc<dyn Fn(usize) + Send + Sync>;

/// A store whose listings have so many files that nobody should keep them: `numbered` files, among those that lie in an
/// ordinary store.
#[derive(Clone)]
struct Endless {
    inner: InMemory,
    /// What the numbered files' names begin with.
    begin: &'static str,
    numbered: usize,
    /// Files that listings have given out, and requests for one directory.
    given: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
    when: When,
}

impl Endless {
    fn new(begin: &'static str, numbered: usize) -> Self {
        let (given, looks) = (Arc::default(), Arc::default());
        Self { inner: InMemory::new(), begin, numbered, given, looks, when: Arc::new(|_| {}) }
    }

    async fn put(&self, name: &str, contents: &str) {
        self.inner.put(&StorePath::from(name), contents.to_owned().into()).await.unwrap();
    }

    fn name_of(&self, number: usize) -> StorePath {
        StorePath::from(format!("{}-{number:09}.parquet", self.begin))
    }

    /// All files below a prefix that is not inside the numbered ones' directory, in the order of their names.
    async fn listed(self, prefix: StorePath) -> StoreResult<BoxStream<'static, StoreResult<ObjectMeta>>> {
        let others: Vec<ObjectMeta> = self.inner.list(Some(&prefix)).try_collect().await?;
        let Some(like) = others.first().cloned() else { return Ok(stream::iter([]).boxed()) };
        let numbered = if self.name_of(0).prefix_matches(&prefix) { self.numbered } else { 0 };
        let (before, behind): (Vec<_>, Vec<_>) = others.into_iter().partition(|m| m.location < self.name_of(0));
        let names = self.clone();
        let files = (0..numbered).map(move |number| ObjectMeta { location: names.name_of(number), ..like.clone() });
        let all = before.into_iter().chain(files).chain(behind);
        let given = all.map(move |meta| {
            (self.when)(self.given.fetch_add(1, Ordering::Relaxed));
            Ok(meta)
        });
        Ok(stream::iter(given).boxed())
    }

    fn visible(&self) -> VisibleStore {
        VisibleStore::new(Arc::new(self.clone()))
    }
}

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endless")
    }
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endless")
    }
}

#[async_trait]
impl ObjectStore for Endless {
    async fn put_opts(&self, location: &StorePath, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<StorePath>>,
    ) -> BoxStream<'static, StoreResult<StorePath>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        stream::once(self.clone().listed(prefix.cloned().unwrap_or_default())).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> StoreResult<ListResult> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &StorePath, to: &StorePath, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A decision that is carried out, as far as a reader of the log can see.
fn decided(store: &InMemory, table: &str, sequence: u64) {
    let published = format!("{table}/_windrow/{sequence:020}-test-{:032x}-0-0.published", sequence);
    let manifest = format!("{table}/_windrow/{sequence:020}.manifest");
    for name in [manifest, published] {
        futures::executor::block_on(store.put(&StorePath::from(name), "{}".into())).unwrap();
    }
}

#[tokio::test]
async fn many_files_stream_through_a_bounded_window() {
    let store = Endless::new("t/year=2024/n", 200_000);
    store.put("t/year=2024/a.parquet", "").await;
    store.put("t/z.parquet", "").await;
    decided(&store.inner, "t", 1);
    let mut files = store.visible().list(Some(&StorePath::from("t")));
    let (mut seen, mut most, mut last) = (0, 0, None);
    while let Some(file) = files.try_next().await.unwrap() {
        most = most.max(store.given.load(Ordering::Relaxed) - seen);
        seen += 1;
        assert!(last.as_ref().is_none_or(|last| *last < file.location), "in order, each once: {}", file.location);
        last = Some(file.location);
    }
    assert_eq!(seen, 200_002);
    assert!(most <= WINDOW + 10, "{most} files were held at once");
    assert!(most > WINDOW / 2, "the window was never used: the test shows nothing");
    assert!(store.looks.load(Ordering::Relaxed) < 20, "logs are looked for where files are given out early only");
}

#[tokio::test]
async fn a_decision_during_a_short_listing_is_not_noticed_and_during_a_long_one_it_is_an_error() {
    for (numbered, fails) in [(WINDOW / 2, false), (WINDOW * 2, true)] {
        let mut store = Endless::new("t/n", numbered);
        store.put("t/a.parquet", "").await;
        decided(&store.inner, "t", 1);
        let inner = store.inner.clone();
        // The new generation's file is listed, if at all, before the decision.
        store.when = Arc::new(move |given| {
            if given == numbered - 10 {
                futures::executor::block_on(inner.put(&StorePath::from("t/b.parquet"), "".into())).unwrap();
                decided(&inner, "t", 2);
            }
        });
        let listed = store.visible().list(Some(&StorePath::from("t"))).try_collect::<Vec<_>>().await;
        match listed {
            Ok(files) => {
                assert!(!fails);
                assert_eq!(files.len(), numbered + 2, "all of the later state");
            }
            Err(error) => assert!(fails && error.to_string().contains("try again"), "{error}"),
        }
    }
}

#[tokio::test]
async fn tables_below_a_long_listing_are_read_with_their_logs() {
    // One that is met early, one behind all that is given out, and one inside of that.
    for numbered in [10, WINDOW * 3] {
        let store = Endless::new("d/big/n", numbered);
        for table in ["d/a", "d/c", "d/c/inner"] {
            store.put(&format!("{table}/a.parquet"), "").await;
            store.put(&format!("{table}/z.parquet"), "").await;
            decided(&store.inner, table, 1);
        }
        store.put("d/z.parquet", "").await;
        let listed: Vec<_> = store.visible().list(Some(&StorePath::from("d"))).try_collect().await.unwrap();
        let mut names: Vec<_> = listed.iter().map(|m| m.location.as_ref()).collect();
        names.sort();
        let small: Vec<_> = names.iter().filter(|name| !name.contains("/n-")).copied().collect();
        let tables = ["d/a/a.parquet", "d/a/z.parquet", "d/c/a.parquet", "d/c/inner/a.parquet", "d/c/inner/z.parquet"];
        assert_eq!(small, [&tables[..], &["d/c/z.parquet", "d/z.parquet"]].concat());
        names.dedup();
        assert_eq!(names.len(), numbered + 7, "each once");
    }
}

#[tokio::test]
async fn a_large_table_below_the_prefix_is_listed_by_itself() {
    // Its log is behind more files than are held, as names with capitals are.
    let mut store = Endless::new("d/T/N", WINDOW * 3);
    store.put("d/a.parquet", "").await;
    store.put("d/T/z.parquet", "").await;
    decided(&store.inner, "d/T", 1);
    let files: Vec<_> = store.visible().list(Some(&StorePath::from("d"))).try_collect().await.unwrap();
    assert_eq!(files.len(), WINDOW * 3 + 2);
    let heads = files.iter().filter(|m| m.location.as_ref() == "d/T/z.parquet").count();
    assert_eq!(heads, 1);
    // A decision there is noticed, though the listing began above.
    let inner = store.inner.clone();
    let given = store.given.load(Ordering::Relaxed);
    store.when = Arc::new(move |now| {
        if now == given + WINDOW * 5 {
            decided(&inner, "d/T", 2);
        }
    });
    let listed = store.visible().list(Some(&StorePath::from("d"))).try_collect::<Vec<_>>().await;
    assert!(listed.is_err_and(|e| e.to_string().contains("try again")));
}

#[tokio::test]
async fn a_listing_passes_over_what_is_replaced_and_adds_what_is_decided() {
    // The window is left long before the listing ends.
    let lab = Lab::local();
    lab.write("t", SinkMode::Append, 0..10).await;
    for number in 0..WINDOW + 1000 {
        std::fs::write(lab.directory().join(format!("t/foreign-{number:05}.txt")), "").unwrap();
    }
    let spec = lab.spec("t", SinkMode::Overwrite);
    let staged = lab.stage(&spec, 10..30).await;
    assert!(lab.die_after(&spec, &staged, 1).await);
    let names = lab.listed("t").await;
    assert_eq!(names.len(), WINDOW + 1000 + 2);
    let parquet: Vec<_> = names.into_iter().filter(|name| name.ends_with(".parquet")).collect();
    let mut decided: Vec<_> = staged.into_iter().map(|f| f.name).collect();
    decided.sort();
    assert_eq!(parquet, decided);
}

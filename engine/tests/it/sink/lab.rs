//! A place to try writes in: a directory of this machine, or a bucket in memory. What holds in one holds in the other.

use windrow_common::time::Clock;
use windrow_engine::sink::{CleanOptions, CleanReport, Ending, PublishSummary, Target};

use super::*;

/// How long a test waits for what happens in the background.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place.
pub struct Lab {
    /// The stores that its writers know.
    pub stores: Arc<Stores>,
    pub kind: Kind,
}

pub enum Kind {
    Local(TempDir),
    Bucket(TestStore),
}

impl Lab {
    /// One of each kind.
    pub fn each() -> [Lab; 2] {
        [Lab::local(), Lab::bucket()]
    }

    /// A directory.
    pub fn local() -> Self {
        Self { stores: Arc::default(), kind: Kind::Local(TempDir::new().unwrap()) }
    }

    /// A bucket.
    pub fn bucket() -> Self {
        Self::over(TestStore::new(false))
    }

    /// A bucket of this store.
    pub fn over(store: TestStore) -> Self {
        let stores = Arc::new(Stores::default());
        stores.register(&Url::parse("s3://bucket").unwrap(), Arc::new(store.clone()));
        Self { stores, kind: Kind::Bucket(store) }
    }

    /// Whether it is a directory.
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Local(_))
    }

    /// The store of the bucket.
    pub fn store(&self) -> &TestStore {
        match &self.kind {
            Kind::Bucket(store) => store,
            Kind::Local(_) => panic!("a directory has no store"),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        match &self.kind {
            Kind::Local(dir) => dir.path(),
            Kind::Bucket(_) => panic!("a bucket is no directory"),
        }
    }

    /// A name in it, as a target of writes; "" is the place itself.
    pub fn target(&self, name: &str) -> String {
        let root = match &self.kind {
            Kind::Local(dir) => dir.path().to_str().unwrap().to_owned(),
            Kind::Bucket(_) => "s3://bucket/lab".to_owned(),
        };
        if name.is_empty() { root } else { format!("{root}/{name}") }
    }

    /// A name in it, as readers' stores know it.
    pub fn path(&self, name: &str) -> StorePath {
        let root = match &self.kind {
            Kind::Local(dir) => StorePath::from_absolute_path(dir.path()).unwrap(),
            Kind::Bucket(_) => StorePath::from("lab"),
        };
        if name.is_empty() { root } else { StorePath::parse(format!("{root}/{name}")).unwrap() }
    }

    /// What readers read.
    pub fn visible(&self) -> VisibleStore {
        match &self.kind {
            Kind::Local(_) => VisibleStore::local(),
            Kind::Bucket(store) => {
                VisibleStore::completing(Arc::new(store.clone()), Arc::new(store.clone()), "s3://bucket".into())
            }
        }
    }

    /// All that lies there.
    pub fn raw(&self) -> Arc<dyn ObjectStore> {
        match &self.kind {
            Kind::Local(_) => Arc::new(LocalFileSystem::new()),
            Kind::Bucket(store) => Arc::new(store.clone()),
        }
    }

    /// A write of a new job.
    pub fn spec(&self, name: &str, mode: SinkMode) -> SinkSpec {
        SinkSpec {
            cluster: "test".into(),
            job: unique(),
            statement: 0,
            sink: 0,
            target: self.target(name),
            layout: if name.ends_with(".parquet") { Layout::SingleFile } else { Layout::Directory },
            format: Format::default(),
            partition_by: vec![],
            gathers_partitions: true,
            mode,
            replaces_all: false,
            target_file_bytes: 0,
            nonce: unique(),
        }
    }

    /// See [`sink::prepare`].
    pub async fn prepare(&self, spec: &SinkSpec) -> Result<(), Error> {
        sink::prepare(&self.stores, spec).await
    }

    /// See [`sink::publish`].
    pub async fn publish(&self, spec: &SinkSpec, files: &[WrittenFile]) -> Result<PublishSummary, Error> {
        sink::publish(&self.stores, spec, files.to_vec()).await
    }

    /// See [`sink::abort`].
    pub async fn abort(&self, spec: &SinkSpec) -> Result<Ending, Error> {
        sink::abort(&self.stores, spec).await
    }

    /// See [`sink::recover`].
    pub async fn recover(&self, name: &str) -> Result<bool, Error> {
        sink::recover(&self.stores, &Target::parse(&self.target(name), Path::new("/")).unwrap()).await
    }

    /// See [`sink::clean`]; the time is `later` than it is.
    pub async fn clean(&self, name: &str, later: Duration, dry_run: bool) -> Result<CleanReport, Error> {
        let now = Duration::from_millis(windrow_common::time::unix_millis()) + later;
        let options =
            CleanOptions { older_than: Duration::from_secs(3600), now: SystemTime::UNIX_EPOCH + now, dry_run };
        sink::clean(&self.stores, &format!("{}/", self.target(name)), options).await
    }

    /// Rows `ids` in two partitions, staged by these attempts.
    pub async fn stage_as(&self, spec: &SinkSpec, ids: Range<i64>, attempts: [AttemptId; 2]) -> Vec<WrittenFile> {
        let middle = (ids.start + ids.end) / 2;
        self.prepare(spec).await.unwrap();
        rows::write(self, spec, &[ids.start..middle, middle..ids.end], &attempts).await
    }

    /// The same, each partition by an attempt of its own.
    pub async fn stage(&self, spec: &SinkSpec, ids: Range<i64>) -> Vec<WrittenFile> {
        self.stage_as(spec, ids, [attempt(), attempt()]).await
    }

    /// Rows `ids` in one partition, staged.
    pub async fn stage_one(&self, spec: &SinkSpec, ids: Range<i64>) -> Vec<WrittenFile> {
        self.prepare(spec).await.unwrap();
        rows::write(self, spec, &[ids], &[attempt()]).await
    }

    /// Rows `ids`, written and published.
    pub async fn write(&self, name: &str, mode: SinkMode, ids: Range<i64>) {
        let spec = self.spec(name, mode);
        let files = self.stage(&spec, ids.clone()).await;
        let summary = self.publish(&spec, &files).await.unwrap();
        assert_eq!(summary.rows, ids.count() as u64);
    }

    /// A file staged by hand in a directory of the target `table`, as a writer of Hive partitions does it.
    pub async fn stage_in(&self, spec: &SinkSpec, table: &str, directory: &str, contents: &[u8]) -> WrittenFile {
        let attempt = attempt();
        let part = format!("part-{:016x}-0-00007-000", (spec.job >> 64) as u64);
        let short = format!("{:016x}", (attempt.0 >> 64) as u64);
        let name = if self.is_local() { format!("{directory}/{part}") } else { format!("{directory}/{part}-{short}") }
            + ".parquet";
        let place = format!("_windrow/staging/{:032x}-0-0/{}", spec.job, attempt.long());
        let staged = format!("{place}/{directory}/part-00007-000.parquet");
        let bytes = contents.len() as u64;
        let upload = match &self.kind {
            Kind::Local(_) => {
                self.put(&format!("{table}/{staged}"), contents).await;
                None
            }
            Kind::Bucket(store) => {
                let path = self.path(&format!("{table}/{name}"));
                let id = store.create_multipart(&path).await.unwrap();
                let part = store.put_part(&path, &id, 0, contents.to_vec().into()).await.unwrap();
                let record = format!(r#"{{"name":"{name}","upload":"{id}","layout":"Directory"}}"#);
                self.put(&format!("{table}/{staged}"), record.as_bytes()).await;
                Some(Upload { id, parts: vec![part.content_id], bytes })
            }
        };
        WrittenFile { name, staged, rows: 1, bytes, upload, inode: None }
    }

    /// Puts a file there, whatever it is.
    pub async fn put(&self, name: &str, contents: &[u8]) {
        self.raw().put(&self.path(name), contents.to_vec().into()).await.unwrap();
    }

    /// The contents of a file.
    pub async fn get(&self, name: &str) -> Option<Bytes> {
        match self.raw().get(&self.path(name)).await {
            Ok(found) => Some(found.bytes().await.unwrap()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether it is there, hidden or not.
    pub async fn exists(&self, name: &str) -> bool {
        self.get(name).await.is_some()
    }

    /// Removes a file.
    pub async fn remove(&self, name: &str) {
        self.raw().delete(&self.path(name)).await.unwrap();
    }

    /// `count, sum, number of texts` of what a reader sees there.
    pub async fn read(&self, name: &str) -> Result<(i64, i64, i64), object_store::Error> {
        let (store, path) = (self.visible(), self.path(name));
        let files: Vec<ObjectMeta> = match name.ends_with(".parquet") {
            true => vec![store.head(&path).await?],
            false => store.list(Some(&path)).try_collect().await?,
        };
        let mut all = (0, 0, 0);
        for file in files.iter().filter(|file| belongs_to_a_table(&path, &file.location)) {
            let (rows, sum, texts) = rows::decode(store.get(&file.location).await?.bytes().await?);
            all = (all.0 + rows, all.1 + sum, all.2 + texts);
        }
        Ok(all)
    }

    /// Names that a reader's listing gives, in order, relative to the name.
    pub async fn listed(&self, name: &str) -> Vec<String> {
        let prefix = self.path(name);
        let files: Vec<ObjectMeta> = self.visible().list(Some(&prefix)).try_collect().await.unwrap();
        let relative =
            |file: &ObjectMeta| file.location.as_ref().strip_prefix(prefix.as_ref()).unwrap()[1..].to_owned();
        let mut names: Vec<String> = files.iter().map(relative).collect();
        names.sort();
        names
    }

    /// Everything there, hidden or not, with its contents; directories, where there are any, end with `/`.
    pub async fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        if let Kind::Local(dir) = &self.kind {
            return tree_of(dir.path());
        }
        let root = self.path("");
        let listed: Vec<ObjectMeta> = self.raw().list(Some(&root)).try_collect().await.unwrap();
        let mut files = BTreeMap::new();
        for file in listed {
            let name = file.location.as_ref()["lab/".len()..].to_owned();
            files.insert(name, self.raw().get(&file.location).await.unwrap().bytes().await.unwrap().to_vec());
        }
        files
    }

    /// Whether anything is staged, or is of use for a moment only.
    pub async fn is_staged(&self) -> bool {
        let passing = |path: &str| ["staging", ".staged", ".tmp", "probe"].iter().any(|part| path.contains(part));
        let uploads = matches!(&self.kind, Kind::Bucket(store) if store.uploads() > 0);
        uploads || self.tree().await.keys().any(|path| passing(path))
    }

    /// Waits until nothing is staged: uploads are aborted in the background.
    pub async fn until_nothing_is_staged(&self) {
        let clock = Clock::start();
        while self.is_staged().await {
            assert!(clock.now().since(Timestamp(0)) < PATIENCE, "{:?}", self.tree().await.keys());
            tokio::task::yield_now().await;
        }
    }

    /// Publishes and dies after the `n`th step; true if it came that far. For threads that may block.
    pub fn publish_until(&self, spec: &SinkSpec, files: &[WrittenFile], n: usize, seen: &mut dyn FnMut(&Step)) -> bool {
        die_after(&self.stores, spec, files, n, seen)
    }

    /// The same, in a runtime.
    pub async fn die_after(&self, spec: &SinkSpec, files: &[WrittenFile], n: usize) -> bool {
        let (stores, spec, files) = (Arc::clone(&self.stores), spec.clone(), files.to_vec());
        tokio::task::spawn_blocking(move || die_after(&stores, &spec, &files, n, &mut |_| {})).await.unwrap()
    }
}

fn die_after(
    stores: &Arc<Stores>,
    spec: &SinkSpec,
    files: &[WrittenFile],
    n: usize,
    seen: &mut dyn FnMut(&Step),
) -> bool {
    let mut steps = 0;
    let result = commit::publish_watched(stores, spec, files, &mut |step| {
        seen(&step);
        steps += 1;
        if steps > n { Err(Error::internal("crash")) } else { Ok(()) }
    });
    result.is_err_and(|e| e.message == "crash")
}

/// As readers of directories see it: Parquet files there and in partitions (`key=value`), not in other directories.
fn belongs_to_a_table(table: &StorePath, file: &StorePath) -> bool {
    let below: Vec<_> = file.prefix_match(table).into_iter().flatten().collect();
    let directories = &below[..below.len().saturating_sub(1)];
    file.as_ref().ends_with(".parquet") && directories.iter().all(|part| part.as_ref().contains('='))
}

fn tree_of(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                files.insert(name + "/", Vec::new());
                directories.push(path);
            } else {
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

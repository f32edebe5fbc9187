//! The store through which our readers see files: hidden ones not at all, and of every write either all or nothing.
//!
//! A listing answers with what the directory's log says at one moment:
//!
//! ```text
//!   read log ─► list ─► read log ─┬─ nothing decided meanwhile ─► (listed − replaced) + decided
//!      ▲                          └─ something decided ─┐
//!      └────────────────────────────────────────────────┘
//! ```
//!
//! With one undecided write or none, what is listed is at rest; with a pending one, its manifest says what to leave out
//! and what to add, wherever its publication stands. Only a new decision can disturb that, and it is noticed. A file
//! that is decided and not yet renamed is read from where it is staged. An upload that is decided and not yet completed
//! cannot be read: the reader completes it, as any writer that came by would, or waits for others to do it if it has no
//! right to. Otherwise this store never writes by itself; it passes on what others write. Paths that are named
//! explicitly are read as they are, hidden or not.

mod helping;
mod listing;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use self::helping::Helper;
use self::view::generic;

/// Times that a listing starts over because a write was decided while it ran.
const MAX_LISTING_ROUNDS: u32 = 100;

/// Shows published files only.
#[derive(Clone, Debug)]
pub struct VisibleStore {
    inner: Arc<dyn ObjectStore>,
    helper: Helper,
}

impl VisibleStore {
    /// Shows what is published in `inner`. Decided uploads are waited for.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { helper: Helper::waiting(Arc::clone(&inner)), inner }
    }

    /// The same, and completes decided uploads that are in the way. `shown` is the store for people: `s3://bucket`.
    pub fn completing(inner: Arc<dyn ObjectStore>, uploads: Arc<dyn MultipartStore>, shown: String) -> Self {
        Self { helper: Helper::completing(Arc::clone(&inner), uploads, shown), inner }
    }

    /// Shows what is published in this machine's file system.
    pub fn local() -> Self {
        Self::new(Arc::new(LocalFileSystem::new()))
    }

    /// Adds decided files that were not listed to the listing of one directory: the files themselves, or the
    /// subdirectories that they will make.
    async fn add_missing(
        &self,
        prefix: &Path,
        missing: BTreeMap<Path, (Path, String)>,
        files: &mut Vec<ObjectMeta>,
        directories: &mut Vec<Path>,
    ) -> Result<()> {
        for (location, (root, staged)) in missing {
            let mut parts = location.prefix_match(prefix).into_iter().flatten();
            match (parts.next(), parts.next()) {
                (Some(directory), Some(_)) => {
                    let directory = Path::parse(format!("{prefix}/{}", directory.as_ref()))?;
                    if !directories.contains(&directory) {
                        directories.push(directory);
                    }
                }
                _ => files.push(view::decided_meta(&self.inner, &root, &staged, &location).await?),
            }
        }
        Ok(())
    }

    /// Where a file is staged that is decided and not in its place; none if it is not decided. It may be in its place
    /// when this returns.
    async fn staged(&self, location: &Path) -> Result<Option<Path>> {
        self.helper.settled(&view::tables_of(location)).await?.staged(location)
    }
}

impl fmt::Display for VisibleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisibleStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for VisibleStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let first = self.inner.get_opts(location, options.clone()).await;
        let Err(Error::NotFound { .. }) = first else { return first };
        let Some(staged) = self.staged(location).await? else {
            // It may have come into its place while the log was read; then the log says nothing of it any more.
            return self.inner.get_opts(location, options).await;
        };
        match self.inner.get_opts(&staged, options.clone()).await {
            Ok(mut result) => {
                result.meta.location = location.clone();
                Ok(result)
            }
            // Renamed just now.
            Err(Error::NotFound { .. }) => self.inner.get_opts(location, options).await,
            Err(error) => Err(error),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let first = self.inner.get_ranges(location, ranges).await;
        let Err(Error::NotFound { .. }) = first else { return first };
        let Some(staged) = self.staged(location).await? else {
            return self.inner.get_ranges(location, ranges).await;
        };
        match self.inner.get_ranges(&staged, ranges).await {
            Err(Error::NotFound { .. }) => self.inner.get_ranges(location, ranges).await,
            result => result,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        listing::list(Arc::clone(&self.inner), self.helper.clone(), prefix.cloned().unwrap_or_default())
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).try_filter(move |m| std::future::ready(m.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let roots = view::ancestors(&prefix);
        for _ in 0..MAX_LISTING_ROUNDS {
            let view = self.helper.settled(&roots).await?;
            let ListResult { mut common_prefixes, objects } = self.inner.list_with_delimiter(Some(&prefix)).await?;
            if view.is_still(&self.inner, &roots).await? {
                common_prefixes.retain(|p| view::is_shown(&p.clone().join("x"), &prefix));
                let shown = |path: &Path| view::is_shown(path, &prefix);
                let mut missing = view.added(shown)?;
                let mut files = Vec::with_capacity(objects.len());
                for file in objects {
                    missing.remove(&file.location);
                    if shown(&file.location) && !view.is_replaced(&file.location) {
                        files.push(file);
                    }
                }
                self.add_missing(&prefix, missing, &mut files, &mut common_prefixes).await?;
                return Ok(ListResult { common_prefixes, objects: files });
            }
        }
        Err(busy(&prefix))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

fn busy(prefix: &Path) -> Error {
    generic(windrow_common::Error::io(format!(
        "'/{prefix}' is written to so often that it could not be listed at rest; try again"
    )))
}

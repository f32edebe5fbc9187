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
//! that is decided and not yet renamed is read from where it is staged. This store never writes to help; it passes on
//! what others write. Paths that are named explicitly are read as they are, hidden or not.

mod view;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use self::view::{View, generic};

/// Times that a listing starts over because a write was decided while it ran.
const MAX_LISTING_ROUNDS: u32 = 100;

/// Shows published files only. To be registered for `file://`.
#[derive(Clone, Debug)]
pub struct VisibleStore {
    inner: Arc<dyn ObjectStore>,
}

impl VisibleStore {
    /// Shows what is published in `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }

    /// Shows what is published in this machine's file system.
    pub fn local() -> Self {
        Self::new(Arc::new(LocalFileSystem::new()))
    }

    /// All visible files below the prefix, at one moment.
    async fn list_settled(self, prefix: Path) -> Result<Vec<ObjectMeta>> {
        let mut roots = view::ancestors(&prefix);
        for _ in 0..MAX_LISTING_ROUNDS {
            let before = View::read(&self.inner, &roots).await?;
            let listed: Vec<ObjectMeta> = self.inner.list(Some(&prefix)).try_collect().await?;
            let found = view::logs_among(&listed, &prefix);
            if !found.is_subset(&roots) {
                // Tables below the prefix have logs of their own: read them first.
                roots.extend(found);
                continue;
            }
            if before.is_still(&self.inner, &roots).await? {
                let listed = listed.into_iter().filter(|m| view::is_shown(&m.location, &prefix)).collect();
                let wanted = |path: &Path| view::is_shown(path, &prefix);
                return before.apply(&self.inner, listed, wanted).await;
            }
        }
        Err(busy(&prefix))
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
        let Some(staged) = view::staged_path(&self.inner, location).await? else { return first };
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
        let Some(staged) = view::staged_path(&self.inner, location).await? else { return first };
        match self.inner.get_ranges(&staged, ranges).await {
            Err(Error::NotFound { .. }) => self.inner.get_ranges(location, ranges).await,
            result => result,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = self.clone().list_settled(prefix.cloned().unwrap_or_default());
        stream::once(listing).map_ok(|files| stream::iter(files.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).try_filter(move |m| std::future::ready(m.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let roots = view::ancestors(&prefix);
        for _ in 0..MAX_LISTING_ROUNDS {
            let before = View::read(&self.inner, &roots).await?;
            let ListResult { mut common_prefixes, objects } = self.inner.list_with_delimiter(Some(&prefix)).await?;
            if before.is_still(&self.inner, &roots).await? {
                common_prefixes.retain(|p| view::is_shown(&p.clone().join("x"), &prefix));
                let decided = before.directories(&prefix)?;
                common_prefixes.extend(decided.into_iter().filter(|p| view::is_shown(&p.clone().join("x"), &prefix)));
                common_prefixes.sort();
                common_prefixes.dedup();
                let objects = objects.into_iter().filter(|m| view::is_shown(&m.location, &prefix)).collect();
                let wanted = |path: &Path| path.parent().unwrap_or_default() == prefix;
                let objects = before.apply(&self.inner, objects, wanted).await?;
                return Ok(ListResult { common_prefixes, objects });
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

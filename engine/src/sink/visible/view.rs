//! What the logs of some directories say at one moment, and what that makes of a listing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, Result};

use crate::sink::log::{Decision, EntryName, Manifest};
use crate::sink::{HIDDEN_DIRECTORY, is_hidden};

type Store = Arc<dyn ObjectStore>;

/// Where the logs of some directories stand.
pub(super) struct View {
    /// The last sequence number of each directory that has a log.
    last: BTreeMap<Path, u64>,
    /// Decisions that are perhaps not carried out yet.
    pending: Vec<(Path, Manifest)>,
}

impl View {
    /// Reads the logs of these directories; most have none.
    pub(super) async fn read(store: &Store, roots: &BTreeSet<Path>) -> Result<Self> {
        let mut view = View { last: BTreeMap::new(), pending: Vec::new() };
        for root in roots {
            let Some(head) = head(store, root).await? else { continue };
            view.last.insert(root.clone(), head.last);
            if !head.published {
                view.pending.push((root.clone(), read_manifest(store, root, head.last).await?));
            }
        }
        Ok(view)
    }

    /// Whether nothing has been decided since.
    pub(super) async fn is_still(&self, store: &Store, roots: &BTreeSet<Path>) -> Result<bool> {
        for root in roots {
            if head(store, root).await?.map(|h| h.last) != self.last.get(root).copied() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The directories right below the prefix in which there are decided files: those of new partitions may not be made yet.
    pub(super) fn directories(&self, prefix: &Path) -> Result<BTreeSet<Path>> {
        let mut directories = BTreeSet::new();
        for (root, manifest) in self.pending.iter().filter(|(_, m)| m.decision == Decision::Publish) {
            for file in &manifest.files {
                let location = below(root, &file.name)?;
                let Some(mut parts) = location.prefix_match(prefix) else { continue };
                if let (Some(first), Some(_)) = (parts.next(), parts.next()) {
                    directories.insert(prefix.clone().join(first));
                }
            }
        }
        Ok(directories)
    }

    /// Leaves out what is replaced and adds what is decided, as far as it is `wanted`.
    pub(super) async fn apply(
        self,
        store: &Store,
        listed: Vec<ObjectMeta>,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<Vec<ObjectMeta>> {
        let published: Vec<_> = self.pending.into_iter().filter(|(_, m)| m.decision == Decision::Publish).collect();
        if published.is_empty() {
            return Ok(listed);
        }
        let mut files: BTreeMap<Path, ObjectMeta> = listed.into_iter().map(|m| (m.location.clone(), m)).collect();
        for (root, manifest) in published {
            for name in &manifest.replaces {
                files.remove(&below(&root, name)?);
            }
            for file in &manifest.files {
                let location = below(&root, &file.name)?;
                if wanted(&location) && !files.contains_key(&location) {
                    let meta = decided_meta(store, &root, &file.staged, &location).await?;
                    files.insert(location, meta);
                }
            }
        }
        Ok(files.into_values().collect())
    }
}

/// The prefix and all directories above it.
pub(super) fn ancestors(prefix: &Path) -> BTreeSet<Path> {
    std::iter::successors(Some(prefix.clone()), Path::parent).collect()
}

/// The directories below the prefix that have a log among what was listed.
pub(super) fn logs_among(listed: &[ObjectMeta], prefix: &Path) -> BTreeSet<Path> {
    listed.iter().filter_map(|m| log_above(&m.location, prefix)).collect()
}

/// Whether no part of the path behind the prefix is hidden.
pub(super) fn is_shown(path: &Path, prefix: &Path) -> bool {
    let Some(parts) = path.prefix_match(prefix) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if is_hidden(part.as_ref(), parts.peek().is_some()) {
            return false;
        }
    }
    true
}

/// Where a file of this name is staged, if it is decided and not yet renamed.
pub(super) async fn staged_path(store: &Store, location: &Path) -> Result<Option<Path>> {
    let Some(directory) = location.parent() else { return Ok(None) };
    // The file may lie in a partition of the directory that has the log.
    let view = View::read(store, &ancestors(&directory)).await?;
    for (root, manifest) in &view.pending {
        for file in &manifest.files {
            if below(root, &file.name)? == *location {
                return below(root, &file.staged).map(Some);
            }
        }
    }
    Ok(None)
}

/// An error of ours as one of a store.
pub(super) fn generic(error: windrow_common::Error) -> Error {
    Error::Generic { store: "windrow", source: Box::new(error) }
}

struct Head {
    last: u64,
    published: bool,
}

async fn head(store: &Store, root: &Path) -> Result<Option<Head>> {
    let listed = store.list_with_delimiter(Some(&root.clone().join(HIDDEN_DIRECTORY))).await?;
    let (mut last, mut published) = (0, 0);
    for meta in &listed.objects {
        match EntryName::parse(meta.location.filename().unwrap_or_default()) {
            EntryName::Manifest(sequence) => last = last.max(sequence),
            EntryName::Published(sequence, _) => published = published.max(sequence),
            EntryName::Other => {}
        }
    }
    let last = last.max(published);
    Ok((last > 0).then_some(Head { last, published: published == last }))
}

async fn read_manifest(store: &Store, root: &Path, sequence: u64) -> Result<Manifest> {
    let path = root.clone().join(HIDDEN_DIRECTORY).join(Manifest::file_name(sequence));
    let bytes = store.get(&path).await?.bytes().await?;
    Manifest::parse(&bytes, path.as_ref()).map_err(generic)
}

async fn decided_meta(store: &Store, root: &Path, staged: &str, location: &Path) -> Result<ObjectMeta> {
    let meta = match store.head(&below(root, staged)?).await {
        Err(Error::NotFound { .. }) => store.head(location).await?,
        other => other?,
    };
    Ok(ObjectMeta { location: location.clone(), ..meta })
}

/// A manifest's path, relative to `root`, as a store's path. Names are taken as they are.
fn below(root: &Path, relative: &str) -> Result<Path> {
    Ok(Path::parse(format!("{root}/{relative}"))?)
}

fn log_above(path: &Path, prefix: &Path) -> Option<Path> {
    let mut root = prefix.clone();
    let mut parts = path.prefix_match(prefix)?.peekable();
    while let Some(part) = parts.next() {
        if part.as_ref() == HIDDEN_DIRECTORY {
            return Some(root);
        }
        if is_hidden(part.as_ref(), parts.peek().is_some()) {
            return None;
        }
        root = Path::parse(format!("{root}/{}", part.as_ref())).ok()?;
    }
    None
}

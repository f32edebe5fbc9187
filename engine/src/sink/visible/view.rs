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
    /// Decisions to publish that are perhaps not carried out yet.
    pending: Vec<(Path, Manifest)>,
    /// What they replace, and what is being taken back.
    replaced: BTreeSet<Path>,
}

impl View {
    /// Reads the logs of these directories; most have none.
    pub(super) async fn read(store: &Store, roots: &BTreeSet<Path>) -> Result<Self> {
        let mut view = View { last: BTreeMap::new(), pending: Vec::new(), replaced: BTreeSet::new() };
        for root in roots {
            let Some(head) = head(store, root).await? else { continue };
            view.last.insert(root.clone(), head.last);
            if head.published {
                continue;
            }
            let manifest = read_manifest(store, root, head.last).await?;
            if head.abandoned {
                // Its files are being taken back.
                for file in &manifest.files {
                    view.replaced.insert(below(root, &file.name)?);
                }
                continue;
            }
            if manifest.decision == Decision::Publish {
                for name in &manifest.replaces {
                    view.replaced.insert(below(root, name)?);
                }
                view.pending.push((root.clone(), manifest));
            }
        }
        Ok(view)
    }

    /// A directory whose decided files cannot be read before they are in their places.
    pub(super) fn unreadable(&self) -> Option<&Path> {
        let staged_as_uploads = |manifest: &Manifest| manifest.files.iter().any(|file| file.upload.is_some());
        self.pending.iter().find(|(_, manifest)| staged_as_uploads(manifest)).map(|(root, _)| root)
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

    /// Whether a file that lies there is replaced.
    pub(super) fn is_replaced(&self, location: &Path) -> bool {
        self.replaced.contains(location)
    }

    /// The decided files that are `wanted`, each with its root and staged name.
    pub(super) fn added(&self, wanted: impl Fn(&Path) -> bool) -> Result<BTreeMap<Path, (Path, String)>> {
        let mut added = BTreeMap::new();
        for (root, manifest) in &self.pending {
            for file in &manifest.files {
                let location = below(root, &file.name)?;
                if wanted(&location) {
                    added.insert(location, (root.clone(), file.staged.clone()));
                }
            }
        }
        Ok(added)
    }

    /// Where a file of this name is staged, if it is decided and perhaps not yet in its place.
    pub(super) fn staged(&self, location: &Path) -> Result<Option<Path>> {
        let added = self.added(|path| path == location)?;
        added.into_values().next().map(|(root, staged)| below(&root, &staged)).transpose()
    }
}

/// The prefix and all directories above it.
pub(super) fn ancestors(prefix: &Path) -> BTreeSet<Path> {
    std::iter::successors(Some(prefix.clone()), Path::parent).collect()
}

/// The directories in which a table may lie that has this file: the one that the file is in, and those above as long as
/// they are Hive partitions (`key=value`).
pub(super) fn tables_of(location: &Path) -> BTreeSet<Path> {
    let mut tables = BTreeSet::new();
    let mut directory = location.parent();
    while let Some(table) = directory {
        directory = table.filename().is_some_and(|name| name.contains('=')).then(|| table.parent()).flatten();
        tables.insert(table);
    }
    tables
}

/// Whether a file in a hidden directory is a decision, carried out or not.
pub(super) fn is_decision(location: &Path) -> bool {
    let in_log = location.parent().is_some_and(|directory| directory.filename() == Some(HIDDEN_DIRECTORY));
    in_log && EntryName::parse(location.filename().unwrap_or_default()) != EntryName::Other
}

/// Whether a directory has a log with anything in it.
pub(super) async fn has_log(store: &Store, root: &Path) -> Result<bool> {
    Ok(head(store, root).await?.is_some())
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

/// An error of ours as one of a store.
pub(super) fn generic(error: windrow_common::Error) -> Error {
    Error::Generic { store: "windrow", source: Box::new(error) }
}

struct Head {
    last: u64,
    published: bool,
    /// Whether the last decision was given up.
    abandoned: bool,
}

async fn head(store: &Store, root: &Path) -> Result<Option<Head>> {
    let listed = store.list_with_delimiter(Some(&root.clone().join(HIDDEN_DIRECTORY))).await?;
    let (mut last, mut published, mut abandoned) = (0, 0, 0);
    for meta in &listed.objects {
        match EntryName::parse(meta.location.filename().unwrap_or_default()) {
            EntryName::Manifest(sequence) => last = last.max(sequence),
            EntryName::Published(sequence, _) => published = published.max(sequence),
            EntryName::Abandoned(sequence) => abandoned = abandoned.max(sequence),
            EntryName::Other => {}
        }
    }
    let last = last.max(published);
    Ok((last > 0).then_some(Head { last, published: published == last, abandoned: abandoned == last }))
}

async fn read_manifest(store: &Store, root: &Path, sequence: u64) -> Result<Manifest> {
    let path = root.clone().join(HIDDEN_DIRECTORY).join(Manifest::file_name(sequence));
    let bytes = store.get(&path).await?.bytes().await?;
    Manifest::parse(&bytes, path.as_ref()).map_err(generic)
}

/// What is known of a decided file, in its place or on the way there.
pub(super) async fn decided_meta(store: &Store, root: &Path, staged: &str, location: &Path) -> Result<ObjectMeta> {
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

/// The directory whose log this file belongs to, if it does and the directory is shown below the prefix.
pub(super) fn log_above(path: &Path, prefix: &Path) -> Option<Path> {
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

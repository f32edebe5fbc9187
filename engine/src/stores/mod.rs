//! The object stores that statements and plans may name: where a location leads, who may use it, and the client that speaks
//! to it. One [`Stores`] belongs to a process; its clients are made once, when they are first needed, and shared by all
//! that it runs.
//!
//! ```text
//!  text ─► Location ─► Allowed? ─► Client (environment + file of stores; retries; bounded requests)
//!                                    │
//!                                    ├─► VisibleStore ─► planning: listing, footers
//!                                    │         └─► PinnedStore ─► an attempt: the files that were listed, or an error
//!                                    └─► WritableStore ─► sinks
//! ```

mod allowed;
mod client;
mod config;
mod connector;
mod location;
mod paged;
mod pinned;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use url::Url;
use windrow_common::config::StoreAccess;
use windrow_common::{Error, ErrorKind, Result, limits};

pub use allowed::Allowed;
pub use config::StoresConfig;
pub use location::{Location, file_name};
pub use pinned::{PinnedStores, Pins, stamped};

use crate::error::{classify_store, external};
use crate::sink::log::EntryName;
use crate::sink::{HIDDEN_DIRECTORY, VisibleStore};
use client::Client;

/// The stores of one process.
#[derive(Debug, Default)]
pub struct Stores {
    config: StoresConfig,
    allowed: Allowed,
    /// The threads for I/O; none: requests run where they are made.
    io: Option<Handle>,
    /// By `scheme://authority`.
    clients: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    client: Client,
    visible: Arc<dyn ObjectStore>,
    /// Whether it can be made again.
    connected: bool,
}

/// A place in an object store that can be written to; never a file system.
#[derive(Clone)]
pub struct WritableStore {
    /// The store itself: what is hidden in a [`crate::sink::VisibleStore`] is seen here.
    pub objects: Arc<dyn ObjectStore>,
    /// Its uploads, which nobody sees before they are completed.
    pub uploads: Arc<dyn MultipartStore>,
    /// The place in it.
    pub path: Path,
    /// The place as people write it, without secrets.
    pub shown: String,
}

impl fmt::Debug for WritableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WritableStore({})", self.shown)
    }
}

impl Stores {
    /// Stores reached as `config` says, as far as they are `allowed`, over the threads of `io`.
    pub fn new(config: StoresConfig, allowed: Allowed, io: Option<Handle>) -> Self {
        Self { config, allowed, io, clients: Mutex::default() }
    }

    /// Stores reached as the operator says; with `local_only`, all that uses them is on this machine.
    pub fn open(access: &StoreAccess, local_only: bool, io: Option<Handle>) -> Result<Arc<Self>> {
        let config = access.file.as_deref().map(StoresConfig::read).transpose()?.unwrap_or_default();
        let allowed = match access.allow.as_slice() {
            [] if local_only => Allowed::Everything,
            places => {
                let base = std::env::current_dir()
                    .map_err(|e| Error::io(format!("the current directory cannot be read: {e}")))?;
                Allowed::only(places, &base)?
            }
        };
        Ok(Arc::new(Self::new(config, allowed, io)))
    }

    /// Reads a location's text, and refuses it if the operator does not allow it. Relative paths start at `base`.
    pub fn locate(&self, text: &str, base: &FilePath) -> Result<Location> {
        let location = Location::parse(text, base)?;
        self.allowed.check(&location)?;
        Ok(location)
    }

    /// An error if a link leads from a listed place to one of its files that lies elsewhere, where nothing is allowed.
    /// `path` is that of a file.
    pub async fn check_listed<T: Sync>(&self, listed: &Location, files: &[T], path: fn(&T) -> &Path) -> Result<()> {
        if !listed.is_local() || matches!(self.allowed, Allowed::Everything) {
            return Ok(());
        }
        let files: Vec<Path> = files.iter().map(|file| path(file).clone()).collect();
        let (allowed, listed) = (self.allowed.clone(), listed.clone());
        let checked = tokio::task::spawn_blocking(move || allowed.check_listed(&listed, &files)).await;
        checked.map_err(|e| Error::internal(format!("looking for links stopped short: {e}")))?
    }

    /// The last decision of our writers about a place, and about each directory above it, and whether it was given up; 0
    /// where there is none. As long as it is the same, several listings see the same writes.
    pub async fn decisions(&self, place: &Location) -> Result<Vec<(u64, bool)>> {
        let objects = self.entry(place.store())?.client.objects;
        let directories = std::iter::successors(Some(place.path().clone()), Path::parent);
        let of_one = |directory: Path| {
            let objects = Arc::clone(&objects);
            async move {
                let listed = objects.list_with_delimiter(Some(&directory.join(HIDDEN_DIRECTORY))).await;
                let listed = match listed {
                    // The place is a file.
                    Err(error) if is_not_a_directory(&error) => return Ok((0, false)),
                    listed => listed.map_err(|e| classify_store(&e).context(place))?,
                };
                let sequence = |file: &ObjectMeta| match EntryName::parse(file.location.filename().unwrap_or_default())
                {
                    EntryName::Manifest(sequence) | EntryName::Published(sequence, _) => (sequence, false),
                    EntryName::Abandoned(sequence) => (sequence, true),
                    EntryName::Other => (0, false),
                };
                Ok::<_, Error>(listed.objects.iter().map(sequence).max().unwrap_or_default())
            }
        };
        futures::future::try_join_all(directories.map(of_one)).await
    }

    /// Enters a store; what was entered under its scheme and authority before is replaced.
    pub fn register<S: ObjectStore + MultipartStore>(&self, url: &Url, store: Arc<S>) {
        self.enter(store_key(url), Client::writable(store), false);
    }

    /// A place in an object store, to be written to; refused if the operator does not allow it.
    pub fn writable(&self, location: &Location) -> Result<WritableStore> {
        self.allowed.check(location)?;
        let entry = self.entry(location.store())?;
        let Client { objects, uploads: Some(uploads) } = entry.client else {
            return Err(Error::new(ErrorKind::Unsupported, format!("'{location}': nothing can be written there")));
        };
        Ok(WritableStore { objects, uploads, path: location.path().clone(), shown: location.to_string() })
    }

    /// A store through which published files are seen, by its scheme and authority.
    pub fn visible(&self, store: &str) -> Result<Arc<dyn ObjectStore>> {
        Ok(self.entry(store)?.visible)
    }

    /// Writes a file below a place, over what is there. Nobody sees a part of it.
    pub async fn put(&self, place: &Location, name: &str, contents: Vec<u8>) -> Result<()> {
        if place.is_local() {
            let path = std::path::PathBuf::from(format!("/{}/{name}", place.path()));
            let shown = path.display().to_string();
            let written = tokio::task::spawn_blocking(move || write_local(&path, &contents)).await;
            let written = written.map_err(|e| Error::internal(format!("writing '{shown}' stopped short: {e}")))?;
            return written.map_err(|e| Error::io(format!("cannot write '{shown}': {e}")));
        }
        let Client { objects, uploads: Some(_) } = self.entry(place.store())?.client else {
            return Err(Error::new(ErrorKind::Unsupported, format!("'{place}': nothing can be written there")));
        };
        let path = place.path().parts().chain(Path::from(name).parts()).collect::<Path>();
        let put = objects.put(&path, contents.into()).await;
        put.map(drop)
            .map_err(|e| classify_store(&e).context(format!("cannot write '{}'", file_name(place.store(), &path))))
    }

    fn entry(&self, store: &str) -> Result<Entry> {
        if let Some(entry) = self.lock().get(store) {
            return Ok(entry.clone());
        }
        let client = Client::connect(store, self.config.options(store), self.io.as_ref())?;
        Ok(self.enter(store.to_owned(), client, true))
    }

    fn enter(&self, key: String, client: Client, connected: bool) -> Entry {
        let objects = Arc::clone(&client.objects);
        let visible: Arc<dyn ObjectStore> = match client.uploads.clone() {
            Some(uploads) => Arc::new(VisibleStore::completing(objects, uploads, key.clone())),
            None => Arc::new(VisibleStore::new(objects)),
        };
        let entry = Entry { client, visible, connected };
        let mut clients = self.lock();
        clients.insert(key.clone(), entry.clone());
        if clients.len() > limits::STORE_CLIENTS {
            let other = clients.iter().find(|(other, entry)| entry.connected && **other != key);
            // Who uses it keeps it.
            if let Some(other) = other.map(|(other, _)| other.clone()) {
                clients.remove(&other);
            }
        }
        entry
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let visible = Arc::clone(&store);
        let entry = Entry { client: Client { objects: store, uploads: None }, visible, connected: false };
        self.lock().insert(store_key(url), entry).map(|before| before.visible)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        self.visible(&store_key(url)).map_err(external)
    }
}

/// Whether a directory was looked for where there is a file.
fn is_not_a_directory(error: &object_store::Error) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.any(|cause| cause.kind() == std::io::ErrorKind::NotADirectory)
}

fn write_local(path: &FilePath, contents: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(FilePath::new("/"));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::with_prefix_in(".", directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

/// Scheme and authority, without a password.
fn store_key(url: &Url) -> String {
    let mut bare = url.clone();
    // Fails for URLs without an authority, which have no password either.
    let _ = bare.set_password(None);
    format!("{}://{}", bare.scheme(), bare.authority())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_that_are_kept_are_bounded() {
        let stores = Stores::default();
        let url = Url::parse("a://kept").unwrap();
        stores.register(&url, Arc::new(object_store::memory::InMemory::new()));
        for index in 0..=limits::STORE_CLIENTS {
            let client = Client::writable(Arc::new(object_store::memory::InMemory::new()));
            stores.enter(format!("s3://{index}"), client, true);
        }
        let clients = stores.lock();
        assert_eq!(clients.len(), limits::STORE_CLIENTS);
        assert!(clients.contains_key("a://kept"));
        assert!(clients.contains_key(&format!("s3://{}", limits::STORE_CLIENTS)));
    }
}

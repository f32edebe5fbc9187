//! The object stores that statements and plans may name: where a URL leads, who may use it, and the client that speaks
//! to it. One [`Stores`] belongs to a process; its clients are made once and shared by all that it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme};
use url::Url;
use windrow_common::{Error, ErrorKind, Result};

/// The stores of one process.
#[derive(Debug, Default)]
pub struct Stores {
    /// By `scheme://authority`.
    clients: RwLock<BTreeMap<String, Client>>,
}

/// A store's client, in each of its roles.
#[derive(Clone)]
struct Client {
    objects: Arc<dyn ObjectStore>,
    uploads: Option<Arc<dyn MultipartStore>>,
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.objects)
    }
}

impl fmt::Debug for WritableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WritableStore({})", self.shown)
    }
}

impl Stores {
    /// Enters a store; what was entered under its scheme and authority before is replaced.
    pub fn register<S: ObjectStore + MultipartStore>(&self, url: &Url, store: Arc<S>) {
        let client = Client { objects: store.clone(), uploads: Some(store) };
        self.clients.write().unwrap_or_else(PoisonError::into_inner).insert(key(url), client);
    }

    /// The place that a URL of an object store (`s3://bucket/dir`) names, to be written to.
    pub fn writable(&self, url: &Url) -> Result<WritableStore> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let shown = shown(url);
        let found = clients.get(&key(url)).cloned();
        let Some(Client { objects, uploads: Some(uploads) }) = found else {
            return Err(Error::new(ErrorKind::Unsupported, format!("'{shown}' cannot be written to")));
        };
        let (_, path) = ObjectStoreScheme::parse(url).map_err(|e| Error::user(format!("'{shown}': {e}")))?;
        Ok(WritableStore { objects, uploads, path, shown })
    }
}

fn key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}

fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

//! Clients of object stores, made from the environment and the file of stores.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::list::PaginatedListStore;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::Handle;
use windrow_common::{Error, Result, limits};

use super::connector::Connector;
use super::paged::Paged;

/// A store's client, in each of its roles.
#[derive(Clone)]
pub(super) struct Client {
    /// Reads, lists, writes.
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Writes what nobody sees before it is complete; none where nothing can be written.
    pub(super) uploads: Option<Arc<dyn MultipartStore>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.objects)
    }
}

impl Client {
    /// A client in both roles.
    pub(super) fn writable<S: ObjectStore + MultipartStore>(store: Arc<S>) -> Self {
        Self { objects: Arc::clone(&store) as Arc<dyn ObjectStore>, uploads: Some(store) }
    }

    /// The client of a service that lists in pages.
    fn paged<S: ObjectStore + MultipartStore + PaginatedListStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { objects: Arc::new(Paged(Arc::clone(&store))), uploads: Some(store) }
    }

    /// Connects to a store, named by its scheme and authority. Nothing is sent yet.
    pub(super) fn connect(store: &str, options: BTreeMap<String, String>, io: Option<&Handle>) -> Result<Self> {
        let connector = Connector::new(io.cloned());
        let scheme = store.split("://").next().unwrap_or_default();
        let made = match scheme {
            "file" => Ok(Self { objects: Arc::new(LocalFileSystem::new()), uploads: None }),
            "s3" => s3(store, options, connector),
            "gs" => gcs(store, options, connector),
            "az" | "abfss" => azure(store, options, connector),
            "http" | "https" => web(store, &options, connector),
            _ => Err(Error::internal(format!("no client speaks {scheme}://"))),
        };
        made.map_err(|e| e.context(format!("store {store}")))
    }
}

fn s3(store: &str, options: BTreeMap<String, String>, connector: Connector) -> Result<Client> {
    let mut builder = AmazonS3Builder::from_env()
        .with_url(store)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), request_timeout());
    for (key, value) in renamed(options) {
        builder = builder.with_config(key_of::<AmazonS3ConfigKey>(&key)?, value);
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let builder = builder.with_retry(retries()).with_http_connector(connector);
    Ok(Client::paged(builder.build().map_err(refused)?))
}

fn gcs(store: &str, options: BTreeMap<String, String>, connector: Connector) -> Result<Client> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_url(store)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), request_timeout());
    for (key, value) in options {
        builder = builder.with_config(key_of::<GoogleConfigKey>(&key)?, value);
    }
    let builder = builder.with_retry(retries()).with_http_connector(connector);
    Ok(Client::paged(builder.build().map_err(refused)?))
}

fn azure(store: &str, options: BTreeMap<String, String>, connector: Connector) -> Result<Client> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_url(store)
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), request_timeout());
    for (key, value) in options {
        builder = builder.with_config(key_of::<AzureConfigKey>(&key)?, value);
    }
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let builder = builder.with_retry(retries()).with_http_connector(connector);
    Ok(Client::paged(builder.build().map_err(refused)?))
}

fn web(store: &str, options: &BTreeMap<String, String>, connector: Connector) -> Result<Client> {
    if let Some(key) = options.keys().next() {
        return Err(Error::user(format!("there is no option '{key}' for web servers; there are none")));
    }
    let options = ClientOptions::new().with_allow_http(true).with_timeout(limits::STORE_REQUEST_TIMEOUT);
    let builder = HttpBuilder::new().with_url(store).with_client_options(options);
    let client = builder.with_retry(retries()).with_http_connector(connector).build().map_err(refused)?;
    Ok(Client { objects: Arc::new(client), uploads: None })
}

/// What people call some options.
fn renamed(options: BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    options.into_iter().map(|(key, value)| match (key.as_str(), value.as_str()) {
        ("path_style", "true") => ("virtual_hosted_style_request".to_owned(), "false".to_owned()),
        ("path_style", "false") => ("virtual_hosted_style_request".to_owned(), "true".to_owned()),
        _ => (key, value),
    })
}

fn key_of<K: FromStr>(key: &str) -> Result<K> {
    key.parse()
        .map_err(|_| Error::user(format!("there is no option '{key}'; see the object_store crate's names of options")))
}

/// Settings that the client does not accept. Its text names the setting and no value of a secret one.
fn refused(error: object_store::Error) -> Error {
    Error::user(error.to_string())
}

fn request_timeout() -> String {
    format!("{}s", limits::STORE_REQUEST_TIMEOUT.as_secs())
}

/// Throttling (503 SlowDown, 429), 5xx and broken connections are tried again, ever more slowly and at random moments.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: limits::STORE_BACKOFF,
            max_backoff: limits::STORE_BACKOFF_MAX,
            base: 2.0,
        },
        max_retries: limits::STORE_RETRIES,
        retry_timeout: limits::STORE_RETRY_TIMEOUT,
    }
}

const _: () = assert!(limits::STORE_BACKOFF.as_millis() < limits::STORE_BACKOFF_MAX.as_millis());

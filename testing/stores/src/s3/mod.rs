//! A server that speaks the protocol of S3, path style, and verifies signatures.
//!
//! It has buckets, objects, conditional requests, listings of the second version, copies and uploads in parts. It has no
//! versions, tags, access lists or encryption: what it does not have it refuses with 501, so that no test believes in it.
//! Bodies in signed chunks are read, and the signature of the request is verified; those of the chunks are not.

mod bucket;
mod chunked;
mod config;
mod multipart;
mod object;
mod protocol;
mod refusal;
mod signature;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::config::Config;
pub(crate) use self::protocol::{Dialect, Guard, S3};
pub(crate) use self::refusal::Refusal;
pub(crate) use self::signature::hmac_sha256;
use crate::counters::Counters;
use crate::faults::Faults;
use crate::front::Front;

/// A running server; it is gone when dropped.
#[derive(Debug)]
pub struct S3Server {
    front: Front,
    store: Arc<S3>,
    config: Config,
}

impl S3Server {
    /// Starts one on a port of 127.0.0.1 that the system chooses.
    pub fn start(config: Config) -> io::Result<S3Server> {
        let store = Arc::new(S3::new(&config, Dialect::S3, config.guard()));
        let front = Front::start(store.clone())?;
        Ok(S3Server { front, store, config })
    }

    /// Where it is, without a slash at the end: the endpoint.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// The name of its bucket; of the first one, if it has more.
    pub fn bucket(&self) -> &str {
        self.config.first_bucket()
    }

    /// The access key that requests are signed for.
    pub fn access_key(&self) -> &str {
        &self.config.access_key
    }

    /// The secret that requests are signed with.
    pub fn secret_key(&self) -> &str {
        &self.config.secret_key
    }

    /// The variables with which other processes find it: those of the AWS tools and of `object_store`.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ENDPOINT", self.url()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.config.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.config.secret_key.clone()),
        ];
        variables.extend(self.config.session_token.iter().map(|token| ("AWS_SESSION_TOKEN", token.clone())));
        variables
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        self.front.faults()
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        self.front.counters()
    }

    /// Connections that were made so far: few, if clients are kept.
    pub fn connections(&self) -> u64 {
        self.front.connections()
    }

    /// What is written from now on is dated so much in the past.
    pub fn set_behind(&self, by: Duration) {
        self.store.clock().set_behind(by);
    }

    /// Stores an object, past all faults and counters.
    pub fn put(&self, key: &str, contents: impl Into<Bytes>) {
        self.store.put(self.bucket(), key, contents.into());
    }

    /// The contents of an object.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.store.get(self.bucket(), key).map(|object| object.body)
    }

    /// The ETag of an object, without quotes.
    pub fn etag(&self, key: &str) -> Option<String> {
        self.store.get(self.bucket(), key).map(|object| object.etag)
    }

    /// Deletes an object; whether it was there.
    pub fn delete(&self, key: &str) -> bool {
        self.store.delete(self.bucket(), key)
    }

    /// The keys of all objects but the synthetic ones, in order.
    pub fn keys(&self) -> Vec<String> {
        self.store.keys(self.bucket())
    }

    /// Key and id of the uploads that were begun and neither completed nor given up.
    pub fn uploads(&self) -> Vec<(String, String)> {
        self.store.uploads(self.bucket())
    }
}

//! A server that speaks the XML protocol of GCS, as `object_store` uses it: that of S3 with other names, generations
//! instead of ETags in conditions, and tokens that a service account has signed.

mod issuer;
mod rsa;

use std::io;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::issuer::Issuer;
use crate::counters::Counters;
use crate::faults::Faults;
use crate::front::Front;
use crate::s3::{Config, Dialect, Guard, S3};

/// The key of the service account, made for these tests and good for nothing else.
const KEY: &str = include_str!("key.pem");
const EMAIL: &str = "windrow@test.invalid";
const BUCKET: &str = "windrow";

/// A running server; it is gone when dropped.
#[derive(Debug)]
pub struct GcsServer {
    front: Front,
    store: Arc<S3>,
}

impl GcsServer {
    /// Starts one on a port of 127.0.0.1 that the system chooses, with the bucket `windrow`.
    pub fn start() -> io::Result<GcsServer> {
        let config = Config::default().buckets(&[BUCKET]);
        let store = Arc::new(S3::new(&config, Dialect::Gcs, Guard::Token(Issuer::new(EMAIL))));
        Ok(GcsServer { front: Front::start(store.clone())?, store })
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// The name of its bucket.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// The JSON file of the service account whose tokens are good here; it names this server.
    pub fn service_account(&self) -> String {
        let key = KEY.replace('\n', "\\n");
        format!(
            "{{\"type\":\"service_account\",\"private_key\":\"{key}\",\"private_key_id\":\"test\",\
             \"client_email\":\"{EMAIL}\",\"gcs_base_url\":\"{}\",\"disable_oauth\":false}}",
            self.url()
        )
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        self.front.faults()
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        self.front.counters()
    }

    /// Stores an object, past all faults and counters.
    pub fn put(&self, key: &str, contents: impl Into<Bytes>) {
        self.store.put(BUCKET, key, contents.into());
    }

    /// The contents of an object.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.store.get(BUCKET, key).map(|object| object.body)
    }

    /// The keys of all objects, in order.
    pub fn keys(&self) -> Vec<String> {
        self.store.keys(BUCKET)
    }

    /// Key and id of the uploads that were begun and neither completed nor given up.
    pub fn uploads(&self) -> Vec<(String, String)> {
        self.store.uploads(BUCKET)
    }
}

//! A server that speaks the protocol of Azure's blobs, as `object_store` uses it for an emulator: blobs, blocks, listings,
//! copies, batches of deletes, and requests signed with the key of an account. Leases, snapshots, tags and directories it
//! does not have.

mod batch;
mod blobs;
mod blocks;
mod shared_key;

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use self::blobs::Blobs;
use crate::counters::Counters;
use crate::faults::Faults;
use crate::front::Front;

/// The account and the key that every emulator has; they are no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "windrow";

/// A running server; it is gone when dropped.
#[derive(Debug)]
pub struct AzureServer {
    front: Front,
    blobs: Arc<Blobs>,
}

impl AzureServer {
    /// Starts one on a port of 127.0.0.1 that the system chooses, with the container `windrow`.
    pub fn start() -> io::Result<AzureServer> {
        let blobs = Arc::new(Blobs::new(ACCOUNT, KEY, CONTAINER));
        Ok(AzureServer { front: Front::start(blobs.clone())?, blobs })
    }

    /// Where the account is, without a slash at the end: the endpoint of a client.
    pub fn url(&self) -> String {
        format!("{}/{ACCOUNT}", self.front.url())
    }

    /// The name of the account.
    pub fn account(&self) -> &str {
        ACCOUNT
    }

    /// The key of the account, in Base64.
    pub fn access_key(&self) -> &str {
        KEY
    }

    /// The name of its container.
    pub fn container(&self) -> &str {
        CONTAINER
    }

    /// The variables with which other processes find it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", self.url()),
            ("AZURE_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        self.front.faults()
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        self.front.counters()
    }

    /// Stores a blob, past all faults and counters.
    pub fn put(&self, key: &str, contents: impl Into<Bytes>) {
        self.blobs.put(key, contents.into());
    }

    /// The contents of a blob.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.blobs.get(key)
    }

    /// The names of all blobs, in order.
    pub fn keys(&self) -> Vec<String> {
        self.blobs.keys()
    }
}

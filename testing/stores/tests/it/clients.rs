//! Clients of the servers, with few and quick retries.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3CopyIfNotExists};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use windrow_stores_testing::{AzureServer, GcsServer, S3Server};

/// What should have happened by then has not.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn retries(max_retries: usize) -> RetryConfig {
    let (init_backoff, max_backoff) = (Duration::from_millis(1), Duration::from_millis(10));
    RetryConfig {
        backoff: BackoffConfig { init_backoff, max_backoff, base: 2.0 },
        max_retries,
        retry_timeout: PATIENCE,
    }
}

pub fn s3_builder(server: &S3Server) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_endpoint(server.url())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(server.bucket())
        .with_access_key_id(server.access_key())
        .with_secret_access_key(server.secret_key())
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
}

/// A client that tries again so often.
pub fn s3(server: &S3Server, tries: usize) -> AmazonS3 {
    s3_builder(server).with_retry(retries(tries)).build().unwrap()
}

pub fn gcs(server: &GcsServer) -> GoogleCloudStorage {
    GoogleCloudStorageBuilder::new()
        .with_service_account_key(server.service_account())
        .with_bucket_name(server.bucket())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries(0))
        .build()
        .unwrap()
}

pub fn azure(server: &AzureServer, key: &str) -> MicrosoftAzure {
    MicrosoftAzureBuilder::new()
        .with_endpoint(server.url())
        .with_allow_http(true)
        .with_account(server.account())
        .with_access_key(key)
        .with_container_name(server.container())
        .with_retry(retries(0))
        .build()
        .unwrap()
}

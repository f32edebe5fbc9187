//! Files in stores: every format on every store, and stores that misbehave.

mod faults;
mod large;
mod matrix;

use tempfile::TempDir;
use windrow::Session;
use windrow_common::Error;
use windrow_common::config::StoreAccess;
use windrow_stores_testing::{Config, S3Server};
use windrow_suite::cluster::Cluster;

/// A bucket, and a cluster of two workers that can reach it.
struct Lake {
    server: S3Server,
    cluster: Cluster,
    session: Session,
    _file: TempDir,
}

impl Lake {
    async fn open(config: Config) -> Self {
        let server = S3Server::start(config.buckets(&["lake"])).unwrap();
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("stores.toml");
        let (url, key, secret) = (server.url(), server.access_key(), server.secret_key());
        let text = format!(
            "[[store]]\nurl = 's3://lake'\nendpoint = '{url}'\npath_style = true\nregion = 'us-east-1'\n\
             access_key_id = '{key}'\nsecret_access_key = '{secret}'\n"
        );
        std::fs::write(&path, text).unwrap();
        let access = StoreAccess { file: Some(path), allow: vec![] };
        let cluster = Cluster::start_with(2, 1, access).await.unwrap();
        let session = cluster.session(&[("windrow.fast_path", "off")]).await.unwrap();
        Self { server, cluster, session, _file: file }
    }

    async fn close(self) {
        self.session.close().await;
        self.cluster.wait_until_empty().await.unwrap();
        self.cluster.stop().await;
    }
}

/// The rows of a statement as text.
async fn rows(session: &Session, sql: &str) -> Result<Vec<String>, Error> {
    let (batches, _) = session.execute(sql).await?.collect().await?;
    Ok(crate::files::texts(&batches))
}

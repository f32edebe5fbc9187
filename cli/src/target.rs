//! Where a command's statements run: in this process, or at a coordinator.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use windrow::{Deployment, Session};
use windrow_common::{ByteSize, Result, config};

/// How long a session may take to end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// The arguments that say where statements run.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// Run on this cluster, for example grpc://127.0.0.1:7070; without it, in this process
    #[arg(long, value_name = "URL", conflicts_with_all = ["cores", "memory"])]
    pub connect: Option<String>,
    /// Cores to use in this process [default: all]
    #[arg(long, value_name = "N")]
    pub cores: Option<NonZeroU32>,
    /// Memory to use in this process, for example 4GiB [default: 70% of the machine's]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
}

impl Target {
    /// As a value for [`Session::open`].
    pub fn deployment(&self) -> Deployment {
        match &self.connect {
            Some(url) => Deployment::Remote { url: url.clone() },
            None => Deployment::Embedded {
                cores: self.cores.map_or_else(config::default_cores, NonZeroU32::get),
                memory: self.memory.unwrap_or_else(config::default_memory),
            },
        }
    }

    /// Opens a session there.
    pub async fn open(&self) -> Result<Session> {
        Session::open(self.deployment()).await
    }
}

/// Ends a session; what an embedded engine has put on disk goes with it.
pub async fn close(session: Session) {
    if tokio::time::timeout(CLOSE_PATIENCE, session.close()).await.is_err() {
        tracing::warn!("the session did not end within {} s", CLOSE_PATIENCE.as_secs());
    }
}

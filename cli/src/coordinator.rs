//! `windrow coordinator`: one coordinator, until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use windrow_common::Result;
use windrow_common::config::CoordinatorConfig;
use windrow_coordinator::Coordinator;

use crate::duration;
use crate::interrupt::Interrupt;
use crate::listen;
use crate::stdout::say;
use crate::store_options::StoreOptions;

const EXAMPLES: &str = "\
Example:
  windrow coordinator --listen 127.0.0.1:7070
  windrow worker --coordinator grpc://127.0.0.1:7070

It runs until SIGINT or SIGTERM. WINDROW_LOG=debug says more.";

/// `windrow coordinator`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CoordinatorCommand {
    /// Address for clients and workers; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = listen::DEFAULT)]
    pub listen: SocketAddr,
    /// Directory for tables made by CREATE TABLE AS [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub warehouse: Option<PathBuf>,
    /// How long a job waits for a worker when there is none, before it fails [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub no_worker_patience: Option<Duration>,
    /// What statements may read and write.
    #[command(flatten)]
    pub store_options: StoreOptions,
    /// Listen on an address that other machines can reach, without encryption and authentication
    #[arg(long)]
    pub insecure: bool,
}

impl CoordinatorCommand {
    /// Runs until told to stop.
    pub async fn run(self) -> Result<()> {
        let listen = listen::check(self.listen, self.insecure)?;
        let mut interrupt = Interrupt::listen()?;
        let defaults = CoordinatorConfig::default();
        let config = CoordinatorConfig {
            listen,
            warehouse: self.warehouse,
            stores: self.store_options.access(),
            no_worker_patience: self.no_worker_patience.unwrap_or(defaults.no_worker_patience),
            ..defaults
        };
        let handle = interrupt.or_cancelled(Coordinator::start_with(config, windrow_gateway::services())).await?;
        say(&format!("coordinator at grpc://{}", handle.addr()));
        interrupt.wait().await;
        handle.shutdown().await;
        Ok(())
    }
}

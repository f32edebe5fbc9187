//! `windrow coordinator`: one coordinator, until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use windrow_common::Result;
use windrow_common::config::CoordinatorConfig;
use windrow_coordinator::Coordinator;

use crate::interrupt::Interrupt;
use crate::listen;
use crate::stdout::say;

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
    /// Listen on an address that other machines can reach, without encryption and authentication
    #[arg(long)]
    pub insecure: bool,
}

impl CoordinatorCommand {
    /// Runs until told to stop.
    pub async fn run(self) -> Result<()> {
        let listen = listen::check(self.listen, self.insecure)?;
        let mut interrupt = Interrupt::listen()?;
        let config = CoordinatorConfig { listen, warehouse: self.warehouse, ..CoordinatorConfig::default() };
        let handle = interrupt.or_cancelled(Coordinator::start(config)).await?;
        say(&format!("coordinator at grpc://{}", handle.addr()));
        interrupt.wait().await;
        handle.shutdown().await;
        Ok(())
    }
}

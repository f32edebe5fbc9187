//! `windrow worker`: one worker, until told to stop.

use std::io::Read;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use windrow_common::config::{self, StoreAccess, WorkerConfig};
use windrow_common::{ByteSize, Result};
use windrow_worker::Worker;

use crate::interrupt::Interrupt;
use crate::listen;
use crate::stdout::say;

const EXAMPLES: &str = "\
Example:
  windrow worker --coordinator grpc://127.0.0.1:7070 --cores 4 --memory 8GiB

It runs until SIGINT or SIGTERM. WINDROW_LOG=debug says more.";

/// `windrow worker`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WorkerCommand {
    /// The coordinator to join
    #[arg(long, value_name = "URL")]
    pub coordinator: String,
    /// Tasks of one core that run at once [default: all cores]
    #[arg(long, value_name = "N")]
    pub cores: Option<NonZeroU32>,
    /// Memory budget, for example 4GiB [default: 70% of the machine's]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Address for other workers, which fetch data here; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Directory for data that does not fit the memory [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// File that says how object stores are reached
    #[arg(long, value_name = "FILE", env = config::STORES_VARIABLE)]
    pub stores: Option<PathBuf>,
    /// Listen on an address that other machines can reach, without encryption and authentication
    #[arg(long)]
    pub insecure: bool,
    /// Stop when stdin ends: whoever started this process and holds the other end has gone
    #[arg(long)]
    pub exit_with_parent: bool,
}

impl WorkerCommand {
    /// Runs until told to stop.
    pub async fn run(self) -> Result<()> {
        let config = WorkerConfig {
            slots: self.cores.map_or_else(config::default_cores, NonZeroU32::get),
            memory: self.memory.unwrap_or_else(config::default_memory),
            listen: listen::check(self.listen, self.insecure)?,
            scratch: self.scratch.unwrap_or_else(std::env::temp_dir),
            stores: StoreAccess { file: self.stores, allow: vec![] },
        };
        let mut interrupt = Interrupt::listen()?;
        let with_parent = self.exit_with_parent;
        let stop = async {
            tokio::select! {
                () = interrupt.wait() => {}
                () = parent_gone(), if with_parent => {}
            }
        };
        tokio::pin!(stop);
        let mut handle = tokio::select! {
            () = &mut stop => return Ok(()),
            started = Worker::start(config, &self.coordinator) => started?,
        };
        say(&format!("{} at {}, joined {}", handle.id(), handle.endpoint(), self.coordinator));
        let result = tokio::select! {
            () = &mut stop => Ok(()),
            result = handle.run_until_shutdown() => result,
        };
        handle.shutdown().await;
        result
    }
}

/// Returns when stdin ends.
async fn parent_gone() {
    let read_to_end = || {
        let (mut stdin, mut buffer) = (std::io::stdin().lock(), [0; 64]);
        while !matches!(stdin.read(&mut buffer), Ok(0) | Err(_)) {}
    };
    if tokio::task::spawn_blocking(read_to_end).await.is_err() {
        // The runtime is going down, and the worker with it.
        std::future::pending::<()>().await;
    }
}

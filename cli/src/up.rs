//! `windrow up`: a cluster on this machine, until told to stop.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use windrow_common::config::{self, CoordinatorConfig};
use windrow_common::{ByteSize, Result};
use windrow_coordinator::WorkerInfo;

use crate::duration;
use crate::interrupt::Interrupt;
use crate::listen;
use crate::local_cluster::{LocalCluster, LocalClusterConfig};
use crate::stdout::say;
use crate::store_options::StoreOptions;

/// How often it is looked whether a worker has died.
const WATCH: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  windrow up                       as many workers as cores, one core each
  windrow up --workers 2 --cores 4 --memory 8GiB
  windrow up --json                one line with addresses and process ids once all are ready

It runs until SIGINT or SIGTERM and then leaves no process behind.";

/// `windrow up`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct UpCommand {
    /// Worker processes [default: as many as the machine has cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroU32>,
    /// Cores of each worker
    #[arg(long, value_name = "N", default_value = "1")]
    pub cores: NonZeroU32,
    /// Memory of each worker, for example 4GiB [default: 70% of the machine's, divided]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Address for clients [default: 127.0.0.1:7070, or a free port if that is taken]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Directory for tables made by CREATE TABLE AS [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub warehouse: Option<PathBuf>,
    /// How long a job waits for a worker when there is none, before it fails [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub no_worker_patience: Option<Duration>,
    /// What statements may read and write.
    #[command(flatten)]
    pub store_options: StoreOptions,
    /// Print one line of JSON once all are ready, and nothing else
    #[arg(long)]
    pub json: bool,
    /// Listen on an address that other machines can reach, without encryption and authentication
    #[arg(long)]
    pub insecure: bool,
}

impl UpCommand {
    /// Runs until told to stop.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let mut cluster = interrupt.or_cancelled(LocalCluster::start(self.config()?)).await?;
        let result = self.serve(&mut cluster, &mut interrupt).await;
        cluster.shutdown().await;
        result
    }

    async fn serve(&self, cluster: &mut LocalCluster, interrupt: &mut Interrupt) -> Result<()> {
        let workers = cluster.workers().await?;
        if self.json {
            print_json(cluster, &workers)
        } else {
            print_text(cluster, &workers)
        }
        let mut ticks = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                biased;
                () = interrupt.wait() => return Ok(()),
                _ = ticks.tick() => {
                    for error in cluster.newly_dead().await {
                        crate::stderr::tell(&format!("warning: {error}"));
                    }
                }
            }
        }
    }

    fn config(&self) -> Result<LocalClusterConfig> {
        let workers = self.workers.map_or_else(config::default_cores, NonZeroU32::get);
        let mut config = LocalClusterConfig::new(workers, self.cores.get())?;
        config.memory = self.memory.unwrap_or(config.memory);
        config.show_log = true;
        let defaults = CoordinatorConfig::default();
        config.coordinator = CoordinatorConfig {
            listen: listen::check(self.listen.unwrap_or_else(listen::default_or_free), self.insecure)?,
            warehouse: self.warehouse.clone(),
            stores: self.store_options.access(),
            no_worker_patience: self.no_worker_patience.unwrap_or(defaults.no_worker_patience),
            ..defaults
        };
        Ok(config)
    }
}

fn print_json(cluster: &LocalCluster, workers: &[WorkerInfo]) {
    let workers: Vec<_> = workers.iter().map(|w| json!({"id": w.id.to_string(), "pid": w.pid})).collect();
    let line = json!({
        "flight_sql": cluster.url(),
        "coordinator": {"pid": std::process::id()},
        "workers": workers,
    });
    say(&line.to_string());
}

fn print_text(cluster: &LocalCluster, workers: &[WorkerInfo]) {
    say(&format!("coordinator      {}  (process {})", cluster.url(), std::process::id()));
    for worker in workers {
        let slots = if worker.slots == 1 { "1 core".to_owned() } else { format!("{} cores", worker.slots) };
        say(&format!("{}  {slots}  (process {})", worker.id, worker.pid));
    }
    say(&format!("\nReady. Try: windrow sql --connect {} -c 'SELECT 1'\nCtrl-C stops it.", cluster.url()));
}

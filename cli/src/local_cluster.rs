//! A cluster on this machine: the coordinator in this process, each worker a process of its own.
//!
//! ```text
//!   this process: Coordinator ◄──── grpc ──── worker process 1
//!        │    ▲                               worker process 2 …
//!        └────┴─ stdin (its end stops a worker), stderr (kept for messages)
//! ```

use std::path::PathBuf;
use std::time::Duration;

use windrow_common::config::{self, CoordinatorConfig};
use windrow_common::{ByteSize, Error, Result};
use windrow_coordinator::{Coordinator, CoordinatorHandle, WorkerInfo};

use crate::worker_process::{WorkerArguments, WorkerProcess};

/// How long workers may take until all are registered.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether one has died meanwhile.
const START_POLL: Duration = Duration::from_millis(50);

/// What a local cluster is made of.
#[derive(Clone, Debug)]
pub struct LocalClusterConfig {
    /// Worker processes.
    pub workers: u32,
    /// Cores of each.
    pub cores: u32,
    /// Budget of each.
    pub memory: ByteSize,
    /// Settings of the coordinator.
    pub coordinator: CoordinatorConfig,
    /// The binary that the workers run: `windrow`, or one that passes its arguments to [`crate::main`].
    pub program: PathBuf,
    /// Directory for spilled data.
    pub scratch: PathBuf,
    /// Whether what the workers log is shown as it comes.
    pub show_log: bool,
}

impl LocalClusterConfig {
    /// Workers that run this very binary; the machine's memory budget divided among them.
    pub fn new(workers: u32, cores: u32) -> Result<LocalClusterConfig> {
        let program = std::env::current_exe()
            .map_err(|error| Error::io(format!("cannot find the binary of this process: {error}")))?;
        Ok(LocalClusterConfig {
            workers,
            cores,
            memory: ByteSize(config::default_memory().0 / u64::from(workers.max(1))),
            coordinator: CoordinatorConfig::default(),
            program,
            scratch: std::env::temp_dir(),
            show_log: false,
        })
    }
}

/// A cluster on this machine. Call [`LocalCluster::shutdown`]; merely dropped, it kills the workers.
#[derive(Debug)]
pub struct LocalCluster {
    coordinator: CoordinatorHandle,
    processes: Vec<WorkerProcess>,
}

impl LocalCluster {
    /// Starts it and returns when all workers are registered.
    pub async fn start(config: LocalClusterConfig) -> Result<LocalCluster> {
        let coordinator = Coordinator::start_with(config.coordinator.clone(), windrow_gateway::services()).await?;
        let mut cluster = LocalCluster { coordinator, processes: Vec::new() };
        match cluster.start_workers(&config).await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.shutdown().await;
                Err(error)
            }
        }
    }

    async fn start_workers(&mut self, config: &LocalClusterConfig) -> Result<()> {
        let url = self.url();
        for _ in 0..config.workers {
            self.processes.push(WorkerProcess::start(WorkerArguments {
                program: &config.program,
                coordinator: &url,
                cores: config.cores,
                memory: config.memory,
                scratch: &config.scratch,
                stores: config.coordinator.stores.file.as_deref(),
                show_log: config.show_log,
            })?);
        }
        let (coordinator, processes) = (&self.coordinator, &mut self.processes);
        tokio::select! {
            joined = coordinator.wait_for_workers(config.workers as usize) => joined.map(drop),
            error = first_death(processes) => Err(error),
            () = tokio::time::sleep(START_PATIENCE) => {
                let here = coordinator.workers().await?.len();
                let (all, seconds) = (config.workers, START_PATIENCE.as_secs());
                Err(Error::unavailable(format!("only {here} of {all} workers joined within {seconds} s")))
            }
        }
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.coordinator.addr())
    }

    /// The workers that are connected now.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.coordinator.workers().await
    }

    /// The workers that have died since the last call, with what they said last.
    pub async fn newly_dead(&mut self) -> Vec<Error> {
        let mut dead = Vec::new();
        let mut index = 0;
        while index < self.processes.len() {
            match self.processes[index].exit_status() {
                Some(status) => dead.push(self.processes.remove(index).died(status).await),
                None => index += 1,
            }
        }
        dead
    }

    /// Stops the workers, then the coordinator, and returns when no process is left.
    pub async fn shutdown(mut self) {
        for process in &mut self.processes {
            process.ask_to_stop();
        }
        for process in self.processes {
            process.stopped().await;
        }
        self.coordinator.shutdown().await;
    }
}

/// Returns when one of the processes has ended, with what it said.
async fn first_death(processes: &mut [WorkerProcess]) -> Error {
    let mut ticks = tokio::time::interval(START_POLL);
    loop {
        ticks.tick().await;
        for process in processes.iter_mut() {
            if let Some(status) = process.exit_status() {
                return process.died(status).await;
            }
        }
    }
}

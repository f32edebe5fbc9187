//! `windrow workers`: who works.

use clap::Args;
use windrow_common::Result;

use super::At;
use crate::grid::{Align, Grid};
use crate::interrupt::Interrupt;

/// `windrow workers`.
#[derive(Debug, Args)]
pub struct WorkersCommand {
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Which cluster.
    #[command(flatten)]
    pub at: At,
}

impl WorkersCommand {
    /// Prints them.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let workers = interrupt.or_cancelled(cluster.workers()).await?;
        let columns =
            [("worker", Align::Left), ("address", Align::Left), ("pid", Align::Right), ("slots", Align::Right)];
        let mut grid = Grid::new(&columns);
        for worker in &workers {
            let (id, endpoint) = (worker.id.to_string(), worker.endpoint.clone());
            if self.json {
                let (pid, slots) = (worker.pid, worker.slots);
                println!("{}", serde_json::json!({"id": id, "address": endpoint, "pid": pid, "slots": slots}));
            }
            grid.row(vec![id, endpoint, worker.pid.to_string(), worker.slots.to_string()]);
        }
        if !self.json {
            print!("{grid}");
        }
        Ok(())
    }
}

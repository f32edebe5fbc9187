//! `windrow jobs`: what runs, and what ran.

use clap::Args;
use windrow_common::Result;
use windrow_common::time::unix_millis;

use super::{At, table};
use crate::interrupt::Interrupt;

/// `windrow jobs`.
#[derive(Debug, Args)]
pub struct JobsCommand {
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value = "50")]
    pub limit: usize,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Which cluster.
    #[command(flatten)]
    pub at: At,
}

impl JobsCommand {
    /// Prints them.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let jobs = interrupt.or_cancelled(cluster.jobs()).await?;
        let shown = &jobs[..jobs.len().min(self.limit)];
        if self.json {
            for job in shown {
                println!("{}", table::json(job));
            }
            return Ok(());
        }
        print!("{}", table::jobs(shown, unix_millis()));
        if shown.len() < jobs.len() {
            println!("{} more; --limit shows them", jobs.len() - shown.len());
        }
        Ok(())
    }
}

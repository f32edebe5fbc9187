//! `windrow jobs`: what runs, and what ran.

use clap::Args;
use windrow_common::Result;
use windrow_common::time::unix_millis;

use super::{At, table};
use crate::interrupt::Interrupt;
use crate::stdout::{print, print_json};

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
        let listed = interrupt.or_cancelled(cluster.jobs(self.limit)).await?;
        if self.json {
            return print_json(listed.jobs.iter().map(table::json));
        }
        let mut text = table::jobs(&listed.jobs, unix_millis());
        if listed.jobs.len() < listed.total {
            text += &format!("{} more; --limit shows them\n", listed.total - listed.jobs.len());
        }
        print(&text)
    }
}

//! `windrow job`: all that is known of one job.

use clap::Args;
use windrow_common::Result;
use windrow_common::time::unix_millis;

use super::watching::{self, CtrlC};
use super::{At, table};
use crate::interrupt::Interrupt;
use crate::stdout::{print, print_json};

/// `windrow job`.
#[derive(Debug, Args)]
pub struct JobCommand {
    /// Its id, or as much of it as is needed
    #[arg(value_name = "ID")]
    pub id: String,
    /// Wait for its end; the exit code is then its outcome. Ctrl-C ends the waiting and leaves the job running
    #[arg(long)]
    pub wait: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which cluster.
    #[command(flatten)]
    pub at: At,
}

impl JobCommand {
    /// Prints it.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let mut job = interrupt.or_cancelled(cluster.job(&self.id)).await?;
        if self.wait {
            job = watching::to_the_end(&cluster, &job, &mut interrupt, CtrlC::LeavesIt).await?;
        }
        match self.json {
            true => print_json([table::json(&job)])?,
            false => print(&table::job(&job, unix_millis()))?,
        }
        if self.wait { watching::outcome(&job) } else { Ok(()) }
    }
}

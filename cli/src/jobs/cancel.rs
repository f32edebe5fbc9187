//! `windrow cancel`: stops a job.

use clap::Args;
use windrow_common::Result;

use super::{At, watching};
use crate::interrupt::Interrupt;
use crate::stdout::print;

/// `windrow cancel`.
#[derive(Debug, Args)]
pub struct CancelCommand {
    /// Its id, or as much of it as is needed
    #[arg(value_name = "ID")]
    pub id: String,
    /// Which cluster.
    #[command(flatten)]
    pub at: At,
}

impl CancelCommand {
    /// Cancels it, and waits until it has ended, as it then has: what was published before is not cancelled.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let was = interrupt.or_cancelled(cluster.cancel(&self.id)).await?;
        if was.status.is_end() {
            return print(&format!("{} had ended before: {}\n", was.id, was.status.name()));
        }
        let ended = interrupt.or_cancelled(watching::end_of(&cluster, was)).await?;
        print(&format!("{}: {}\n", ended.id, ended.status.name()))
    }
}

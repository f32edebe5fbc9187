//! `windrow cancel`: stops a job.

use clap::Args;
use windrow_common::Result;

use super::At;
use crate::interrupt::Interrupt;

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
    /// Cancels it, and waits until it has ended.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let was = interrupt.or_cancelled(cluster.cancel(&self.id)).await?;
        if was.status.is_end() {
            println!("{} had ended before: {}", was.id, was.status.name());
            return Ok(());
        }
        let id = was.id.long();
        let mut news = interrupt.or_cancelled(cluster.watch(&id)).await?;
        let mut last = was;
        while let Some(job) = interrupt.or_cancelled(news.next()).await? {
            last = job;
        }
        println!("{}: {}", last.id, last.status.name());
        Ok(())
    }
}

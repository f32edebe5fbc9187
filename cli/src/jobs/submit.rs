//! `windrow submit`: hands a script over to a cluster, and follows it.

use std::path::PathBuf;

use clap::Args;
use windrow::cluster::ScriptStatement;
use windrow_common::{Error, Result};

use super::{At, watching};
use crate::interrupt::Interrupt;
use crate::script_file;
use crate::statements::split;

const EXAMPLES: &str = "\
Examples:
  windrow submit nightly.sql
  windrow submit nightly.sql --key nightly-2026-11-23     twice is once
  windrow submit nightly.sql --detach                     prints the job's id and leaves

The script runs on the cluster whether or not this command stays; its statements write (COPY … TO, INSERT, CREATE TABLE
AS) or define. A statement that gives rows is refused: run it with windrow sql. The exit code is the job's outcome.
Ctrl-C cancels the job.";

/// `windrow submit`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SubmitCommand {
    /// File of statements to run; - is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A name for this work: what was submitted under it before is the same job
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Do not wait for the end
    #[arg(long)]
    pub detach: bool,
    /// Which cluster.
    #[command(flatten)]
    pub at: At,
}

impl SubmitCommand {
    /// Submits, and follows the job to its end.
    pub async fn run(self) -> Result<()> {
        let statements: Vec<ScriptStatement> = split(&script_file::read(&self.file)?)
            .into_iter()
            .map(|statement| ScriptStatement { sql: statement.text, line: statement.line as u32 })
            .collect();
        if statements.is_empty() {
            return Err(Error::user(format!("there is no statement in '{}'", self.file.display())));
        }
        let mut interrupt = Interrupt::listen()?;
        let cluster = self.at.open(&mut interrupt).await?;
        let submitted = interrupt.or_cancelled(cluster.submit(&statements, self.key.as_deref())).await?;
        if submitted.known {
            eprintln!("{} was submitted before, with this key", submitted.job.id);
        }
        println!("{}", submitted.job.id);
        if self.detach {
            return Ok(());
        }
        let ended = watching::to_the_end(&cluster, &submitted.job, &mut interrupt).await?;
        watching::outcome(&ended)
    }
}

//! `windrow submit`: hands a script over to a cluster, and follows it.

use std::path::PathBuf;

use clap::Args;
use windrow::cluster::{ScriptStatement, Submitted, new_job_id};
use windrow::{Cluster, JobInfo, JobStatus};
use windrow_common::{Error, ErrorKind, Result};

use super::At;
use super::watching::{self, CtrlC};
use crate::interrupt::Interrupt;
use crate::script_file;
use crate::statements::split;
use crate::stderr::tell;
use crate::stdout::print;

const EXAMPLES: &str = "\
Examples:
  windrow submit nightly.sql
  windrow submit nightly.sql --key nightly-2026-11-23     twice is once
  windrow submit nightly.sql --detach                     prints the job's id and leaves

The script runs on the cluster whether or not this command stays; its statements write (COPY … TO, INSERT, CREATE TABLE
AS) or define. A statement that gives rows is refused: run it with windrow sql. The exit code is the job's outcome.
Ctrl-C cancels the job, unless it was submitted before; when the terminal or this command is closed the job goes on. A
job with a key is remembered, with its outcome, among the last 10,000 of the coordinator, until that is started again.";

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
        let submitted = self.hand_over(&cluster, &statements, &mut interrupt).await?;
        if submitted.known {
            tell(&known(&submitted.job));
        }
        print(&format!("{}\n", submitted.job.id))?;
        if self.detach && !interrupt.has_come() {
            return Ok(());
        }
        let ctrl_c = if submitted.known { CtrlC::LeavesIt } else { CtrlC::Cancels };
        let ended = watching::to_the_end(&cluster, &submitted.job, &mut interrupt, ctrl_c).await?;
        watching::outcome(&ended)
    }

    /// Submits. A signal that comes meanwhile finds a job that may be there already.
    async fn hand_over(
        &self,
        cluster: &Cluster,
        statements: &[ScriptStatement],
        interrupt: &mut Interrupt,
    ) -> Result<Submitted> {
        let id = new_job_id();
        let submitted = interrupt.or_cancelled(cluster.submit(id, statements, self.key.as_deref())).await;
        match submitted {
            Err(error) if error.kind == ErrorKind::Cancelled && interrupt.has_come() => {
                if !interrupt.is_ctrl_c() {
                    return Err(Error::new(
                        ErrorKind::Cancelled,
                        format!("{id} may have been accepted; windrow job {id} tells"),
                    ));
                }
                match cluster.cancel(&id.long()).await {
                    Ok(job) => Ok(Submitted { job: watching::end_of(cluster, job).await?, known: false }),
                    // It has not come so far.
                    Err(missing) if missing.kind == ErrorKind::NotFound => Err(error),
                    Err(other) => Err(other.context(format!("{id} may have been accepted, and cannot be cancelled"))),
                }
            }
            submitted => submitted,
        }
    }
}

/// What is said of a job that is there already.
fn known(job: &JobInfo) -> String {
    let before = format!("{} was submitted before, with this key", job.id);
    match job.status {
        JobStatus::Failed => format!("{before}, and has failed; choose another key to run it again"),
        JobStatus::Cancelled => format!("{before}, and was cancelled; choose another key to run it again"),
        JobStatus::Planning | JobStatus::Running | JobStatus::Succeeded => before,
    }
}

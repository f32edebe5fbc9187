//! Following a job to its end: a line on a terminal, plain lines elsewhere. Only Ctrl-C, and only on a job that this
//! command has started, cancels it.

use std::io::IsTerminal;

use windrow::{Cluster, JobInfo, JobStatus};
use windrow_common::{Error, ErrorKind, Result};

use crate::drive::ticking;
use crate::interrupt::Interrupt;
use crate::progress::ProgressLine;
use crate::stderr::tell;

/// What Ctrl-C means for the job that is followed. Other signals, which come when a terminal is closed, leave it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtrlC {
    /// It is ours, and is cancelled.
    Cancels,
    /// It is somebody else's, or was looked at only.
    LeavesIt,
}

/// Follows a job until it has ended.
pub async fn to_the_end(cluster: &Cluster, job: &JobInfo, interrupt: &mut Interrupt, ctrl_c: CtrlC) -> Result<JobInfo> {
    let id = job.id.long();
    let mut last = job.clone();
    let mut progress = ProgressLine::new("tasks");
    let mut plain = PlainLines { enabled: !std::io::stderr().is_terminal(), told: None };
    let mut news = match interrupt.or_cancelled(cluster.watch(&id)).await {
        Err(error) if error.kind == ErrorKind::Cancelled => return interrupted(cluster, last, interrupt, ctrl_c).await,
        news => news?,
    };
    loop {
        match ticking(news.next(), interrupt, &mut progress).await {
            Ok(Some(job)) => {
                plain.tell(&job);
                progress.message(line(&job));
                progress.update(u64::from(job.tasks.0), u64::from(job.tasks.2));
                last = job;
            }
            Ok(None) if last.status.is_end() => return Ok(last),
            Ok(None) => return Err(lost(&last, "the coordinator stopped")),
            Err(error) if error.kind == ErrorKind::Cancelled => {
                progress.clear();
                return interrupted(cluster, last, interrupt, ctrl_c).await;
            }
            Err(error) => return Err(lost(&last, &error.message)),
        }
    }
}

/// A signal came: the job is cancelled and its end waited for, or it goes on without us.
async fn interrupted(cluster: &Cluster, job: JobInfo, interrupt: &Interrupt, ctrl_c: CtrlC) -> Result<JobInfo> {
    if ctrl_c == CtrlC::LeavesIt || !interrupt.is_ctrl_c() {
        let id = job.id;
        return Err(Error::new(ErrorKind::Cancelled, format!("{id} goes on; windrow job {id} --wait follows it")));
    }
    tell(&format!("cancelling {} …", job.id));
    let asked = cluster.cancel(&job.id.long()).await?;
    end_of(cluster, asked).await
}

/// Waits until a job has ended.
pub async fn end_of(cluster: &Cluster, job: JobInfo) -> Result<JobInfo> {
    let mut news = cluster.watch(&job.id.long()).await?;
    let mut last = job;
    loop {
        match news.next().await {
            Ok(Some(job)) => last = job,
            Ok(None) if last.status.is_end() => return Ok(last),
            Ok(None) => return Err(lost(&last, "the coordinator stopped")),
            Err(error) => return Err(lost(&last, &error.message)),
        }
    }
}

/// The end of a job as the end of this command.
pub fn outcome(job: &JobInfo) -> Result<()> {
    match (job.status, &job.error) {
        (JobStatus::Succeeded, _) => Ok(()),
        (JobStatus::Cancelled, _) => Err(Error::new(ErrorKind::Cancelled, format!("{} was cancelled", job.id))),
        (_, Some(error)) => Err(error.clone().context(job.id)),
        (_, None) => Err(Error::internal(format!("{} is {}, and does not say why", job.id, job.status.name()))),
    }
}

fn lost(job: &JobInfo, why: &str) -> Error {
    Error::unavailable(format!("{} is not followed any more: {why}; ask for it with windrow job {}", job.id, job.id))
}

fn line(job: &JobInfo) -> String {
    match job.statement {
        (_, 1) => job.status.name().to_owned(),
        (now, all) => format!("statement {now} of {all} {}", job.status.name()),
    }
}

/// What is said where nothing can be drawn: each statement once, and the end.
struct PlainLines {
    enabled: bool,
    told: Option<(u32, JobStatus)>,
}

impl PlainLines {
    fn tell(&mut self, job: &JobInfo) {
        let now = (job.statement.0, job.status);
        if self.enabled && self.told.replace(now) != Some(now) {
            tell(&format!("{}: {}", job.id, line(job)));
        }
    }
}

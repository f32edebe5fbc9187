//! Following a job to its end: a line on a terminal, plain lines elsewhere; Ctrl-C cancels the job.

use std::io::IsTerminal;

use windrow::{Cluster, JobInfo, JobStatus};
use windrow_common::{Error, ErrorKind, Result};

use crate::drive::ticking;
use crate::interrupt::Interrupt;
use crate::progress::ProgressLine;

/// Follows a job until it has ended.
pub async fn to_the_end(cluster: &Cluster, job: &JobInfo, interrupt: &mut Interrupt) -> Result<JobInfo> {
    let id = job.id.long();
    let mut last = job.clone();
    let mut progress = ProgressLine::new("tasks");
    let mut plain = PlainLines { enabled: !std::io::stderr().is_terminal(), told: None };
    let mut news = cluster.watch(&id).await?;
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
                eprintln!("cancelling {} …", last.id);
                cluster.cancel(&id).await?;
                return Err(error);
            }
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
            eprintln!("{}: {}", job.id, line(job));
        }
    }
}

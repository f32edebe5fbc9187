//! [`JobInfo`] as a message and back.

use windrow_common::{Error, ErrorKind, JobId, JobInfo, JobStatus, Result};

use crate::control as wire;
use crate::protocol::id;
use crate::report::{report_from_wire, report_to_wire};
use crate::status::{failure_from_wire, failure_to_wire, id_bytes};

/// A job as it travels.
pub fn job_to_wire(job: &JobInfo) -> wire::JobInfo {
    let (done, running, total) = job.tasks;
    wire::JobInfo {
        id: id_bytes(job.id.0),
        key: job.key.clone(),
        text: job.text.clone(),
        status: status_to_wire(job.status).into(),
        error: job.error.as_ref().map(failure_to_wire),
        submitted_millis: job.submitted_millis,
        ended_millis: job.ended_millis,
        statement: job.statement.0,
        statements: job.statement.1,
        tasks: Some(wire::Progress { done, running, total }),
        rows_written: job.rows_written,
        reports: job.reports.iter().map(report_to_wire).collect(),
    }
}

/// A job from the wire.
pub fn job_from_wire(job: wire::JobInfo) -> Result<JobInfo> {
    let status = status_from_wire(job.status())?;
    let tasks = job.tasks.unwrap_or_default();
    Ok(JobInfo {
        id: JobId(id(&job.id, "job id")?),
        key: job.key,
        text: job.text,
        status,
        error: job.error.map(failure_from_wire),
        submitted_millis: job.submitted_millis,
        ended_millis: job.ended_millis,
        statement: (job.statement, job.statements),
        tasks: (tasks.done, tasks.running, tasks.total),
        rows_written: job.rows_written,
        reports: job.reports.into_iter().map(report_from_wire).collect::<Result<_>>()?,
    })
}

fn status_to_wire(status: JobStatus) -> wire::JobStatus {
    match status {
        JobStatus::Planning => wire::JobStatus::Planning,
        JobStatus::Running => wire::JobStatus::Running,
        JobStatus::Succeeded => wire::JobStatus::Succeeded,
        JobStatus::Failed => wire::JobStatus::Failed,
        JobStatus::Cancelled => wire::JobStatus::Cancelled,
    }
}

fn status_from_wire(status: wire::JobStatus) -> Result<JobStatus> {
    Ok(match status {
        wire::JobStatus::Planning => JobStatus::Planning,
        wire::JobStatus::Running => JobStatus::Running,
        wire::JobStatus::Succeeded => JobStatus::Succeeded,
        wire::JobStatus::Failed => JobStatus::Failed,
        wire::JobStatus::Cancelled => JobStatus::Cancelled,
        wire::JobStatus::Unspecified => {
            return Err(Error::new(ErrorKind::Version, "the coordinator names a state of jobs that is unknown here"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_the_wire() {
        for status in
            [JobStatus::Planning, JobStatus::Running, JobStatus::Succeeded, JobStatus::Failed, JobStatus::Cancelled]
        {
            let error = (status == JobStatus::Failed).then(|| Error::user("why"));
            let job = JobInfo {
                id: JobId(7 << 100),
                key: Some("nightly".into()),
                text: "COPY …".into(),
                status,
                error,
                submitted_millis: 1,
                ended_millis: status.is_end().then_some(2),
                statement: (2, 3),
                tasks: (4, 5, 9),
                rows_written: 10,
                reports: vec![Default::default()],
            };
            assert_eq!(job_from_wire(job_to_wire(&job)).unwrap(), job);
        }
    }
}

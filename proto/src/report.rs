//! [`JobReport`] as a message and back.

use windrow_common::{JobId, JobReport, Result, StageId, StageReport, WorkerId};

use crate::control as wire;
use crate::operators::{operators_from_wire, operators_to_wire};
use crate::protocol::id;
use crate::status::id_bytes;

/// A report as it travels.
pub fn report_to_wire(report: &JobReport) -> wire::JobReport {
    wire::JobReport {
        job: report.job.map(|job| id_bytes(job.0)),
        stages: report.stages.iter().map(stage_to_wire).collect(),
        elapsed_micros: report.elapsed_micros,
    }
}

fn stage_to_wire(stage: &StageReport) -> wire::StageReport {
    wire::StageReport {
        stage: stage.stage.0,
        tasks: stage.tasks,
        attempts: stage.attempts,
        failed_attempts: stage.failed_attempts,
        workers: stage.workers.iter().map(|w| id_bytes(w.0)).collect(),
        rows: stage.rows,
        output_bytes: stage.output_bytes,
        fetched_bytes: stage.fetched_bytes,
        spilled_bytes: stage.spilled_bytes,
        busy_micros: stage.busy_micros,
        rejected_rows: stage.rejected_rows,
        operators: operators_to_wire(&stage.operators),
    }
}

/// A report from the wire.
pub fn report_from_wire(report: wire::JobReport) -> Result<JobReport> {
    Ok(JobReport {
        job: report.job.map(|job| id(&job, "job id").map(JobId)).transpose()?,
        stages: report.stages.into_iter().map(stage_from_wire).collect::<Result<_>>()?,
        elapsed_micros: report.elapsed_micros,
    })
}

fn stage_from_wire(stage: wire::StageReport) -> Result<StageReport> {
    Ok(StageReport {
        stage: StageId(stage.stage),
        tasks: stage.tasks,
        attempts: stage.attempts,
        failed_attempts: stage.failed_attempts,
        workers: stage.workers.iter().map(|w| id(w, "worker id").map(WorkerId)).collect::<Result<_>>()?,
        rows: stage.rows,
        output_bytes: stage.output_bytes,
        fetched_bytes: stage.fetched_bytes,
        spilled_bytes: stage.spilled_bytes,
        busy_micros: stage.busy_micros,
        rejected_rows: stage.rejected_rows,
        operators: operators_from_wire(&stage.operators),
    })
}

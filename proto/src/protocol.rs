//! [`windrow_common::protocol`] as messages and back. To the wire is total; from the wire every field is checked, for the
//! other end may be anything.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use windrow_common::protocol::{Assignment, AttemptStatus, DirectReads, InputSlice, ToCoordinator, ToWorker};
use windrow_common::{
    AttemptId, BlobHash, Epoch, Error, ErrorKind, ExchangeId, ExchangeKind, Incarnation, JobId, Location, OutputReport,
    PartitionSize, ReadMode, Result, StageId, TaskId, WorkerId,
};

use crate::control as wire;
use crate::operators::{operators_from_wire, operators_to_wire};
use crate::status::{failure_from_wire, failure_to_wire, id_bytes, id_from_bytes};

/// A required part that is missing or malformed.
pub(crate) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Version, format!("the other end sent a message without a valid {what}"))
}

pub(crate) fn id(bytes: &[u8], what: &str) -> Result<u128> {
    id_from_bytes(bytes).ok_or_else(|| malformed(what))
}

fn attempts_to_wire(attempts: &[AttemptId]) -> Vec<Bytes> {
    attempts.iter().map(|a| id_bytes(a.0)).collect()
}

fn attempts_from_wire(attempts: &[Bytes]) -> Result<Vec<AttemptId>> {
    attempts.iter().map(|a| id(a, "attempt id").map(AttemptId)).collect()
}

fn task_to_wire(task: TaskId) -> wire::TaskRef {
    wire::TaskRef { job: id_bytes(task.job.0), stage: task.stage.0, index: task.index }
}

fn task_from_wire(task: Option<wire::TaskRef>) -> Result<TaskId> {
    let task = task.ok_or_else(|| malformed("task"))?;
    Ok(TaskId { job: JobId(id(&task.job, "job id")?), stage: StageId(task.stage), index: task.index })
}

fn range_to_wire(range: &std::ops::Range<u32>) -> Option<wire::Range> {
    Some(wire::Range { start: range.start, end: range.end })
}

fn range_from_wire(range: Option<wire::Range>) -> Result<std::ops::Range<u32>> {
    let range = range.ok_or_else(|| malformed("range"))?;
    if range.start > range.end {
        return Err(malformed("range"));
    }
    Ok(range.start..range.end)
}

/// A blob's name from the wire.
pub fn hash_from_wire(bytes: &[u8]) -> Result<BlobHash> {
    bytes.try_into().map(BlobHash).map_err(|_| malformed("blob hash"))
}

/// A worker's message as it travels.
pub fn worker_to_wire(message: ToCoordinator) -> wire::WorkerMessage {
    use wire::worker_message::Message;
    let message = match message {
        ToCoordinator::Hello { worker, incarnation, version, slots, memory, endpoint, pid, running, held } => {
            Message::Hello(wire::Hello {
                worker: id_bytes(worker.0),
                incarnation: id_bytes(incarnation.0),
                version,
                slots,
                memory,
                endpoint,
                pid,
                running: attempts_to_wire(&running),
                held: attempts_to_wire(&held),
            })
        }
        ToCoordinator::Heartbeat { incarnation } => {
            Message::Heartbeat(wire::Heartbeat { incarnation: id_bytes(incarnation.0) })
        }
        ToCoordinator::Goodbye { incarnation } => {
            Message::Goodbye(wire::Goodbye { incarnation: id_bytes(incarnation.0) })
        }
        ToCoordinator::Report { incarnation, epoch, task, attempt, status } => Message::Report(wire::Report {
            incarnation: id_bytes(incarnation.0),
            epoch: epoch.0,
            task: Some(task_to_wire(task)),
            attempt: id_bytes(attempt.0),
            status: Some(status_to_wire(status)),
        }),
        ToCoordinator::DirectReads { incarnation, job, attempt, reads } => Message::DirectReads(wire::DirectReads {
            incarnation: id_bytes(incarnation.0),
            job: id_bytes(job.0),
            attempt: id_bytes(attempt.0),
            running: reads.running,
            complete: reads.complete,
        }),
    };
    wire::WorkerMessage { message: Some(message) }
}

/// A worker's message from the wire.
pub fn worker_from_wire(message: wire::WorkerMessage) -> Result<ToCoordinator> {
    use wire::worker_message::Message;
    Ok(match message.message.ok_or_else(|| malformed("message"))? {
        Message::Hello(hello) => ToCoordinator::Hello {
            worker: WorkerId(id(&hello.worker, "worker id")?),
            incarnation: Incarnation(id(&hello.incarnation, "incarnation")?),
            version: hello.version,
            slots: hello.slots,
            memory: hello.memory,
            endpoint: hello.endpoint,
            pid: hello.pid,
            running: attempts_from_wire(&hello.running)?,
            held: attempts_from_wire(&hello.held)?,
        },
        Message::Heartbeat(beat) => {
            ToCoordinator::Heartbeat { incarnation: Incarnation(id(&beat.incarnation, "incarnation")?) }
        }
        Message::Goodbye(bye) => {
            ToCoordinator::Goodbye { incarnation: Incarnation(id(&bye.incarnation, "incarnation")?) }
        }
        Message::Report(report) => ToCoordinator::Report {
            incarnation: Incarnation(id(&report.incarnation, "incarnation")?),
            epoch: Epoch(report.epoch),
            task: task_from_wire(report.task)?,
            attempt: AttemptId(id(&report.attempt, "attempt id")?),
            status: status_from_wire(report.status.ok_or_else(|| malformed("status"))?)?,
        },
        Message::DirectReads(reads) => ToCoordinator::DirectReads {
            incarnation: Incarnation(id(&reads.incarnation, "incarnation")?),
            job: JobId(id(&reads.job, "job id")?),
            attempt: AttemptId(id(&reads.attempt, "attempt id")?),
            reads: DirectReads { running: reads.running, complete: reads.complete },
        },
    })
}

fn status_to_wire(status: AttemptStatus) -> wire::report::Status {
    use wire::report::Status;
    match status {
        AttemptStatus::Running => Status::Running(wire::Running {}),
        AttemptStatus::Cancelled => Status::Cancelled(wire::Cancelled {}),
        AttemptStatus::Failed(error) => Status::Failed(failure_to_wire(&error)),
        AttemptStatus::Finished(output) => Status::Finished(wire::Output {
            sizes: output.partitions.iter().flat_map(|p| [p.rows, p.bytes]).collect(),
            inline: output.inline.map(Bytes::from),
            fetched_bytes: output.fetched_bytes,
            spilled_bytes: output.spilled_bytes,
            elapsed_micros: output.elapsed_micros,
            rejected_rows: output.rejected_rows,
            operators: operators_to_wire(&output.operators),
        }),
    }
}

fn status_from_wire(status: wire::report::Status) -> Result<AttemptStatus> {
    use wire::report::Status;
    Ok(match status {
        Status::Running(_) => AttemptStatus::Running,
        Status::Cancelled(_) => AttemptStatus::Cancelled,
        Status::Failed(failure) => AttemptStatus::Failed(failure_from_wire(failure)),
        Status::Finished(output) => {
            if output.sizes.len() % 2 != 0 {
                return Err(malformed("list of sizes"));
            }
            let partitions =
                output.sizes.chunks_exact(2).map(|pair| PartitionSize { rows: pair[0], bytes: pair[1] }).collect();
            AttemptStatus::Finished(OutputReport {
                partitions,
                inline: output.inline.map(|bytes| bytes.to_vec()),
                fetched_bytes: output.fetched_bytes,
                spilled_bytes: output.spilled_bytes,
                elapsed_micros: output.elapsed_micros,
                rejected_rows: output.rejected_rows,
                operators: operators_from_wire(&output.operators),
            })
        }
    })
}

/// A coordinator's message as it travels.
pub fn coordinator_to_wire(message: ToWorker) -> wire::CoordinatorMessage {
    use wire::coordinator_message::Message;
    let message = match message {
        ToWorker::Welcome { epoch, heartbeat } => {
            Message::Welcome(wire::Welcome { epoch: epoch.0, heartbeat_micros: heartbeat.as_micros() as u64 })
        }
        ToWorker::Start(assignment) => Message::Start(assignment_to_wire(&assignment)),
        ToWorker::Cancel { epoch, attempt } => {
            Message::Cancel(wire::Cancel { epoch: epoch.0, attempt: id_bytes(attempt.0) })
        }
        ToWorker::Acknowledge { epoch, attempt } => {
            Message::Acknowledge(wire::Acknowledge { epoch: epoch.0, attempt: id_bytes(attempt.0) })
        }
        ToWorker::Free { epoch, attempts } => {
            Message::Free(wire::Free { epoch: epoch.0, attempts: attempts_to_wire(&attempts) })
        }
        ToWorker::ForgetJob { epoch, job } => {
            Message::ForgetJob(wire::ForgetJob { epoch: epoch.0, job: id_bytes(job.0) })
        }
        ToWorker::Refuse { reason } => Message::Refuse(failure_to_wire(&reason)),
    };
    wire::CoordinatorMessage { message: Some(message) }
}

/// A coordinator's message from the wire.
pub fn coordinator_from_wire(message: wire::CoordinatorMessage) -> Result<ToWorker> {
    use wire::coordinator_message::Message;
    Ok(match message.message.ok_or_else(|| malformed("message"))? {
        Message::Welcome(welcome) => ToWorker::Welcome {
            epoch: Epoch(welcome.epoch),
            heartbeat: Duration::from_micros(welcome.heartbeat_micros),
        },
        Message::Start(start) => ToWorker::Start(Box::new(assignment_from_wire(start)?)),
        Message::Cancel(cancel) => {
            ToWorker::Cancel { epoch: Epoch(cancel.epoch), attempt: AttemptId(id(&cancel.attempt, "attempt id")?) }
        }
        Message::Acknowledge(ack) => {
            ToWorker::Acknowledge { epoch: Epoch(ack.epoch), attempt: AttemptId(id(&ack.attempt, "attempt id")?) }
        }
        Message::Free(free) => {
            ToWorker::Free { epoch: Epoch(free.epoch), attempts: attempts_from_wire(&free.attempts)? }
        }
        Message::ForgetJob(forget) => {
            ToWorker::ForgetJob { epoch: Epoch(forget.epoch), job: JobId(id(&forget.job, "job id")?) }
        }
        Message::Refuse(failure) => ToWorker::Refuse { reason: failure_from_wire(failure) },
    })
}

fn assignment_to_wire(assignment: &Assignment) -> wire::Start {
    wire::Start {
        epoch: assignment.epoch.0,
        task: Some(task_to_wire(assignment.task)),
        attempt: id_bytes(assignment.attempt.0),
        number: assignment.number,
        plan: Bytes::copy_from_slice(&assignment.plan.0),
        partitions: range_to_wire(&assignment.partitions),
        slots: assignment.slots,
        memory: assignment.memory,
        splits: Bytes::copy_from_slice(&assignment.splits),
        inputs: assignment.inputs.iter().map(slice_to_wire).collect(),
        output: kind_to_wire(assignment.output).into(),
        output_partitions: assignment.output_partitions,
        inline: assignment.inline,
    }
}

fn assignment_from_wire(start: wire::Start) -> Result<Assignment> {
    let output = kind_from_wire(start.output())?;
    Ok(Assignment {
        epoch: Epoch(start.epoch),
        task: task_from_wire(start.task)?,
        attempt: AttemptId(id(&start.attempt, "attempt id")?),
        number: start.number,
        plan: hash_from_wire(&start.plan)?,
        partitions: range_from_wire(start.partitions)?,
        slots: start.slots,
        memory: start.memory,
        splits: Arc::from(start.splits.as_ref()),
        inputs: start.inputs.into_iter().map(slice_from_wire).collect::<Result<_>>()?,
        output,
        output_partitions: start.output_partitions,
        inline: start.inline,
    })
}

fn kind_to_wire(kind: ExchangeKind) -> wire::ExchangeKind {
    match kind {
        ExchangeKind::Shuffle => wire::ExchangeKind::Shuffle,
        ExchangeKind::Forward => wire::ExchangeKind::Forward,
        ExchangeKind::Gather => wire::ExchangeKind::Gather,
        ExchangeKind::Broadcast => wire::ExchangeKind::Broadcast,
        ExchangeKind::Scalar => wire::ExchangeKind::Scalar,
    }
}

fn kind_from_wire(kind: wire::ExchangeKind) -> Result<ExchangeKind> {
    match kind {
        wire::ExchangeKind::Shuffle => Ok(ExchangeKind::Shuffle),
        wire::ExchangeKind::Forward => Ok(ExchangeKind::Forward),
        wire::ExchangeKind::Gather => Ok(ExchangeKind::Gather),
        wire::ExchangeKind::Broadcast => Ok(ExchangeKind::Broadcast),
        wire::ExchangeKind::Scalar => Ok(ExchangeKind::Scalar),
        wire::ExchangeKind::Unspecified => Err(malformed("kind of exchange")),
    }
}

fn slice_to_wire(slice: &InputSlice) -> wire::InputSlice {
    let mode = match slice.mode {
        ReadMode::Partitions => wire::ReadMode::Partitions,
        ReadMode::All => wire::ReadMode::All,
        ReadMode::Scalar => wire::ReadMode::Scalar,
    };
    wire::InputSlice {
        exchange: slice.exchange.0,
        mode: mode.into(),
        partitions: range_to_wire(&slice.partitions),
        producers: slice.producers.iter().map(location_to_wire).collect(),
    }
}

fn slice_from_wire(slice: wire::InputSlice) -> Result<InputSlice> {
    let mode = match slice.mode() {
        wire::ReadMode::Partitions => ReadMode::Partitions,
        wire::ReadMode::All => ReadMode::All,
        wire::ReadMode::Scalar => ReadMode::Scalar,
        wire::ReadMode::Unspecified => return Err(malformed("read mode")),
    };
    let producers = slice.producers.into_iter().map(location_from_wire).collect::<Result<Vec<_>>>()?;
    Ok(InputSlice {
        exchange: ExchangeId(slice.exchange),
        mode,
        partitions: range_from_wire(slice.partitions)?,
        producers: producers.into(),
    })
}

fn location_to_wire(location: &Location) -> wire::Location {
    wire::Location {
        task: location.task,
        attempt: id_bytes(location.attempt.0),
        worker: id_bytes(location.worker.0),
        incarnation: id_bytes(location.incarnation.0),
        endpoint: location.endpoint.clone(),
        inline: location.inline.as_ref().map(|bytes| Bytes::copy_from_slice(bytes)),
    }
}

fn location_from_wire(location: wire::Location) -> Result<Location> {
    Ok(Location {
        task: location.task,
        attempt: AttemptId(id(&location.attempt, "attempt id")?),
        worker: WorkerId(id(&location.worker, "worker id")?),
        incarnation: Incarnation(id(&location.incarnation, "incarnation")?),
        endpoint: location.endpoint,
        inline: location.inline.map(|bytes| bytes.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use windrow_common::OperatorMetrics;

    use super::*;

    #[test]
    fn an_assignment_survives_the_wire() {
        let producer = Location {
            task: 3,
            attempt: AttemptId(7),
            worker: WorkerId(8),
            incarnation: Incarnation(9),
            endpoint: "127.0.0.1:1".into(),
            inline: Some(vec![1, 2]),
        };
        let assignment = Assignment {
            epoch: Epoch(4),
            task: TaskId { job: JobId(1), stage: StageId(2), index: 3 },
            attempt: AttemptId(u128::MAX),
            number: 2,
            plan: BlobHash([7; 32]),
            partitions: 1..3,
            slots: 2,
            memory: 1 << 40,
            splits: Arc::from([1_u8, 2, 3]),
            inputs: vec![InputSlice {
                exchange: ExchangeId(1),
                mode: ReadMode::Scalar,
                partitions: 0..0,
                producers: Arc::from([producer]),
            }],
            output: ExchangeKind::Broadcast,
            output_partitions: 1,
            inline: true,
        };
        let message = ToWorker::Start(Box::new(assignment));
        assert_eq!(coordinator_from_wire(coordinator_to_wire(message.clone())).unwrap(), message);
    }

    #[test]
    fn reports_survive_the_wire() {
        for status in [
            AttemptStatus::Running,
            AttemptStatus::Cancelled,
            AttemptStatus::Failed(Error::new(ErrorKind::LostInput(vec![AttemptId(5)]), "gone")),
            AttemptStatus::Finished(OutputReport {
                partitions: vec![PartitionSize { rows: 1, bytes: 2 }, PartitionSize::default()],
                inline: Some(vec![]),
                fetched_bytes: 3,
                spilled_bytes: 4,
                elapsed_micros: 5,
                rejected_rows: 6,
                operators: vec![OperatorMetrics {
                    rows: Some(6),
                    compute_nanos: 7,
                    spilled_bytes: 8,
                    scanned_bytes: 9,
                }],
            }),
        ] {
            let message = ToCoordinator::Report {
                incarnation: Incarnation(1),
                epoch: Epoch(2),
                task: TaskId { job: JobId(3), stage: StageId(4), index: 5 },
                attempt: AttemptId(6),
                status,
            };
            assert_eq!(worker_from_wire(worker_to_wire(message.clone())).unwrap(), message);
        }
    }

    #[test]
    fn news_of_direct_reads_survive_the_wire() {
        let message = ToCoordinator::DirectReads {
            incarnation: Incarnation(1),
            job: JobId(2),
            attempt: AttemptId(3),
            reads: DirectReads { running: 4, complete: true },
        };
        assert_eq!(worker_from_wire(worker_to_wire(message.clone())).unwrap(), message);
    }

    #[test]
    fn messages_without_ids_are_refused() {
        assert!(worker_from_wire(wire::WorkerMessage { message: None }).is_err());
        let beat = wire::Heartbeat { incarnation: Bytes::from_static(b"short") };
        let message = wire::WorkerMessage { message: Some(wire::worker_message::Message::Heartbeat(beat)) };
        assert_eq!(worker_from_wire(message).unwrap_err().kind, ErrorKind::Version);
    }
}

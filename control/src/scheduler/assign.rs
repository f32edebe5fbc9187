//! Turns a chosen task into the message that starts it.

use std::sync::Arc;

use windrow_common::{AttemptId, ExchangeId, Location};

use super::job::Job;
use super::pool::{Pool, WorkerIndex};
use super::task::{Phase, TaskAt};
use crate::protocol::{Assignment, InputSlice};

/// The least reservation that doubling starts from, when the plan made no estimate.
const LEAST_DOUBLED_BYTES: u64 = 16 << 20;

/// Where the outputs of an exchange can be read, in task order. Made once and shared until an output changes.
pub(crate) fn locations(pool: &Pool, job: &mut Job, exchange: ExchangeId) -> Arc<[Location]> {
    let stage = &mut job.stages[exchange.0 as usize];
    if let Some(known) = &stage.locations {
        return Arc::clone(known);
    }
    let mut all = Vec::with_capacity(stage.tasks.len());
    for (task, state) in stage.tasks.iter().enumerate() {
        let task = task as u32;
        let Phase::Done { attempt, worker } = state.phase else { continue };
        let Some(holder) = pool.get(worker) else { continue };
        all.push(Location {
            task,
            attempt,
            worker: holder.id,
            incarnation: holder.incarnation,
            endpoint: holder.endpoint.clone(),
            inline: stage.inline.get(&task).cloned(),
        });
    }
    let shared: Arc<[Location]> = all.into();
    stage.locations = Some(Arc::clone(&shared));
    shared
}

/// The message that starts `attempt` of the task on `worker`.
pub(crate) fn assignment(
    pool: &Pool,
    job: &mut Job,
    at: TaskAt,
    (attempt, worker): (AttemptId, WorkerIndex),
    epoch: windrow_common::Epoch,
    slots: u32,
) -> Assignment {
    let graph = Arc::clone(&job.graph);
    let stage = &graph.stages[at.stage as usize];
    let spec = &stage.tasks[at.task as usize];
    let inputs = stage
        .inputs
        .iter()
        .enumerate()
        .map(|(i, input)| InputSlice {
            exchange: input.exchange,
            mode: input.mode,
            partitions: spec.reads.get(i).cloned().unwrap_or(0..0),
            producers: locations(pool, job, input.exchange),
        })
        .collect();
    let state = &job.stages[at.stage as usize].tasks[at.task as usize];
    // Asking for more than the worker has would fail for sure; asking for all of it may do.
    let most = pool.get(worker).map_or(u64::MAX, |w| w.memory);
    Assignment {
        epoch,
        task: job.name(at),
        attempt,
        number: u32::from(state.runs) - 1,
        plan: stage.plan,
        partitions: spec.partitions.clone(),
        slots,
        memory: reservation(stage.memory_estimate, state.doublings).min(most),
        splits: Arc::from(spec.splits.as_slice()),
        inputs,
        output: stage.output,
        output_partitions: stage.output_partitions,
        inline: job.rides_in_report(at.stage),
    }
}

fn reservation(estimate: u64, doublings: u8) -> u64 {
    if doublings == 0 {
        return estimate;
    }
    let factor = 1u64.checked_shl(u32::from(doublings)).unwrap_or(u64::MAX);
    estimate.max(LEAST_DOUBLED_BYTES).saturating_mul(factor)
}

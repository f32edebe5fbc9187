//! What a plan is thought to cost when one worker runs it alone, and when it is spread over all with exchanges between.
//! The figures are rough by nature; what matters is that the smaller of the two is usually the faster, and that EXPLAIN
//! shows both.

use std::sync::Arc;

use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use windrow_common::ExchangeKind;

use super::cut::CutPlan;
use super::leaves::leaf_ranges;
use crate::codec::encode::file_scan;

/// Bytes of input that one core works off in a second, through a typical plan.
const CORE_RATE: f64 = 200e6;
/// Bytes that one exchange moves in a second for each core that takes part: dividing, encoding, sending, receiving.
const EXCHANGE_RATE: f64 = 400e6;
/// Seconds to start a stage and to hear that it has ended.
const STAGE_LATENCY: f64 = 0.004;
/// Width assumed for a row of which only the number is known.
const ROW_BYTES: f64 = 64.0;
/// Share of a stage's input that is assumed to come out when nothing is known.
const UNKNOWN_SELECTIVITY: f64 = 0.3;

/// The cores of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterShape {
    /// Of all workers together.
    pub slots: u32,
    /// Of the largest worker.
    pub largest: u32,
}

/// Both figures, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// One worker runs the whole plan.
    pub one_task: f64,
    /// All workers run it, with exchanges.
    pub many_tasks: f64,
    /// Bytes thought to be read.
    pub input_bytes: f64,
    /// Bytes thought to be exchanged.
    pub exchanged_bytes: f64,
}

impl Costs {
    /// Whether one worker is thought to be at least as fast.
    pub fn prefers_one_task(&self) -> bool {
        self.one_task <= self.many_tasks
    }
}

/// Estimates both figures.
pub fn estimate(cut: &CutPlan, shape: ClusterShape) -> Costs {
    let mut input_bytes = 0.0;
    let mut exchanged_bytes = 0.0;
    let last = cut.stages.len().saturating_sub(1);
    for (index, stage) in cut.stages.iter().enumerate() {
        let read = scanned_bytes(&stage.plan);
        input_bytes += read;
        if index == last {
            continue;
        }
        let copies = if stage.kind == ExchangeKind::Broadcast { f64::from(shape.slots) } else { 1.0 };
        exchanged_bytes += output_bytes(&stage.plan).unwrap_or(read * UNKNOWN_SELECTIVITY) * copies;
    }
    let largest = f64::from(shape.largest.max(1));
    let slots = f64::from(shape.slots.max(1));
    let stages = cut.stages.len() as f64;
    Costs {
        one_task: input_bytes / (CORE_RATE * largest) + STAGE_LATENCY,
        many_tasks: input_bytes / (CORE_RATE * slots)
            + exchanged_bytes / (EXCHANGE_RATE * slots)
            + stages * STAGE_LATENCY,
        input_bytes,
        exchanged_bytes,
    }
}

/// Bytes that the scans of a plan read: of the columns wanted, where that is known, else of the whole files.
fn scanned_bytes(plan: &Arc<dyn ExecutionPlan>) -> f64 {
    let everything = 0..plan.output_partitioning().partition_count() as u32;
    leaf_ranges(plan, everything)
        .into_iter()
        .map(|(leaf, _)| {
            let Some(scan) = file_scan(leaf) else { return 0.0 };
            let on_disk: u64 = scan
                .file_groups
                .iter()
                .flat_map(|group| group.iter())
                .map(|file| match &file.range {
                    Some(range) => (range.end - range.start).max(0) as u64,
                    None => file.object_meta.size,
                })
                .sum();
            let wanted = leaf.schema().fields().len().max(1) as f64;
            let all = scan.file_schema().fields().len().max(1) as f64;
            output_bytes(leaf).unwrap_or(on_disk as f64 * (wanted / all).min(1.0))
        })
        .sum()
}

fn output_bytes(plan: &Arc<dyn ExecutionPlan>) -> Option<f64> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
    if let Some(bytes) = statistics.total_byte_size.get_value() {
        return Some(*bytes as f64);
    }
    statistics.num_rows.get_value().map(|rows| *rows as f64 * ROW_BYTES)
}

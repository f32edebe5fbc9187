//! From cut stages to the stage graph that the scheduler runs: encodes each stage once, and gives each task its data.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::ExecutionPlan;
use sha2::{Digest, Sha256};
use windrow_common::{BlobHash, ExchangeId, ExchangeKind, ReadMode, Stage, StageGraph, StageId, StageInput, TaskSpec};

use super::cut::{CutPlan, StageDraft};
use super::determinism;
use super::leaves::leaf_ranges;
use crate::codec::encode::file_scan;
use crate::codec::splits::TaskSplits;
use crate::codec::{EncodedStage, ScalarBinding, encode_stage};
use crate::exchange::reader::{ExchangeReaderExec, Mapping};

/// Bytes of memory that a task is thought to need when nothing better is known.
const MEMORY_ESTIMATE: u64 = 64 << 20;

/// A graph, and the plans it names.
#[derive(Clone, Debug)]
pub struct GraphAndBlobs {
    /// The graph.
    pub graph: StageGraph,
    /// The encoded plans.
    pub blobs: Vec<(BlobHash, Arc<[u8]>)>,
}

/// Builds the graph of a cut plan. `commits` says that its result is a list of written files.
pub fn build(cut: &CutPlan, config: &ConfigOptions, commits: bool) -> Result<GraphAndBlobs> {
    let mut stages = Vec::with_capacity(cut.stages.len());
    let mut blobs = Vec::with_capacity(cut.stages.len());
    for (index, draft) in cut.stages.iter().enumerate() {
        let (stage, blob) = build_stage(index, draft, &cut.scalars, config)?;
        blobs.push((stage.plan, blob));
        stages.push(stage);
    }
    let Some(last) = stages.last() else {
        return internal_err!("a plan was cut into no stages");
    };
    let result = last.exchange();
    Ok(GraphAndBlobs { graph: StageGraph { revision: 0, stages, result, commits }, blobs })
}

fn build_stage(
    index: usize,
    draft: &StageDraft,
    scalars: &[ScalarBinding],
    config: &ConfigOptions,
) -> Result<(Stage, Arc<[u8]>)> {
    let encoded = encode_stage(&draft.plan, &draft.division, scalars, config)?;
    let inputs = inputs_of(draft, &encoded)?;
    let tasks = draft
        .tasks
        .iter()
        .map(|partitions| task_of(draft, &encoded, inputs.len(), partitions.clone()))
        .collect::<Result<Vec<_>>>()?;
    let blob: Arc<[u8]> = encoded.bytes.into();
    let stage = Stage {
        id: StageId(index as u32),
        plan: hash_of(&blob),
        inputs,
        output: draft.kind,
        output_partitions: match draft.kind {
            ExchangeKind::Scalar => 1,
            _ => draft.output_partitions,
        },
        tasks,
        determinism: determinism::of_stage(draft)?,
        memory_estimate: MEMORY_ESTIMATE,
    };
    Ok((stage, blob))
}

/// The name of a blob.
pub fn hash_of(bytes: &[u8]) -> BlobHash {
    BlobHash(Sha256::digest(bytes).into())
}

fn inputs_of(draft: &StageDraft, encoded: &EncodedStage) -> Result<Vec<StageInput>> {
    let mut inputs = vec![];
    for reader in readers(draft) {
        let mode = match reader.mapping() {
            Mapping::Shuffle | Mapping::Forward { .. } => ReadMode::Partitions,
            Mapping::Broadcast => ReadMode::All,
        };
        inputs.push(StageInput { exchange: reader.exchange(), mode });
    }
    let named: Vec<ExchangeId> = inputs.iter().map(|input| input.exchange).collect();
    if named != encoded.exchanges {
        return internal_err!("the leaves of a stage were encoded in another order than they stand");
    }
    inputs.extend(encoded.scalars.iter().map(|exchange| StageInput { exchange: *exchange, mode: ReadMode::Scalar }));
    Ok(inputs)
}

fn readers(draft: &StageDraft) -> Vec<&ExchangeReaderExec> {
    leaf_ranges(&draft.plan, 0..0).into_iter().filter_map(|(leaf, _)| leaf.downcast_ref()).collect()
}

fn task_of(draft: &StageDraft, encoded: &EncodedStage, inputs: usize, partitions: Range<u32>) -> Result<TaskSpec> {
    let mut splits = TaskSplits::default();
    let mut reads: Vec<Range<u32>> = vec![];
    let mut scans = encoded.scans.iter().enumerate();
    let mut keep_statistics = false;
    for (leaf, range) in leaf_ranges(&draft.plan, partitions.clone()) {
        if leaf.is::<ExchangeReaderExec>() {
            reads.push(range);
        } else if let Some(config) = file_scan(leaf) {
            match scans.next() {
                Some((index, scan)) if same_leaf(scan, leaf) => {
                    keep_statistics |= !config.output_ordering.is_empty();
                    for partition in range {
                        let files = config.file_groups[partition as usize].files();
                        if !files.is_empty() {
                            splits.insert(index as u32, partition, files.to_vec());
                        }
                    }
                }
                _ => return internal_err!("the scans of a stage were encoded in another order than they stand"),
            }
        }
    }
    reads.resize(inputs, 0..0);
    Ok(TaskSpec { partitions, reads, splits: splits.encode(keep_statistics)?, slots: draft.slots })
}

fn same_leaf(a: &Arc<dyn ExecutionPlan>, b: &Arc<dyn ExecutionPlan>) -> bool {
    Arc::ptr_eq(a, b)
}

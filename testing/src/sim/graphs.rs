//! Random stage graphs: every kind of exchange, shared exchanges, indeterminate stages, tasks of several slots, commits.

use std::sync::Arc;

use windrow_common::{
    BlobHash, Determinism, ExchangeId, ExchangeKind, ReadMode, Stage, StageGraph, StageId, StageInput, TaskSpec,
};

use super::dice::Dice;

/// A graph of up to six stages of up to six tasks.
pub fn random_graph(dice: &mut Dice) -> Arc<StageGraph> {
    let count = dice.between(1, 6) as usize;
    let mut stages: Vec<Stage> = Vec::with_capacity(count);
    let mut unread: Vec<u32> = Vec::new();
    for index in 0..count {
        let last = index + 1 == count;
        let inputs = if last {
            // Whatever nobody has read yet must be read now.
            let mut all = std::mem::take(&mut unread);
            if index > 0 && dice.chance(200) {
                all.push(dice.below(index) as u32);
            }
            all
        } else if index == 0 || dice.chance(250) {
            Vec::new()
        } else {
            let mut some = vec![dice.below(index) as u32];
            if dice.chance(300) {
                some.push(dice.below(index) as u32);
            }
            unread.retain(|stage| !some.contains(stage));
            some
        };
        let stage = random_stage(dice, &stages, index as u32, &inputs);
        stages.push(stage);
        unread.push(index as u32);
    }
    let result = ExchangeId(count as u32 - 1);
    Arc::new(StageGraph { revision: 0, stages, result, commits: dice.chance(250) })
}

fn random_stage(dice: &mut Dice, before: &[Stage], index: u32, inputs: &[u32]) -> Stage {
    let output = match dice.below(6) {
        0 | 1 => ExchangeKind::Shuffle,
        2 => ExchangeKind::Forward,
        3 => ExchangeKind::Gather,
        4 => ExchangeKind::Broadcast,
        _ => ExchangeKind::Scalar,
    };
    let tasks = if output == ExchangeKind::Scalar { 1 } else { dice.between(1, 6) };
    let width = dice.between(1, 2);
    let inputs: Vec<StageInput> = inputs
        .iter()
        .map(|from| {
            let mode = match before[*from as usize].output {
                ExchangeKind::Scalar => ReadMode::Scalar,
                ExchangeKind::Broadcast => ReadMode::All,
                ExchangeKind::Gather if tasks == 1 => ReadMode::All,
                ExchangeKind::Shuffle | ExchangeKind::Forward | ExchangeKind::Gather => {
                    if dice.chance(150) {
                        ReadMode::All
                    } else {
                        ReadMode::Partitions
                    }
                }
            };
            StageInput { exchange: ExchangeId(*from), mode }
        })
        .collect();
    let output_partitions = match output {
        ExchangeKind::Shuffle => dice.between(1, 8),
        ExchangeKind::Forward | ExchangeKind::Gather => tasks * width,
        ExchangeKind::Broadcast | ExchangeKind::Scalar => 1,
    };
    let specs = (0..tasks)
        .map(|task| TaskSpec {
            partitions: task * width..(task + 1) * width,
            reads: inputs
                .iter()
                .map(|input| {
                    let all = before[input.exchange.0 as usize].output_partitions;
                    all * task / tasks..all * (task + 1) / tasks
                })
                .collect(),
            splits: if inputs.is_empty() { vec![task as u8] } else { Vec::new() },
            slots: if dice.chance(120) { dice.between(2, 6) } else { 1 },
        })
        .collect();
    let determinism = match dice.below(10) {
        0..5 => Determinism::Exact,
        5..7 => Determinism::SameMultiset,
        _ => Determinism::Indeterminate,
    };
    Stage {
        id: StageId(index),
        plan: BlobHash([index as u8; 32]),
        inputs,
        output,
        output_partitions,
        tasks: specs,
        determinism,
        memory_estimate: 1 << 20,
    }
}

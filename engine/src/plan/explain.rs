//! EXPLAIN: the stages, the exchanges between them, and what either way of running the plan is thought to cost.

use std::fmt::Write;

use datafusion::common::Result;
use datafusion::physical_plan::displayable;
use windrow_common::{ByteSize, ExchangeKind};

use super::cost::Costs;
use super::cut::{CutPlan, StageDraft};
use super::determinism;
use crate::codec::OutputDivision;

/// The text of both plans and of the choice between them.
pub fn render(one: &CutPlan, many: &CutPlan, costs: &Costs, chosen: &CutPlan, reason: &str) -> Result<String> {
    let mut text = String::new();
    let fast = std::ptr::eq(one, chosen);
    let name = if fast { "one task (no exchanges)" } else { "many tasks (with exchanges)" };
    line(&mut text, 0, format_args!("runs as: {name}: {reason}"));
    line(
        &mut text,
        0,
        format_args!(
            "cost: one task {:.3} s, many tasks {:.3} s (reads about {}, exchanges about {})",
            costs.one_task,
            costs.many_tasks,
            ByteSize(costs.input_bytes as u64),
            ByteSize(costs.exchanged_bytes as u64),
        ),
    );
    for (index, stage) in chosen.stages.iter().enumerate() {
        render_stage(&mut text, index, stage, index + 1 == chosen.stages.len())?;
    }
    if fast && many.stages.len() > 1 {
        line(&mut text, 0, format_args!("with exchanges it would be {} stages", many.stages.len()));
    }
    Ok(text.trim_end().to_owned())
}

fn render_stage(text: &mut String, index: usize, stage: &StageDraft, last: bool) -> Result<()> {
    let tasks = stage.tasks.len();
    let plural = if tasks == 1 { "" } else { "s" };
    let determinism = determinism::of_stage(stage)?;
    line(text, 0, format_args!("stage-{index}: {tasks} task{plural}, {determinism:?}"));
    let output = match (stage.kind, &stage.division) {
        (_, _) if last => "result".to_owned(),
        (ExchangeKind::Shuffle, OutputDivision::Hash(keys)) => {
            let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
            format!("exchange-{index}: Shuffle(hash [{}], {})", keys.join(", "), stage.output_partitions)
        }
        (ExchangeKind::Gather, _) => format!("exchange-{index}: Gather"),
        (ExchangeKind::Broadcast, _) => format!("exchange-{index}: Broadcast"),
        (ExchangeKind::Scalar, _) => format!("exchange-{index}: Scalar"),
        (ExchangeKind::Forward | ExchangeKind::Shuffle, _) => format!("exchange-{index}: Forward"),
    };
    line(text, 1, format_args!("-> {output}"));
    for operator in displayable(stage.plan.as_ref()).indent(false).to_string().lines() {
        line(text, 2, format_args!("{operator}"));
    }
    Ok(())
}

fn line(text: &mut String, depth: usize, content: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{:indent$}{content}", "", indent = depth * 2);
}

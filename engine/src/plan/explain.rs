//! EXPLAIN: the stages, the exchanges between them, and what either way of running the plan is thought to cost. With
//! ANALYZE also what it did cost, operator by operator beside the estimates.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::Result;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use windrow_common::{ByteSize, ExchangeKind, JobReport, OperatorMetrics, StageReport};

use super::cost::Costs;
use super::cut::{CutPlan, StageDraft};
use super::determinism;
use crate::codec::OutputDivision;

/// What is said of a plan, before or after it has run.
#[derive(Debug)]
pub struct Explanation {
    /// Lines about the whole.
    head: Vec<String>,
    stages: Vec<StageText>,
    /// Lines after all else.
    tail: Vec<String>,
}

#[derive(Debug)]
struct StageText {
    title: String,
    output: String,
    /// Each operator before its inputs.
    operators: Vec<OperatorText>,
}

#[derive(Debug)]
struct OperatorText {
    depth: usize,
    text: String,
    /// Rows that are thought to come out of it.
    estimate: Option<usize>,
}

impl Explanation {
    /// Of both plans and the choice between them.
    pub fn new(one: &CutPlan, many: &CutPlan, costs: &Costs, chosen: &CutPlan, reason: &str) -> Result<Self> {
        let fast = std::ptr::eq(one, chosen);
        let name = if fast { "one task (no exchanges)" } else { "many tasks (with exchanges)" };
        let head = vec![
            format!("runs as: {name}: {reason}"),
            format!(
                "cost: one task {:.3} s, many tasks {:.3} s (reads about {}, exchanges about {})",
                costs.one_task,
                costs.many_tasks,
                ByteSize(costs.input_bytes as u64),
                ByteSize(costs.exchanged_bytes as u64),
            ),
        ];
        let last = chosen.stages.len().saturating_sub(1);
        let stages = chosen.stages.iter().enumerate().map(|(index, stage)| stage_text(index, stage, index == last));
        let stages = stages.collect::<Result<_>>()?;
        let mut tail = vec![];
        if fast && many.stages.len() > 1 {
            tail.push(format!("with exchanges it would be {} stages", many.stages.len()));
        }
        Ok(Self { head, stages, tail })
    }

    /// The text of a plan that was not run.
    pub fn plan(&self) -> String {
        self.render(None)
    }

    /// The text of a plan, and of what its run has done.
    pub fn run(&self, report: &JobReport) -> String {
        self.render(Some(report))
    }

    fn render(&self, report: Option<&JobReport>) -> String {
        let mut text = String::new();
        for head in &self.head {
            line(&mut text, 0, head);
        }
        if let Some(report) = report {
            line(&mut text, 0, &totals(report));
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let done = report.and_then(|report| report.stages.get(index));
            line(&mut text, 0, &stage.title);
            if let Some(done) = done {
                line(&mut text, 1, &stage_figures(done));
            }
            line(&mut text, 1, &format!("-> {}", stage.output));
            for (place, operator) in stage.operators.iter().enumerate() {
                let metrics = done.and_then(|done| done.operators.get(place));
                let figures = metrics.map(|metrics| operator_figures(operator, metrics)).unwrap_or_default();
                line(&mut text, 2 + operator.depth, &format!("{}{figures}", operator.text));
            }
        }
        for tail in &self.tail {
            line(&mut text, 0, tail);
        }
        text.trim_end().to_owned()
    }
}

fn stage_text(index: usize, stage: &StageDraft, last: bool) -> Result<StageText> {
    let tasks = stage.tasks.len();
    let plural = if tasks == 1 { "" } else { "s" };
    let determinism = determinism::of_stage(stage)?;
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
    let mut operators = vec![];
    let mut pending = vec![(&stage.plan, 0)];
    while let Some((plan, depth)) = pending.pop() {
        let text = displayable(plan.as_ref()).one_line().to_string().trim_end().to_owned();
        operators.push(OperatorText { depth, text, estimate: estimate(plan) });
        pending.extend(plan.children().into_iter().rev().map(|child| (child, depth + 1)));
    }
    Ok(StageText { title: format!("stage-{index}: {tasks} task{plural}, {determinism:?}"), output, operators })
}

fn estimate(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
    statistics.num_rows.get_value().copied()
}

fn totals(report: &JobReport) -> String {
    let rejected = match report.rejected_rows() {
        0 => String::new(),
        rows => format!("; {rows} malformed rows of files left out"),
    };
    format!(
        "ran: {:?} in {} task{}, exchanged {}, {} of it between processes{rejected}",
        rounded(report.elapsed_micros.saturating_mul(1000)),
        report.tasks(),
        if report.tasks() == 1 { "" } else { "s" },
        ByteSize(report.exchanged_bytes()),
        ByteSize(report.fetched_bytes()),
    )
}

fn stage_figures(stage: &StageReport) -> String {
    let failed = match stage.failed_attempts {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    format!(
        "{} attempt{}{failed} on {} worker{}, {:?} in all; out {} rows, {}; fetched {}, spilled {}",
        stage.attempts,
        if stage.attempts == 1 { "" } else { "s" },
        stage.workers.len(),
        if stage.workers.len() == 1 { "" } else { "s" },
        rounded(stage.busy_micros.saturating_mul(1000)),
        stage.rows,
        ByteSize(stage.output_bytes),
        ByteSize(stage.fetched_bytes),
        ByteSize(stage.spilled_bytes),
    )
}

fn operator_figures(operator: &OperatorText, metrics: &OperatorMetrics) -> String {
    let mut figures = vec![];
    match (metrics.rows, operator.estimate) {
        (Some(rows), Some(estimate)) => figures.push(format!("rows={rows} (estimated {estimate})")),
        (Some(rows), None) => figures.push(format!("rows={rows}")),
        (None, Some(estimate)) => figures.push(format!("estimated rows={estimate}")),
        (None, None) => {}
    }
    if metrics.compute_nanos > 0 {
        figures.push(format!("time={:?}", rounded(metrics.compute_nanos)));
    }
    if metrics.scanned_bytes > 0 {
        figures.push(format!("read={}", ByteSize(metrics.scanned_bytes)));
    }
    if metrics.spilled_bytes > 0 {
        figures.push(format!("spilled={}", ByteSize(metrics.spilled_bytes)));
    }
    if figures.is_empty() { String::new() } else { format!("  [{}]", figures.join(", ")) }
}

/// A time to as many digits as anybody reads.
fn rounded(nanos: u64) -> Duration {
    let digits = nanos.checked_ilog10().unwrap_or(0).saturating_sub(2);
    let unit = 10_u64.pow(digits);
    Duration::from_nanos(nanos / unit * unit)
}

fn line(text: &mut String, depth: usize, content: &str) {
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{:indent$}{content}", "", indent = depth * 2);
}

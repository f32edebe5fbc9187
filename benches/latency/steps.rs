//! What was measured: the steps of a statement, and the median and the 90th percentile of each.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use windrow_cli::grid::{Align, Grid};

/// A step of a statement, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The baseline.
    Bare,
    /// The first call.
    GetFlightInfo,
    /// The second call.
    DoGet,
    /// Both.
    Statement,
    /// Parsing and analysing alone.
    Describe,
    /// From the text to a job that the driver has.
    Accepted,
    /// From there to the news that its task runs.
    TaskStarts,
    /// What the worker says that the task took.
    TaskRuns,
    /// From acceptance to the first row.
    Rows,
    /// From the first row to the end.
    Done,
    /// All of it.
    Inside,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Bare => "ListActions: a bare call (baseline)",
            Step::GetFlightInfo => "GetFlightInfo",
            Step::DoGet => "DoGet, to the last row",
            Step::Statement => "both calls",
            Step::Describe => "inside: parsed and analysed",
            Step::Accepted => "inside: planned and submitted",
            Step::TaskStarts => "inside: submitted to task running",
            Step::TaskRuns => "inside: task, as its worker reports",
            Step::Rows => "inside: submitted to first row read",
            Step::Done => "inside: first row to end",
            Step::Inside => "inside: all but the client's calls",
        }
    }
}

/// All measured times.
pub struct Steps {
    runs: u32,
    times: BTreeMap<Step, Vec<Duration>>,
}

impl Steps {
    /// Nothing measured yet.
    pub fn new(runs: u32) -> Steps {
        Steps { runs, times: BTreeMap::new() }
    }

    /// Adds the times of one run.
    pub fn add(&mut self, times: &[(Step, Duration)]) {
        for (step, time) in times {
            self.times.entry(*step).or_default().push(*time);
        }
    }

    /// Each step with its times in order.
    fn sorted(&self) -> Vec<(Step, Vec<Duration>)> {
        let sorted = |(step, times): (&Step, &Vec<Duration>)| {
            let mut times = times.clone();
            times.sort_unstable();
            (*step, times)
        };
        self.times.iter().map(sorted).collect()
    }

    /// The outcome for programs; times in microseconds.
    pub fn json(&self) -> Value {
        let step = |(step, times): &(Step, Vec<Duration>)| {
            let all: Vec<u128> = times.iter().map(Duration::as_micros).collect();
            json!({"step": step.name(), "median": at(times, 50).as_micros(), "p90": at(times, 90).as_micros(), "runs": all})
        };
        json!({"runs": self.runs, "steps": self.sorted().iter().map(step).collect::<Vec<_>>()})
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [("step", Align::Left), ("median ms", Align::Right), ("90 % ms", Align::Right)];
        let mut grid = Grid::new(&[&columns[..], &[("× bare call", Align::Right), ("seen", Align::Right)]].concat());
        let sorted = self.sorted();
        let bare = sorted.first().map_or(Duration::ZERO, |(_, times)| at(times, 50)).as_secs_f64();
        for (step, times) in &sorted {
            let millis = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
            let (median, slow) = (at(times, 50), at(times, 90));
            let ratio = format!("{:.1}", median.as_secs_f64() / bare.max(f64::EPSILON));
            grid.row(vec![step.name().to_owned(), millis(median), millis(slow), ratio, times.len().to_string()]);
        }
        write!(f, "{grid}Of {} runs, in turns. \"inside\" is measured in the coordinator's process.", self.runs)
    }
}

/// The time below which so many percent lie.
fn at(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

//! What was measured: medians of each query, their totals, and how these compare.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use windrow_cli::grid::{Align, Grid};
use windrow_cli::tpch::run::median;
use windrow_tpch::Query;

use crate::Times;
use crate::contestant::{COUNT, NAMES};

/// All measured times.
pub struct Outcome {
    cores: u32,
    runs: u32,
    queries: Vec<(Query, Vec<Times>)>,
}

impl Outcome {
    /// Nothing measured yet.
    pub fn new(cores: u32, runs: u32, queries: &[Query]) -> Outcome {
        Outcome { cores, runs, queries: queries.iter().map(|query| (*query, Vec::new())).collect() }
    }

    /// Adds a run of the query at this index.
    pub fn add(&mut self, index: usize, times: Times) {
        self.queries[index].1.push(times);
    }

    fn medians(&self, runs: &[Times]) -> Times {
        std::array::from_fn(|who| median(&runs.iter().map(|times| times[who]).collect::<Vec<_>>()))
    }

    fn totals(&self) -> Times {
        let medians: Vec<Times> = self.queries.iter().map(|(_, runs)| self.medians(runs)).collect();
        std::array::from_fn(|who| medians.iter().map(|times| times[who]).sum())
    }

    /// The outcome for programs; times in seconds.
    pub fn json(&self) -> Value {
        let seconds = |times: &Times| times.map(|time| time.as_secs_f64());
        let query = |(query, runs): &(Query, Vec<Times>)| {
            let runs_of = |who: usize| runs.iter().map(|times| times[who].as_secs_f64()).collect::<Vec<_>>();
            let all: Vec<Vec<f64>> = (0..COUNT).map(runs_of).collect();
            json!({"q": query.to_string(), "median": seconds(&self.medians(runs)), "runs": all})
        };
        let totals = self.totals();
        json!({
            "contestants": NAMES,
            "cores": self.cores,
            "runs": self.runs,
            "queries": self.queries.iter().map(query).collect::<Vec<_>>(),
            "total": seconds(&totals),
            "embedded_to_datafusion": ratio(totals[1], totals[0]),
            "cluster_to_embedded": ratio(totals[2], totals[1]),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["DataFusion s", "embedded s", "cluster s", "embedded/DataFusion", "cluster/embedded"];
        let columns = columns.map(|name| (name, Align::Right));
        let mut grid = Grid::new(&[&[("query", Align::Left)], &columns[..]].concat());
        let row = |name: String, times: Times| {
            let seconds = times.map(|time| format!("{:.3}", time.as_secs_f64()));
            let ratios = [ratio(times[1], times[0]), ratio(times[2], times[1])].map(|ratio| format!("{ratio:.2}"));
            [&[name], &seconds[..], &ratios[..]].concat()
        };
        for (query, runs) in &self.queries {
            grid.row(row(query.to_string(), self.medians(runs)));
        }
        grid.footer(row("total".to_owned(), self.totals()));
        write!(
            f,
            "{grid}Medians of {} interleaved runs. DataFusion and embedded: {1} cores in one process. Cluster: {1} worker \
             processes of one core,\nexchanges forced.",
            self.runs, self.cores
        )
    }
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(f64::EPSILON)
}

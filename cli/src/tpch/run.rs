//! `windrow tpch run`: the queries and their times.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use windrow::Session;
use windrow_common::Result;
use windrow_common::time::Clock;
use windrow_tpch::{Dataset, Query};

use crate::drive;
use crate::grid::{Align, Grid};
use crate::interrupt::Interrupt;
use crate::local_cluster::{LocalCluster, LocalClusterConfig};
use crate::progress::ProgressLine;
use crate::stdout::say;
use crate::target::{self, Target};

const EXAMPLES: &str = "\
Examples:
  windrow tpch run --data tpch-1
  windrow tpch run --data tpch-1 --queries 1,3,q18 --runs 5 --json
  windrow tpch run --data tpch-1 --workers 2 --set windrow.fast_path=off

With --json one line a query: {\"q\":\"q01\",\"s\":[seconds of each run],\"rows\":n}";

/// `windrow tpch run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunCommand {
    /// Directory with the eight tables
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Queries to run, for example 1,3,18 [default: all 22]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub queries: Vec<Query>,
    /// Runs of each query
    #[arg(long, value_name = "N", default_value = "1")]
    pub runs: NonZeroU32,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// A setting of the session; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Run on a cluster of N worker processes, started for it; --cores and --memory are then those of each
    #[arg(long, value_name = "N", conflicts_with = "connect")]
    pub workers: Option<NonZeroU32>,
    /// Where it runs.
    #[command(flatten)]
    pub target: Target,
}

/// The times of one query.
struct Times {
    query: Query,
    rows: usize,
    runs: Vec<Duration>,
}

impl RunCommand {
    /// Runs the queries.
    pub async fn run(self) -> Result<()> {
        let dataset = Dataset::open(&self.data)?;
        let mut interrupt = Interrupt::listen()?;
        let Some(workers) = self.workers else {
            let session = interrupt.or_cancelled(self.target.open()).await?;
            let result = self.run_queries(&session, &dataset, &mut interrupt).await;
            target::close(session).await;
            return result;
        };
        let mut config = LocalClusterConfig::new(workers.get(), self.target.cores.map_or(1, NonZeroU32::get))?;
        config.memory = self.target.memory.unwrap_or(config.memory);
        let cluster = interrupt.or_cancelled(LocalCluster::start(config)).await?;
        let result = self.run_on(&cluster, &dataset, &mut interrupt).await;
        cluster.shutdown().await;
        result
    }

    async fn run_on(&self, cluster: &LocalCluster, dataset: &Dataset, interrupt: &mut Interrupt) -> Result<()> {
        let target = Target { connect: Some(cluster.url()), ..Target::default() };
        let session = interrupt.or_cancelled(target.open()).await?;
        let result = self.run_queries(&session, dataset, interrupt).await;
        target::close(session).await;
        result
    }

    async fn run_queries(&self, session: &Session, dataset: &Dataset, interrupt: &mut Interrupt) -> Result<()> {
        let mut line = ProgressLine::new("queries");
        prepare(session, dataset, &self.settings, interrupt, &mut line).await?;
        let queries: Vec<Query> = if self.queries.is_empty() { Query::all().collect() } else { self.queries.clone() };
        let mut all = Vec::with_capacity(queries.len());
        for (index, query) in queries.iter().enumerate() {
            line.message(query.to_string());
            line.update(index as u64, queries.len() as u64);
            let times = self.run_query(session, *query, interrupt, &mut line).await?;
            if self.json {
                let seconds: Vec<f64> = times.runs.iter().map(|run| round(run.as_secs_f64())).collect();
                let text = json!({"q": query.to_string(), "s": seconds, "rows": times.rows}).to_string();
                say(&text);
            }
            all.push(times);
        }
        line.clear();
        if !self.json {
            say(grid(&all).to_string().trim_end());
        }
        Ok(())
    }

    async fn run_query(
        &self,
        session: &Session,
        query: Query,
        interrupt: &mut Interrupt,
        line: &mut ProgressLine,
    ) -> Result<Times> {
        let mut times = Times { query, rows: 0, runs: Vec::new() };
        // The tasks of a query have a line of their own, which is not shown beside that of the queries.
        for _ in 0..self.runs.get() {
            let clock = Clock::start();
            let start = clock.now();
            let execution = drive::start(session, query.sql(), interrupt, line).await;
            let mut rows = 0;
            let mut quiet = ProgressLine::hidden();
            let reading = drive::finish(execution.map_err(|e| e.context(query))?, interrupt, &mut quiet, |batch, _| {
                rows += batch.num_rows();
                Ok(())
            });
            reading.await.map_err(|error| error.context(query))?;
            line.tick();
            times.runs.push(clock.now().since(start));
            times.rows = rows;
        }
        Ok(times)
    }
}

/// Makes the tables and settings known to a session.
pub async fn prepare(
    session: &Session,
    dataset: &Dataset,
    settings: &[(String, String)],
    interrupt: &mut Interrupt,
    line: &mut ProgressLine,
) -> Result<()> {
    let set = |(key, value): &(String, String)| format!("SET {key} = '{}'", value.replace('\'', "''"));
    for sql in settings.iter().map(set).chain(dataset.create_tables()) {
        drive::collect(session, &sql, interrupt, line).await?;
    }
    Ok(())
}

fn setting(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    let is_name = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_');
    pair.filter(|(key, _)| is_name(key))
        .ok_or_else(|| format!("'{text}' is not a setting; write KEY=VALUE, for example windrow.fast_path=off"))
}

/// Seconds to the microsecond.
fn round(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// The middle of some times; of two in the middle, the mean.
pub fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => Duration::ZERO,
        n if n % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2,
    }
}

fn grid(all: &[Times]) -> Grid {
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    let right = Align::Right;
    let mut grid =
        Grid::new(&[("query", Align::Left), ("rows", right), ("median s", right), ("min", right), ("max", right)]);
    for times in all {
        grid.row(vec![
            times.query.to_string(),
            times.rows.to_string(),
            seconds(median(&times.runs)),
            seconds(times.runs.iter().copied().min().unwrap_or_default()),
            seconds(times.runs.iter().copied().max().unwrap_or_default()),
        ]);
    }
    let total = all.iter().map(|times| median(&times.runs)).sum();
    grid.footer(vec!["total".to_owned(), String::new(), seconds(total)]);
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        let times = |seconds: &[u64]| seconds.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        assert_eq!(median(&times(&[9, 1, 2])), Duration::from_secs(2));
        assert_eq!(median(&times(&[4, 2])), Duration::from_secs(3));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn settings_are_pairs() {
        assert_eq!(setting("windrow.fast_path=off"), Ok(("windrow.fast_path".to_owned(), "off".to_owned())));
        assert!(setting("x").is_err() && setting("=1").is_err() && setting("a b=1").is_err());
    }
}

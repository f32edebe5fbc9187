//! One query on the cluster and in single-process DataFusion, and whether the answers are the same.

use std::time::Duration;

use windrow::{JobReport, Session};
use windrow_common::time::Clock;
use windrow_common::{Error, ErrorKind, Result};
use windrow_tpch::{Oracle, Query, compare};

use crate::drive;
use crate::interrupt::Interrupt;
use crate::progress::ProgressLine;

/// What came of one query.
#[derive(Clone, Debug)]
pub struct Round {
    /// The query.
    pub query: Query,
    /// What single-process DataFusion answered: rows.
    pub rows: usize,
    /// How long that took.
    pub baseline: Duration,
    /// What the cluster did, and how its answer differs if it does; or its error.
    pub cluster: Result<ClusterRun>,
}

/// A query's run on the cluster.
#[derive(Clone, Debug)]
pub struct ClusterRun {
    /// Wall time from text to last row.
    pub elapsed: Duration,
    /// The job's report.
    pub report: JobReport,
    /// How the answer differs from the right one; none when it is right.
    pub difference: Option<String>,
}

impl Round {
    /// Whether the cluster gave the right answer.
    pub fn is_right(&self) -> bool {
        self.cluster.as_ref().is_ok_and(|run| run.difference.is_none())
    }
}

/// Runs all queries. A query that fails on the cluster is a round with an error; a cluster that is gone ends it all.
pub async fn run_all(
    session: &Session,
    oracle: &Oracle,
    interrupt: &mut Interrupt,
    line: &mut ProgressLine,
) -> Result<Vec<Round>> {
    let total = Query::all().count() as u64;
    let mut rounds = Vec::new();
    for (index, query) in Query::all().enumerate() {
        line.message(query.to_string());
        line.update(index as u64, total);
        rounds.push(run(session, oracle, query, interrupt, line).await?);
    }
    line.clear();
    Ok(rounds)
}

async fn run(
    session: &Session,
    oracle: &Oracle,
    query: Query,
    interrupt: &mut Interrupt,
    line: &mut ProgressLine,
) -> Result<Round> {
    let clock = Clock::start();
    let start = clock.now();
    let (mut quiet, mut its_interrupt) = (ProgressLine::hidden(), interrupt.clone());
    // The line of the queries goes on ticking while the query, with a hidden line of its own, runs.
    let running = drive::collect(session, query.sql(), &mut its_interrupt, &mut quiet);
    let answer = {
        let mut running = std::pin::pin!(running);
        drive::ticking(async { Ok(running.as_mut().await) }, interrupt, line).await?
    };
    let elapsed = clock.now().since(start);
    let (expected, baseline) = drive::ticking(oracle.run(query.sql()), interrupt, line).await?;
    let cluster = match answer {
        Ok((actual, report)) => {
            let difference = compare(&expected, &actual)?.map(|difference| difference.to_string());
            Ok(ClusterRun { elapsed, report, difference })
        }
        Err(error) if ends_it_all(&error) => return Err(error.context(query)),
        Err(error) => Err(error),
    };
    let rows = expected.iter().map(|batch| batch.num_rows()).sum();
    Ok(Round { query, rows, baseline, cluster })
}

fn ends_it_all(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Cancelled | ErrorKind::Unavailable | ErrorKind::Version)
}

//! What the demo prints at its end.

use std::fmt;
use std::time::Duration;

use windrow_common::{ByteSize, Error, Result};

use super::round::Round;
use crate::grid::{Align, Grid};

/// All rounds.
#[derive(Clone, Debug)]
pub struct Report {
    /// One entry a query.
    pub rounds: Vec<Round>,
    /// Worker processes, and threads of single-process DataFusion.
    pub workers: u32,
}

impl Report {
    /// An error unless every answer was right.
    pub fn verdict(&self) -> Result<()> {
        let wrong = self.rounds.iter().filter(|round| !round.is_right()).count();
        match wrong {
            0 => Ok(()),
            _ => Err(Error::internal(format!("{wrong} of {} answers were not right", self.rounds.len()))),
        }
    }

    fn grid(&self) -> Grid {
        let columns = ["rows", "cluster s", "DataFusion s", "tasks", "exchanged", "between processes", "right?"];
        let columns = columns.map(|name| (name, Align::Right));
        let mut grid = Grid::new(&[&[("query", Align::Left)], &columns[..]].concat());
        let (mut cluster, mut baseline, mut tasks, mut exchanged, mut moved) =
            (Duration::ZERO, Duration::ZERO, 0, 0, 0);
        for round in &self.rounds {
            baseline += round.baseline;
            let head = [round.query.to_string(), round.rows.to_string()];
            let Ok(run) = &round.cluster else {
                let error = ["error".to_owned(), seconds(round.baseline)];
                let empty = [String::new(), String::new(), String::new(), "NO".to_owned()];
                grid.row([&head[..], &error, &empty].concat());
                continue;
            };
            cluster += run.elapsed;
            tasks += run.report.tasks();
            exchanged += run.report.exchanged_bytes();
            moved += run.report.fetched_bytes();
            let times = [seconds(run.elapsed), seconds(round.baseline), run.report.tasks().to_string()];
            let bytes = [size(run.report.exchanged_bytes()), size(run.report.fetched_bytes())];
            let right = [if round.is_right() { "yes" } else { "NO" }.to_owned()];
            grid.row([&head[..], &times, &bytes, &right].concat());
        }
        let right = self.rounds.iter().filter(|round| round.is_right()).count();
        grid.footer(vec![
            "total".to_owned(),
            String::new(),
            seconds(cluster),
            seconds(baseline),
            tasks.to_string(),
            size(exchanged),
            size(moved),
            format!("{right}/{}", self.rounds.len()),
        ]);
        grid
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.grid())?;
        for round in &self.rounds {
            match &round.cluster {
                Ok(run) => {
                    if let Some(difference) = &run.difference {
                        writeln!(f, "{}: {difference}", round.query)?;
                    }
                }
                Err(error) => writeln!(f, "{}: {error}", round.query)?,
            }
        }
        write!(
            f,
            "Cluster: {0} worker processes of one core, exchanges forced. DataFusion: one process, {0} threads, the same \
             files.\nAn answer is right when it has the same rows as DataFusion's, in any order, floating-point numbers to \
             1e-9.",
            self.workers
        )
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

//! `windrow demo`: TPC-H on worker processes of this machine, every answer checked against single-process DataFusion.
//!
//! It makes what it needs (data, processes, scratch space) and leaves nothing behind, also when it is interrupted;
//! only data in a directory of the user's choice stays.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::TempDir;
use windrow_common::{Error, Result};
use windrow_tpch::generate::Generator;
use windrow_tpch::{Dataset, Oracle};

use crate::interrupt::Interrupt;
use crate::local_cluster::{LocalCluster, LocalClusterConfig};
use crate::progress::ProgressLine;
use crate::stdout::say;
use crate::target::{self, Target};
use crate::tpch::generate::generate;
use crate::tpch::run::prepare;

mod report;
mod round;

use report::Report;

const EXAMPLES: &str = "\
Examples:
  windrow demo                              scale 1, two workers of one core
  windrow demo --scale 0.1 --workers 4
  windrow demo --dir tpch-1                 keeps the data in tpch-1, and uses it again the next time";

/// `windrow demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoCommand {
    /// Scale factor of the data; 1 is 8.7 million rows
    #[arg(long, value_name = "N", default_value = "1")]
    pub scale: f64,
    /// Directory for the data, which then stays [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Worker processes, of one core each
    #[arg(long, value_name = "N", default_value = "2")]
    pub workers: NonZeroU32,
    /// Keep the temporary directory with the data
    #[arg(long)]
    pub keep: bool,
}

impl DemoCommand {
    /// Runs the demo; an error unless every answer was right.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let temporary = tempfile::Builder::new()
            .prefix("windrow-demo-")
            .tempdir()
            .map_err(|error| Error::io(format!("cannot make a temporary directory: {error}")))?;
        let data = self.dir.clone().unwrap_or_else(|| temporary.path().join("tpch"));
        let result = self.run_in(&data, temporary.path(), &mut interrupt).await;
        self.clean_up(temporary, &data);
        let report = result?;
        say(&report.to_string());
        report.verdict()?;
        say(&self.what_next(&data));
        Ok(())
    }

    async fn run_in(&self, data: &Path, scratch: &Path, interrupt: &mut Interrupt) -> Result<Report> {
        say(&format!("TPC-H at scale {} in '{}'", self.scale, data.display()));
        let generator = Generator { scale: self.scale, output: data.to_owned(), force: false };
        generate(generator, interrupt).await?;
        let dataset = Dataset::open(data)?;
        let mut config = LocalClusterConfig::new(self.workers.get(), 1)?;
        config.scratch = scratch.to_owned();
        let cluster = interrupt.or_cancelled(LocalCluster::start(config)).await?;
        let result = self.run_queries(&cluster, &dataset, interrupt).await;
        cluster.shutdown().await;
        result
    }

    async fn run_queries(
        &self,
        cluster: &LocalCluster,
        dataset: &Dataset,
        interrupt: &mut Interrupt,
    ) -> Result<Report> {
        for worker in cluster.workers().await? {
            say(&format!("{}: process {}, {} core", worker.id, worker.pid, worker.slots));
        }
        let target = Target { connect: Some(cluster.url()), ..Target::default() };
        let session = interrupt.or_cancelled(target.open()).await?;
        let mut line = ProgressLine::new("queries");
        let settings = [("windrow.fast_path".to_owned(), "off".to_owned())];
        prepare(&session, dataset, &settings, interrupt, &mut line).await?;
        let oracle = Oracle::new(self.workers.get())?;
        for sql in dataset.create_tables() {
            interrupt.or_cancelled(oracle.run(&sql)).await?;
        }
        let rounds = round::run_all(&session, &oracle, interrupt, &mut line).await;
        target::close(session).await;
        Ok(Report { rounds: rounds?, workers: self.workers.get() })
    }

    fn clean_up(&self, temporary: TempDir, data: &Path) {
        if self.keep && self.dir.is_none() {
            let _ = temporary.keep();
            say(&format!("The data stays in '{}'.", data.display()));
        } else if let Err(error) = temporary.close() {
            eprintln!("warning: cannot remove the temporary directory: {error}");
        }
    }

    fn what_next(&self, data: &Path) -> String {
        let data = match (&self.dir, self.keep) {
            (None, false) => "tpch-1".to_owned(),
            _ => data.display().to_string(),
        };
        let make = match (&self.dir, self.keep) {
            (None, false) => "  windrow tpch generate --scale 1 --output tpch-1\n",
            _ => "",
        };
        format!(
            "\nTry next:\n{make}  windrow sql -c \"SELECT l_shipmode, count(*) FROM '{data}/lineitem.parquet' GROUP BY 1\"\n  \
             windrow tpch run --data {data} --workers 2\n  \
             windrow up --workers 2      and then: windrow sql --connect grpc://127.0.0.1:7070"
        )
    }
}

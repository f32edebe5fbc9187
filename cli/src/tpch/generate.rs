//! `windrow tpch generate`: the eight tables as Parquet files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use tokio::sync::mpsc;
use windrow_common::{Error, Result};
use windrow_tpch::Generator;
use windrow_tpch::dataset::Manifest;
use windrow_tpch::generate::Progress;

use crate::interrupt::Interrupt;
use crate::progress::{ProgressLine, TICK};
use crate::stdout::say;

const EXAMPLES: &str = "\
Example:
  windrow tpch generate --scale 1 --output tpch-1

Writes DIR/lineitem.parquet and seven more (scale 1: 8.7 million rows, about 350 MB). The same scale gives the same
files on every machine. Finished data of the same scale is left as it is.";

/// `windrow tpch generate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GenerateCommand {
    /// Scale factor; fractions are fine
    #[arg(long, value_name = "N", default_value = "1")]
    pub scale: f64,
    /// Directory to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Replace files that are there already
    #[arg(long)]
    pub force: bool,
}

impl GenerateCommand {
    /// Writes the tables.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let generator = Generator { scale: self.scale, output: self.output.clone(), force: self.force };
        let manifest = generate(generator, &mut interrupt).await?;
        let rows: u64 = manifest.rows.values().sum();
        say(&format!("TPC-H at scale {}: 8 tables, {rows} rows in '{}'", manifest.scale, self.output.display()));
        Ok(())
    }
}

/// Makes data with a progress line. On Ctrl-C it returns when nothing is written any more.
pub async fn generate(generator: Generator, interrupt: &mut Interrupt) -> Result<Manifest> {
    let stop = Arc::new(AtomicBool::new(false));
    let (news, mut updates) = mpsc::channel::<Progress>(64);
    let mut making = tokio::task::spawn_blocking({
        let stop = stop.clone();
        // News that finds the channel full is not worth waiting for; more will come.
        move || {
            generator.run(&stop, |progress| {
                let _ = news.try_send(progress);
            })
        }
    });
    let mut line = ProgressLine::new("parts");
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            result = &mut making => {
                return result.unwrap_or_else(|panic| Err(Error::internal(format!("making TPC-H data: {panic}"))));
            }
            () = interrupt.wait(), if !stop.load(Ordering::Relaxed) => stop.store(true, Ordering::Relaxed),
            Some(progress) = updates.recv() => {
                line.message(format!("making {}", progress.table.name()));
                line.update(progress.done, progress.total);
            }
            _ = ticks.tick() => line.tick(),
        }
    }
}

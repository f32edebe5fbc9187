//! TPC-H end to end: single-process DataFusion, Windrow embedded and a Windrow cluster of local processes, interleaved
//! in one run over the same files.
//!
//! `cargo bench -p windrow-benches --bench tpch -- --scale 1 --runs 5`; the README beside this directory tells the method.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use windrow_common::{Error, Result};
use windrow_tpch::{Dataset, Generator, Query};

mod contestant;
mod outcome;

use contestant::Contestants;
use outcome::Outcome;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "tpch", about = "TPC-H: DataFusion, Windrow embedded, Windrow on local processes; interleaved")]
struct Arguments {
    /// Scale factor of data that is made if there is none
    #[arg(long, default_value = "1")]
    scale: f64,
    /// Directory with the eight tables [default: made once, and kept in the target directory]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Measured runs of each query, after one that is not measured
    #[arg(long, default_value = "5")]
    runs: NonZeroU32,
    /// Cores of each contestant: threads of DataFusion, cores of the embedded engine, workers of one core each
    #[arg(long, default_value = "2")]
    cores: NonZeroU32,
    /// Queries to run, for example 1,3,18
    #[arg(long, value_delimiter = ',')]
    queries: Vec<Query>,
    /// Also write the outcome as JSON to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// What `cargo bench` passes to every bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // The workers of the local cluster are processes of this binary.
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return windrow_cli::main();
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let data = data(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(measure(arguments, &data));
    runtime.shutdown_background();
    let outcome = outcome?;
    println!("{outcome}");
    if let Some(path) = &arguments.json {
        let written = std::fs::write(path, format!("{:#}\n", outcome.json()));
        written.map_err(|error| Error::io(format!("cannot write '{}': {error}", path.display())))?;
    }
    Ok(())
}

fn data(arguments: &Arguments) -> Result<Dataset> {
    if let Some(directory) = &arguments.data {
        return Dataset::open(directory);
    }
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tpch-{}", arguments.scale));
    let generator = Generator { scale: arguments.scale, output: output.clone(), force: false };
    generator.run(&AtomicBool::new(false), |_| ())?;
    Dataset::open(&output)
}

async fn measure(arguments: &Arguments, data: &Dataset) -> Result<Outcome> {
    let contestants = Contestants::start(data, arguments.cores.get()).await?;
    let result = measure_all(arguments, &contestants).await;
    contestants.stop().await;
    result
}

async fn measure_all(arguments: &Arguments, contestants: &Contestants) -> Result<Outcome> {
    let queries: Vec<Query> =
        if arguments.queries.is_empty() { Query::all().collect() } else { arguments.queries.clone() };
    let mut outcome = Outcome::new(arguments.cores.get(), arguments.runs.get(), &queries);
    for run in 0..=arguments.runs.get() {
        for (index, query) in queries.iter().enumerate() {
            eprintln!("run {run} of {}, {query}", arguments.runs);
            // Who comes first changes, so that none always finds what another has just warmed.
            let times = contestants.run(*query, run as usize + index).await?;
            if run > 0 {
                outcome.add(index, times);
            }
        }
    }
    Ok(outcome)
}

/// The times of one query, one a contestant.
type Times = [Duration; contestant::COUNT];

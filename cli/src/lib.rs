//! Every role and command of Windrow: arguments in, tables and exit codes out.
//!
//! It owns what a person at a terminal sees: progress, tables, messages, signals, and the processes it starts. What it
//! runs is elsewhere: sessions in `windrow`, roles in `windrow-coordinator` and `windrow-worker`.
//!
//! Exit codes: 0 done; 1 the statement, its data or a name was wrong; 2 the arguments were wrong; 3 the cluster or the
//! machine failed; 130 cancelled.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use windrow_common::{Error, Result};

pub mod clean;
pub mod command;
pub mod coordinator;
pub mod demo;
pub mod drive;
pub mod duration;
pub mod grid;
pub mod interrupt;
pub mod jobs;
pub mod listen;
pub mod local_cluster;
pub mod logging;
pub mod output;
pub mod progress;
pub mod script_file;
pub mod shell;
pub mod sql;
pub mod statements;
pub mod stderr;
pub mod stdout;
pub mod store_options;
pub mod target;
pub mod tpch;
pub mod up;
pub mod visible;
pub mod worker;
pub mod worker_process;

use command::Cli;

/// Reads the arguments of this process, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.command.default_log_level());
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stderr::tell(&format!("error: {error}"));
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("windrow-cli")
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(cli.command.run());
    // Whatever still waits for input or computes what nobody wants any more must not hold the process back.
    runtime.shutdown_background();
    result
}

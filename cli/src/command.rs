//! The commands and their help.

use clap::{Parser, Subcommand};
use windrow_common::Result;

use crate::clean::CleanCommand;
use crate::coordinator::CoordinatorCommand;
use crate::demo::DemoCommand;
use crate::jobs::{CancelCommand, JobCommand, JobsCommand, SubmitCommand, WorkersCommand};
use crate::sql::SqlCommand;
use crate::tpch::TpchCommand;
use crate::up::UpCommand;
use crate::worker::WorkerCommand;

const EXAMPLES: &str = "\
Examples:
  windrow sql -c \"SELECT 1 + 1\"                  SQL in this process, on all cores
  windrow up --workers 4                         a coordinator and four worker processes on this machine
  windrow sql --connect grpc://127.0.0.1:7070    the same SQL on that cluster
  windrow demo                                   TPC-H on two worker processes, every answer checked

Exit codes: 0 done; 1 the statement, its data or a name was wrong; 2 wrong arguments; 3 the cluster or the machine
failed; 130 cancelled.";

/// A distributed batch dataflow engine in one binary: SQL over Arrow batches, on this machine or on many.
#[derive(Debug, Parser)]
#[command(name = "windrow", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run SQL statements, in this process or on a cluster
    Sql(SqlCommand),
    /// Hand a script of statements over to a cluster
    Submit(SubmitCommand),
    /// List the jobs of a cluster
    Jobs(JobsCommand),
    /// Show one job
    Job(JobCommand),
    /// Cancel a job
    Cancel(CancelCommand),
    /// List the workers of a cluster
    Workers(WorkersCommand),
    /// Start a coordinator and worker processes on this machine
    Up(UpCommand),
    /// Start one coordinator
    Coordinator(CoordinatorCommand),
    /// Start one worker and join it to a coordinator
    Worker(WorkerCommand),
    /// Take away what writers that died have left in a directory or a bucket
    Clean(CleanCommand),
    /// Make TPC-H data, run the TPC-H queries
    #[command(subcommand)]
    Tpch(TpchCommand),
    /// See it work: TPC-H on worker processes, every answer checked against single-process DataFusion
    Demo(DemoCommand),
}

impl Command {
    /// Does it.
    pub async fn run(self) -> Result<()> {
        match self {
            Command::Sql(command) => command.run().await,
            Command::Submit(command) => command.run().await,
            Command::Jobs(command) => command.run().await,
            Command::Job(command) => command.run().await,
            Command::Cancel(command) => command.run().await,
            Command::Workers(command) => command.run().await,
            Command::Up(command) => command.run().await,
            Command::Coordinator(command) => command.run().await,
            Command::Worker(command) => command.run().await,
            Command::Clean(command) => command.run().await,
            Command::Tpch(command) => command.run().await,
            Command::Demo(command) => command.run().await,
        }
    }

    /// What is logged unless `WINDROW_LOG` says otherwise: services say what they do, commands only what went wrong.
    pub fn default_log_level(&self) -> &'static str {
        match self {
            Command::Coordinator(_) => "warn,windrow_coordinator=info",
            Command::Worker(worker) if !worker.exit_with_parent => "warn,windrow_worker=info",
            Command::Worker(_)
            | Command::Sql(_)
            | Command::Submit(_)
            | Command::Jobs(_)
            | Command::Job(_)
            | Command::Cancel(_)
            | Command::Workers(_)
            | Command::Up(_)
            | Command::Clean(_)
            | Command::Tpch(_)
            | Command::Demo(_) => "warn",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}

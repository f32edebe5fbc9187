//! `windrow tpch`: makes the data, runs the queries.

use clap::Subcommand;
use windrow_common::Result;

pub mod generate;
pub mod run;

/// `windrow tpch`.
#[derive(Debug, Subcommand)]
pub enum TpchCommand {
    /// Write the eight tables as Parquet files
    Generate(generate::GenerateCommand),
    /// Run the 22 queries, or some of them, and print their times
    Run(run::RunCommand),
}

impl TpchCommand {
    /// Does it.
    pub async fn run(self) -> Result<()> {
        match self {
            TpchCommand::Generate(command) => command.run().await,
            TpchCommand::Run(command) => command.run().await,
        }
    }
}

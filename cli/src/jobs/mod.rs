//! The commands around jobs on a cluster: hand a script over, see what runs, cancel it, see who works.

mod cancel;
mod list;
mod show;
mod submit;
mod table;
mod watching;
mod workers;

pub use cancel::CancelCommand;
pub use list::JobsCommand;
pub use show::JobCommand;
pub use submit::SubmitCommand;
pub use workers::WorkersCommand;

use clap::Args;
use windrow::Cluster;
use windrow_common::Result;

use crate::interrupt::Interrupt;
use crate::listen;

/// The argument that says which cluster.
#[derive(Clone, Debug, Args)]
pub struct At {
    /// Address of the cluster's coordinator [default: grpc://127.0.0.1:7070]
    #[arg(long, value_name = "URL")]
    pub connect: Option<String>,
}

impl At {
    /// Connects to it.
    pub async fn open(&self, interrupt: &mut Interrupt) -> Result<Cluster> {
        let url = self.connect.clone().unwrap_or_else(|| format!("grpc://{}", listen::DEFAULT));
        interrupt.or_cancelled(Cluster::connect(&url)).await
    }
}

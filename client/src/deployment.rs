//! Where the work runs. A cluster is a value, not another program.

use windrow_common::ByteSize;

/// Where a session's jobs run.
#[derive(Clone, Debug)]
pub enum Deployment {
    /// In this process.
    Embedded {
        /// Cores to use.
        cores: u32,
        /// Byte budget.
        memory: ByteSize,
    },
    /// On a coordinator and workers in this process that talk over the network, as real ones do.
    LocalCluster {
        /// Workers.
        workers: u32,
        /// Cores of each.
        cores: u32,
        /// Byte budget of each.
        memory: ByteSize,
    },
    /// At a coordinator that is already running, for example `grpc://127.0.0.1:7070`.
    Remote {
        /// Its address.
        url: String,
    },
}

//! Options that say which places statements may use, and how object stores are reached.

use std::path::PathBuf;

use clap::Args;
use windrow_common::config::{STORES_VARIABLE, StoreAccess};

/// `--stores` and `--allow`.
#[derive(Clone, Debug, Args)]
pub struct StoreOptions {
    /// File that says how object stores are reached; without it, the environment does
    #[arg(long, value_name = "FILE", env = STORES_VARIABLE)]
    pub stores: Option<PathBuf>,
    /// Directory or URL that statements may read and write; may be given several times [default: everything if only this
    /// machine can connect, else nothing]
    #[arg(long, value_name = "LOCATION")]
    pub allow: Vec<String>,
}

impl StoreOptions {
    /// As settings.
    pub fn access(&self) -> StoreAccess {
        StoreAccess { file: self.stores.clone(), allow: self.allow.clone() }
    }
}

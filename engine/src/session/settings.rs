//! Settings of a session that are ours: `SET windrow.<name> = <value>`.

use datafusion::common::config::ConfigExtension;
use datafusion::common::extensions_options;
use windrow_common::{Error, Result};

extensions_options! {
    /// What a session may set of Windrow's own.
    pub struct WindrowOptions {
        /// `auto`: one worker runs a whole plan when that is thought to be as fast; `on`: always; `off`: never, every
        /// plan is cut at its exchanges and even small files are split.
        pub fast_path: String, default = "auto".to_owned()

        /// Partitions of an exchange; 0: as many as the cluster has slots.
        pub partitions: usize, default = 0
    }
}

impl ConfigExtension for WindrowOptions {
    const PREFIX: &'static str = "windrow";
}

/// Whether one worker may run a whole plan by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastPath {
    /// When it is thought to be as fast.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl WindrowOptions {
    /// The parsed value of `windrow.fast_path`.
    pub fn fast_path(&self) -> Result<FastPath> {
        match self.fast_path.to_ascii_lowercase().as_str() {
            "auto" => Ok(FastPath::Auto),
            "on" | "true" => Ok(FastPath::On),
            "off" | "false" => Ok(FastPath::Off),
            other => {
                Err(Error::user(format!("windrow.fast_path cannot be '{other}'; it is one of 'auto', 'on', 'off'")))
            }
        }
    }
}

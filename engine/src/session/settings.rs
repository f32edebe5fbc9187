//! Settings of a session that are ours: `SET windrow.<name> = <value>`.

use std::collections::BTreeMap;

use datafusion::common::config::{ConfigExtension, ConfigOptions};
use datafusion::common::extensions_options;
use datafusion::logical_expr::{LogicalPlan, SetVariable, Statement};
use futures::future::BoxFuture;
use windrow_common::{Error, Result};

use super::EngineSession;

extensions_options! {
    /// What a session may set of Windrow's own.
    pub struct WindrowOptions {
        /// `auto`: one worker runs a whole plan when that is thought to be as fast; `on`: always; `off`: never, every
        /// plan is cut at its exchanges and even small files are split.
        pub fast_path: String, default = "auto".to_owned()

        /// Partitions of an exchange; 0: as many as the cluster has slots.
        pub partitions: usize, default = 0

        /// Whether Flight SQL clients are told where the rows of a large result lie, to read them from the workers, many
        /// at once. Off, or where a client cannot reach a worker, the rows come through the coordinator.
        pub direct_results: bool, default = true
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

/// Names that clients give to settings of DataFusion.
const ALIASES: [(&str, &str); 2] =
    [("catalog", "datafusion.catalog.default_catalog"), ("schema", "datafusion.catalog.default_schema")];

impl EngineSession {
    /// All settings of the session, by name; those without a value are left out.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let config = self.context.copied_config();
        let mut all = with_values(config.options());
        for (alias, name) in ALIASES {
            if let Some(value) = all.get(name).cloned() {
                all.insert(alias.to_owned(), value);
            }
        }
        all
    }

    /// Whether clients may read the rows of a large result from the workers: `windrow.direct_results`.
    pub fn direct_results(&self) -> bool {
        self.options().direct_results
    }

    /// Changes one setting, like `SET name = value`. `catalog` and `schema` are where names without one are looked up.
    pub fn set<'a>(&'a self, name: &'a str, value: &'a str) -> BoxFuture<'a, Result<()>> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, full)| *full);
        let set = SetVariable { variable: name.to_owned(), value: value.to_owned() };
        Box::pin(async move { self.run_here(LogicalPlan::Statement(Statement::SetVariable(set))).await.map(drop) })
    }

    /// The settings that are not the defaults, as a job carries them.
    pub(super) fn changed_settings(&self) -> Vec<(String, String)> {
        let config = self.context.copied_config();
        let all = with_values(config.options()).into_iter();
        all.filter(|(key, value)| self.engine.defaults.get(key) != Some(value)).collect()
    }
}

/// All settings that have a value, by their full names: DataFusion lists ours without their prefix.
pub(super) fn with_values(options: &ConfigOptions) -> BTreeMap<String, String> {
    let full = |key: String| if key.contains('.') { key } else { format!("{}.{key}", WindrowOptions::PREFIX) };
    options.entries().into_iter().filter_map(|entry| Some((full(entry.key), entry.value?))).collect()
}

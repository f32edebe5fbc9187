//! Settings of a session that are ours: `SET windrow.<name> = <value>`.

use std::any::Any;
use std::collections::BTreeMap;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::plan_err;
use datafusion::logical_expr::{LogicalPlan, SetVariable, Statement};
use futures::future::BoxFuture;
use windrow_common::Result;

use super::EngineSession;

/// What a session may set of Windrow's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindrowOptions {
    /// `auto`: one worker runs a whole plan when that is thought to be as fast; `on`: always; `off`: never, every plan is
    /// cut at its exchanges and even small files are split.
    pub fast_path: FastPath,
    /// Partitions of an exchange; 0: as many as the cluster has slots.
    pub partitions: usize,
    /// Whether Flight SQL clients are told where the rows of a large result lie, to read them from the workers, many at
    /// once. Off, or where a client cannot reach a worker, the rows come through the coordinator.
    pub direct_results: bool,
}

impl Default for WindrowOptions {
    fn default() -> Self {
        Self { fast_path: FastPath::Auto, partitions: 0, direct_results: true }
    }
}

impl ExtensionOptions for WindrowOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> datafusion::common::Result<()> {
        let wrong = |expected: &str| plan_err!("{}.{key} cannot be '{value}'; it is {expected}", Self::PREFIX);
        match key {
            "fast_path" => match FastPath::parse(value) {
                Some(parsed) => self.fast_path = parsed,
                None => return wrong("one of 'auto', 'on', 'off'"),
            },
            "partitions" => match value.parse() {
                Ok(parsed) => self.partitions = parsed,
                Err(_) => return wrong("a number, and 0 means as many as there are slots"),
            },
            "direct_results" => match value.to_ascii_lowercase().as_str() {
                "true" | "on" => self.direct_results = true,
                "false" | "off" => self.direct_results = false,
                _ => return wrong("one of 'on', 'off'"),
            },
            _ => {
                let known: Vec<String> = self.entries().into_iter().map(|entry| entry.key).collect();
                return plan_err!("there is no setting {}.{key}; there are {}", Self::PREFIX, known.join(", "));
            }
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let entry = |key: &str, value: String, description| ConfigEntry {
            key: format!("{}.{key}", Self::PREFIX),
            value: Some(value),
            description,
        };
        let fast_path = "auto: one worker runs a whole plan when that is thought to be as fast; on: always; off: never";
        let partitions = "Partitions of an exchange; 0: as many as the cluster has slots";
        let direct = "Whether clients may read the rows of a large result from the workers";
        vec![
            entry("direct_results", self.direct_results.to_string(), direct),
            entry("fast_path", self.fast_path.name().to_owned(), fast_path),
            entry("partitions", self.partitions.to_string(), partitions),
        ]
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

impl FastPath {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Some(Self::Auto),
            "on" | "true" => Some(Self::On),
            "off" | "false" => Some(Self::Off),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
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

    /// Whether CSV files whose table says nothing begin with the names of their columns.
    pub(super) fn header(&self) -> bool {
        self.context.copied_config().options().catalog.has_header
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

/// All settings that have a value.
pub(super) fn with_values(options: &ConfigOptions) -> BTreeMap<String, String> {
    options.entries().into_iter().filter_map(|entry| Some((entry.key, entry.value?))).collect()
}

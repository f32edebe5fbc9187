//! Errors of planning, with the name that was probably meant.

use datafusion::error::DataFusionError;
use windrow_common::{Error, ErrorKind};

use super::EngineSession;
use super::suggest::nearest;
use crate::error::classify;

impl EngineSession {
    /// An error of planning, with the name that was probably meant.
    pub(super) fn explain_error(&self, error: &DataFusionError) -> Error {
        let mut error = classify(error);
        let missing = error
            .message
            .strip_prefix("table '")
            .and_then(|rest| rest.split_once("' not found"))
            .map(|(name, _)| name.to_owned());
        if let Some(name) = missing {
            error.kind = ErrorKind::NotFound;
            if let Some(at) = name.find('/') {
                error.message = format!("there is no readable file or directory {}", &name[at..]);
                return error;
            }
            let short = name.rsplit('.').next().unwrap_or(&name).to_owned();
            let tables = self.table_names();
            if let Some(meant) = nearest(&short, tables.iter().map(String::as_str)) {
                error.message = format!("{}. Did you mean '{meant}'?", error.message);
            }
        }
        error
    }

    fn table_names(&self) -> Vec<String> {
        let state = self.context.state();
        let catalogs = state.catalog_list();
        catalogs
            .catalog_names()
            .iter()
            .filter_map(|name| catalogs.catalog(name))
            .flat_map(|catalog| {
                catalog.schema_names().into_iter().filter_map(move |name| catalog.schema(&name)).collect::<Vec<_>>()
            })
            .flat_map(|schema| schema.table_names())
            .collect()
    }
}

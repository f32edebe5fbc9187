//! Tables over files that are there already: `CREATE EXTERNAL TABLE`.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::CreateExternalTable;
use windrow_common::{Error, ErrorKind, Result};

use super::sink_plan::base_directory;
use super::statement::done;
use super::{EngineSession, NewTable, Planned, table_format};
use crate::files::{FilesRequest, FilesTable, files_table};
use crate::sink::SinkSpec;
use crate::stores::Location;

impl EngineSession {
    /// Makes a table over existing files. Nothing is replaced before the new table is known to be usable.
    pub(super) async fn create_external_table(&self, create: &CreateExternalTable) -> Result<Planned> {
        let name = self.place(&create.name, create.temporary)?;
        if !self.may_create(&name, create.if_not_exists, create.or_replace, "EXTERNAL TABLE")? {
            return done(vec![]);
        }
        if create.unbounded {
            return Err(Error::new(ErrorKind::Unsupported, "UNBOUNDED tables do not exist here: every job ends"));
        }
        let base = base_directory()?;
        let locations = create.locations.iter().map(|text| self.engine.stores.locate(text, &base));
        let request = FilesRequest {
            locations: locations.collect::<Result<_>>().map_err(|e| e.context(format!("LOCATION of table {name}")))?,
            stores: Arc::clone(&self.engine.stores),
            format: Some(create.file_type.to_uppercase()),
            options: self.located_options(&create.options)?,
            schema: Some(Arc::clone(create.schema.inner())),
            partition_columns: Some(create.table_partition_cols.clone()).filter(|columns| !columns.is_empty()),
            name: name.to_string(),
        };
        let mut table = self.table_over(request).await?;
        table.order = create.order_exprs.clone();
        table.constraints = create.constraints.clone();
        table.defaults = create.column_defaults.clone();
        table.definition = create.definition.clone();
        table.check_order()?;
        self.register(&name, Arc::new(table), create.or_replace)?;
        done(vec![])
    }

    /// Where rejected rows go is a place like any other: it must be allowed, and mean the same to every worker.
    fn located_options(&self, options: &HashMap<String, String>) -> Result<HashMap<String, String>> {
        let mut options = options.clone();
        let is_place = |key: &str| key.to_ascii_lowercase().trim_start_matches("format.") == "rejects";
        for (_, place) in options.iter_mut().filter(|(key, _)| is_place(key)) {
            let location = self.engine.stores.locate(place, &base_directory()?)?;
            // What is a name here, because it exists, would be a pattern where it does not.
            if location.is_pattern() || place.contains(['*', '?', '[']) {
                return Err(Error::user(format!("rejects '{location}' is a pattern; name a directory")));
            }
            *place = location.url();
        }
        Ok(options)
    }

    /// A table over the files of a directory that we wrote.
    pub(super) async fn written_table(&self, table: &NewTable, spec: &SinkSpec) -> Result<Arc<dyn TableProvider>> {
        // It is ours: nobody needs to allow it.
        let location = Location::parse(&format!("{}/", spec.target.trim_end_matches('/')), &base_directory()?)?;
        let request = FilesRequest {
            locations: vec![location],
            stores: Arc::clone(&self.engine.stores),
            format: Some(table_format::reader_of(&spec.format).to_owned()),
            options: table_format::reading_options(&spec.format).into_iter().collect(),
            schema: table_format::declared_columns(table.columns.as_ref(), spec),
            partition_columns: Some(spec.partition_by.clone()),
            name: table.name.to_string(),
        };
        Ok(Arc::new(self.table_over(request).await?))
    }

    async fn table_over(&self, request: FilesRequest) -> Result<FilesTable> {
        let places: Vec<String> = request.locations.iter().map(ToString::to_string).collect();
        let place = format!("LOCATION '{}' of table {}", places.join("', '"), request.name);
        let table = files_table(&self.context.state(), request).await.map_err(|e| e.context(&place))?;
        if table.file_schema.fields().is_empty() {
            return Err(without_columns(&place));
        }
        Ok(table)
    }
}

pub(super) fn without_columns(place: &str) -> Error {
    Error::new(
        ErrorKind::User,
        format!(
            "{place}: no columns are known, because the files there are empty; name the columns in CREATE EXTERNAL TABLE"
        ),
    )
}

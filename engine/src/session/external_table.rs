//! Tables over files that are there already: `CREATE EXTERNAL TABLE`.

use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{CreateExternalTable, DdlStatement, LogicalPlan};
use windrow_common::{Error, ErrorKind, Result};

use super::statement::done;
use super::{EngineSession, NewTable, Planned, table_format};
use crate::error::classify;
use crate::sink::SinkSpec;

impl EngineSession {
    /// Makes a table over existing files. Nothing is replaced before the new table is known to be usable.
    pub(super) async fn create_external_table(&self, create: &CreateExternalTable) -> Result<Planned> {
        let mut create = create.clone();
        create.name = self.place(&create.name, create.temporary)?;
        if !self.may_create(&create.name, create.if_not_exists, create.or_replace, "EXTERNAL TABLE")? {
            return done(vec![]);
        }
        check_locations(&create)?;
        let table = self.table_over_files(&create).await?;
        self.register(&create.name, table, create.or_replace)?;
        done(vec![])
    }

    /// A table over the files of a directory that we wrote.
    pub(super) async fn written_table(&self, table: &NewTable, spec: &SinkSpec) -> Result<Arc<dyn TableProvider>> {
        let (location, format) = (spec.target.replace('\'', "''"), table_format::reader_of(&spec.format));
        let sql = format!("CREATE EXTERNAL TABLE t STORED AS {format} LOCATION '{location}'");
        let state = self.context.state();
        match state.create_logical_plan(&sql).await.map_err(|e| classify(&e))? {
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(mut create)) => {
                create.name = table.name.clone();
                create.options.extend(table_format::reading_options(&spec.format));
                create.table_partition_cols.clone_from(&spec.partition_by);
                if let Some(columns) = table_format::declared_columns(table.columns.as_ref(), spec) {
                    let columns = DFSchema::try_from(columns).map_err(|e| classify(&e))?;
                    create.schema = Arc::new(columns);
                }
                self.table_over_files(&create).await
            }
            other => Err(Error::internal(format!("a definition was planned as {}", other.display()))),
        }
    }

    async fn table_over_files(&self, create: &CreateExternalTable) -> Result<Arc<dyn TableProvider>> {
        let place = || format!("LOCATION '{}' of table {}", create.locations.join("', '"), create.name);
        let state = self.context.state();
        let format = create.file_type.to_uppercase();
        let factory = state.table_factories().get(&format).ok_or_else(|| {
            let mut known: Vec<_> = state.table_factories().keys().cloned().collect();
            known.sort();
            Error::new(
                ErrorKind::Unsupported,
                format!("STORED AS {format} does not exist; there are {}", known.join(", ")),
            )
        })?;
        let table = factory.create(&state, create).await.map_err(|e| self.explain_error(&e).context(place()))?;
        if table.schema().fields().is_empty() {
            return Err(without_columns(&place()));
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

/// A table over a place where nothing is would be an empty table without columns; that is never what was meant.
fn check_locations(create: &CreateExternalTable) -> Result<()> {
    for location in &create.locations {
        let path = location.strip_prefix("file://").unwrap_or(location);
        if path.contains("://") {
            let scheme = path.split("://").next().unwrap_or_default();
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("locations of '{scheme}://' cannot be read yet; local paths and file:// can"),
            ));
        }
        let is_pattern = path.contains(['*', '?', '[']);
        let declared = !create.schema.fields().is_empty();
        if !is_pattern && !declared && !Path::new(path).exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no file or directory {path} (LOCATION of table {})", create.name),
            ));
        }
    }
    Ok(())
}

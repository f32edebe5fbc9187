//! What there is: the tables and views that a session sees.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::CatalogProvider;
use datafusion::datasource::TableType;
use futures::future::BoxFuture;
use windrow_common::Result;

use super::names::TEMPORARY;
use super::{CATALOG, EngineSession};
use crate::error::classify;

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTable {
    /// Its catalog.
    pub catalog: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is, as `information_schema` says it: `TABLE`, `VIEW` or `LOCAL TEMPORARY`.
    pub kind: &'static str,
    /// Its columns.
    pub columns: SchemaRef,
}

/// Every kind that a listed table may be of.
pub const TABLE_KINDS: [&str; 3] = ["LOCAL TEMPORARY", "TABLE", "VIEW"];

impl EngineSession {
    /// The catalogs and their schemas, in order.
    pub fn schemas(&self) -> Vec<(String, Vec<String>)> {
        let state = self.context.state();
        let catalogs = state.catalog_list();
        let mut names = catalogs.catalog_names();
        names.sort();
        names
            .into_iter()
            .filter_map(|name| {
                let mut schemas = catalogs.catalog(&name)?.schema_names();
                schemas.sort();
                Some((name, schemas))
            })
            .collect()
    }

    /// The tables and views of all schemas, in order.
    pub fn tables(&self) -> BoxFuture<'_, Result<Vec<ListedTable>>> {
        Box::pin(self.list())
    }

    async fn list(&self) -> Result<Vec<ListedTable>> {
        let catalogs = std::sync::Arc::clone(self.context.state().catalog_list());
        let mut tables = vec![];
        for (catalog, schemas) in self.schemas() {
            for schema in schemas {
                // What a temporary table hides is there nevertheless.
                let shared = if catalog == CATALOG { self.engine.catalog.schema(&schema) } else { None };
                let seen = || catalogs.catalog(&catalog).and_then(|found| found.schema(&schema));
                let Some(provider) = shared.or_else(seen) else { continue };
                let mut names = provider.table_names();
                names.sort();
                for name in names {
                    // One that was dropped meanwhile is not there any more.
                    let Some(table) = provider.table(&name).await.map_err(|e| classify(&e))? else { continue };
                    let kind = match table.table_type() {
                        _ if schema == TEMPORARY => "LOCAL TEMPORARY",
                        TableType::View => "VIEW",
                        TableType::Base | TableType::Temporary => "TABLE",
                    };
                    let (catalog, schema) = (catalog.clone(), schema.clone());
                    tables.push(ListedTable { catalog, schema, name, kind, columns: table.schema() });
                }
            }
        }
        Ok(tables)
    }
}

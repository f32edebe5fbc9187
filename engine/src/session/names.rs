//! What names mean in one session: its own temporary tables first, then the catalog that all sessions share.
//!
//! ```text
//!   t         temporary table t of this session, else t of the default schema
//!   temp.t    temporary table t
//!   public.t  as `t` while public is the default schema: a temporary table hides the shared one of the same name there,
//!             in its own session only
//!   other.t   the shared one
//! ```
//!
//! New names go into the shared catalog, unless the statement says TEMPORARY.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use windrow_common::Error;

use crate::error::external;

/// The schema of a session's temporary tables and views.
pub const TEMPORARY: &str = "temp";

/// The catalog as one session sees it.
#[derive(Debug)]
pub(super) struct SessionCatalog {
    shared: Arc<MemoryCatalogProvider>,
    temporary: Arc<MemorySchemaProvider>,
    default: DefaultSchema,
}

impl SessionCatalog {
    /// The shared catalog with these temporary tables before it.
    pub(super) fn new(
        shared: Arc<MemoryCatalogProvider>,
        temporary: Arc<MemorySchemaProvider>,
        default: DefaultSchema,
    ) -> Self {
        Self { shared, temporary, default }
    }
}

/// Where a session looks for names without a schema. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct DefaultSchema(Arc<Mutex<String>>);

impl DefaultSchema {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::new(Mutex::new(name.to_owned())))
    }

    pub(super) fn set(&self, name: &str) {
        name.clone_into(&mut self.name());
    }

    fn is(&self, name: &str) -> bool {
        *self.name() == name
    }

    fn name(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CatalogProvider for SessionCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.shared.schema_names();
        if !self.temporary.table_names().is_empty() {
            names.push(TEMPORARY.to_owned());
        }
        names.sort();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == TEMPORARY {
            return Some(Arc::clone(&self.temporary) as Arc<dyn SchemaProvider>);
        }
        let shared = self.shared.schema(name)?;
        if !self.default.is(name) || self.temporary.table_names().is_empty() {
            return Some(shared);
        }
        Some(Arc::new(LayeredSchema { temporary: Arc::clone(&self.temporary), shared }))
    }

    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> Result<Option<Arc<dyn SchemaProvider>>> {
        refuse_reserved(name)?;
        self.shared.register_schema(name, schema)
    }

    fn deregister_schema(&self, name: &str, cascade: bool) -> Result<Option<Arc<dyn SchemaProvider>>> {
        refuse_reserved(name)?;
        self.shared.deregister_schema(name, cascade)
    }
}

/// Refuses to make or drop a schema that is always there.
pub(super) fn refuse_reserved(name: &str) -> Result<()> {
    if [TEMPORARY, super::SCHEMA, "information_schema"].contains(&name) {
        return Err(external(Error::user(format!(
            "the schema '{name}' is always there; it cannot be made or dropped"
        ))));
    }
    Ok(())
}

/// A shared schema behind the session's temporary tables.
#[derive(Debug)]
struct LayeredSchema {
    temporary: Arc<MemorySchemaProvider>,
    shared: Arc<dyn SchemaProvider>,
}

#[async_trait]
impl SchemaProvider for LayeredSchema {
    /// Only what belongs to this schema and can be seen in it: temporary tables are listed in their own.
    fn table_names(&self) -> Vec<String> {
        let names = self.shared.table_names().into_iter();
        names.filter(|name| !self.temporary.table_exist(name)).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.temporary.table(name).await? {
            Some(table) => Ok(Some(table)),
            None => self.shared.table(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.shared.table_type(name).await
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.shared.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.temporary.deregister_table(name)? {
            Some(table) => Ok(Some(table)),
            None => self.shared.deregister_table(name),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.temporary.table_exist(name) || self.shared.table_exist(name)
    }
}

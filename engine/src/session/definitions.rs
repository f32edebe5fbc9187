//! Statements that define: tables, views and schemas, shared or temporary.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{SchemaReference, TableReference};
use datafusion::logical_expr::{CreateMemoryTable, CreateView, DdlStatement, DropCatalogSchema, LogicalPlan};
use datafusion::optimizer::analyzer::Analyzer;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use futures::future::BoxFuture;
use windrow_common::{Error, ErrorKind, Result};

use super::names::{TEMPORARY, refuse_reserved};
use super::sink_plan;
use super::statement::done;
use super::table_storage::TableStorage;
use super::temporary::Temporary;
use super::{EngineSession, NewTable, PlanContext, Planned};
use crate::error::classify;
use crate::sink::SinkSpec;

impl EngineSession {
    /// Carries out a definition; a table made of rows becomes a job.
    pub(super) async fn define(&self, definition: DdlStatement, context: &PlanContext) -> Result<Planned> {
        match definition {
            DdlStatement::CreateMemoryTable(create) => self.create_table(create, None, context).await,
            DdlStatement::CreateExternalTable(create) => self.create_external_table(&create).await,
            DdlStatement::CreateView(view) => self.create_view(view).await,
            DdlStatement::DropTable(ref drop) if drop.if_exists => self.run_here(LogicalPlan::Ddl(definition)).await,
            DdlStatement::DropTable(ref drop) => {
                // The files of a table that we made stay until nobody reads them; they go with the warehouse.
                self.must_exist(&drop.name, "table")?;
                self.run_here(LogicalPlan::Ddl(definition)).await
            }
            DdlStatement::DropView(ref drop) if !drop.if_exists => {
                self.must_exist(&drop.name, "view")?;
                self.run_here(LogicalPlan::Ddl(definition)).await
            }
            DdlStatement::DropCatalogSchema(drop) => self.drop_schema(&drop),
            DdlStatement::CreateCatalog(_) | DdlStatement::CreateIndex(_) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} does not exist here; there are schemas, tables and views", definition.name()),
            )),
            other => self.run_here(LogicalPlan::Ddl(other)).await,
        }
    }

    /// A table of rows, stored as its statement says.
    pub(super) async fn create_table(
        &self,
        mut create: CreateMemoryTable,
        storage: Option<TableStorage>,
        context: &PlanContext,
    ) -> Result<Planned> {
        create.name = self.place(&create.name, create.temporary)?;
        match self.may_create(&create.name, create.if_not_exists, create.or_replace, "TABLE")? {
            false => done(vec![]),
            true => {
                let directory = create.temporary.then(|| self.temporary.directory().to_owned());
                let write = sink_plan::create_table_as(&self.engine, create, storage, directory, context)?;
                self.write(write, context).await
            }
        }
    }

    /// The catalog is asked itself: what wraps it for tables from paths does not hand this on.
    fn drop_schema(&self, drop: &DropCatalogSchema) -> Result<Planned> {
        let (catalog, schema) = match &drop.name {
            SchemaReference::Bare { schema } => (super::CATALOG, schema.as_ref()),
            SchemaReference::Full { catalog, schema } => (catalog.as_ref(), schema.as_ref()),
        };
        refuse_reserved(schema).map_err(|e| classify(&e))?;
        let dropped = match catalog {
            super::CATALOG => self.engine.catalog.deregister_schema(schema, drop.cascade).map_err(|e| classify(&e))?,
            _ => None,
        };
        match dropped {
            None if !drop.if_exists => {
                Err(Error::new(ErrorKind::NotFound, format!("there is no schema {catalog}.{schema}")))
            }
            _ => done(vec![]),
        }
    }

    async fn create_view(&self, view: CreateView) -> Result<Planned> {
        let name = self.place(&view.name, view.temporary)?;
        if !view.temporary {
            self.temporary.refuse_in_shared(&name, &view.input)?;
        }
        self.may_create(&name, false, view.or_replace, "VIEW")?;
        let coerced = Analyzer::with_rules(vec![Arc::new(TypeCoercion::new())])
            .execute_and_check(Arc::unwrap_or_clone(view.input), self.context.state().config_options(), |_, _| {})
            .map_err(|e| self.explain_error(&e))?;
        refuse_same_columns(&name, &coerced)?;
        let table = Arc::new(ViewTable::new(coerced, view.definition));
        self.register(&name, table, view.or_replace)?;
        done(vec![])
    }

    /// The full name under which something new is entered: the session's own schema for what is temporary.
    pub(super) fn place(&self, name: &TableReference, temporary: bool) -> Result<TableReference> {
        if temporary {
            return Ok(TableReference::full(super::CATALOG, TEMPORARY, Temporary::name_of(name)?));
        }
        let config = self.context.copied_config();
        let defaults = &config.options().catalog;
        let resolved = name.clone().resolve(&defaults.default_catalog, &defaults.default_schema);
        if resolved.schema.as_ref() == TEMPORARY {
            return Err(Error::user(format!("the schema {TEMPORARY} is for temporary tables; say CREATE TEMPORARY …")));
        }
        Ok(TableReference::full(resolved.catalog, resolved.schema, resolved.table))
    }

    /// Whether something of this name is to be made; an error if it is there and may not be replaced.
    pub(super) fn may_create(
        &self,
        name: &TableReference,
        if_not_exists: bool,
        or_replace: bool,
        noun: &str,
    ) -> Result<bool> {
        let exists = self.schema_of(name)?.table_exist(name.table());
        match (exists, if_not_exists, or_replace) {
            (_, true, true) => Err(Error::user("IF NOT EXISTS and OR REPLACE exclude one another")),
            (true, true, false) => Ok(false),
            (true, false, false) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("table {name} exists already; say CREATE OR REPLACE {noun}, or IF NOT EXISTS"),
            )),
            _ => Ok(true),
        }
    }

    /// Enters a table under its full name.
    pub(super) fn register(&self, name: &TableReference, table: Arc<dyn TableProvider>, replace: bool) -> Result<()> {
        let schema = self.schema_of(name)?;
        if replace {
            schema.deregister_table(name.table()).map_err(|e| classify(&e))?;
        }
        schema.register_table(name.table().to_owned(), table).map_err(|e| self.explain_error(&e))?;
        Ok(())
    }

    /// The schema of a full name itself, without the temporary tables that hide parts of it.
    pub(super) fn schema_of(&self, name: &TableReference) -> Result<Arc<dyn SchemaProvider>> {
        let schema = name.schema().unwrap_or(super::SCHEMA);
        if schema == TEMPORARY {
            return Ok(Arc::clone(&self.temporary.tables) as Arc<dyn SchemaProvider>);
        }
        let catalog = name.catalog().unwrap_or(super::CATALOG);
        let found = if catalog == super::CATALOG { self.engine.catalog.schema(schema) } else { None };
        found.ok_or_else(|| {
            let text = format!("there is no schema {catalog}.{schema}; CREATE SCHEMA {schema} makes it");
            Error::new(ErrorKind::NotFound, text)
        })
    }

    fn must_exist(&self, name: &TableReference, noun: &str) -> Result<()> {
        if self.context.table_exist(name.clone()).map_err(|e| classify(&e))? {
            return Ok(());
        }
        let error = datafusion::error::DataFusionError::Plan(format!("table '{name}' not found"));
        let mut error = self.explain_error(&error);
        error.message = error.message.replacen("table", noun, 1);
        Err(error)
    }

    /// Makes the table of a published write.
    pub fn add_table<'a>(&'a self, table: &'a NewTable, spec: &'a SinkSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.define_table(table, spec))
    }

    async fn define_table(&self, table: &NewTable, spec: &SinkSpec) -> Result<()> {
        let provider = self.written_table(table, spec).await?;
        self.register(&table.name, provider, table.replace)
    }

    pub(super) async fn run_here(&self, plan: LogicalPlan) -> Result<Planned> {
        let frame = self.context.execute_logical_plan(plan).await.map_err(|e| self.explain_error(&e))?;
        let batches = frame.collect().await.map_err(|e| self.explain_error(&e))?;
        // It may have been SET.
        self.default_schema.set(&self.context.copied_config().options().catalog.default_schema);
        done(batches)
    }
}

/// Names of a view's columns, which lose their qualifiers, must differ.
fn refuse_same_columns(view: &TableReference, plan: &LogicalPlan) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    match plan.schema().fields().iter().find(|field| !seen.insert(field.name().clone())) {
        None => Ok(()),
        Some(twice) => Err(Error::user(format!(
            "the view {view} would have two columns '{}'; give one of them another name with AS",
            twice.name()
        ))),
    }
}

/// An identifier as it is written in SQL.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

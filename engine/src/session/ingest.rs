//! Rows that a client sends, into a table: they are written as they come, by the engine's own writer, and published once
//! at the end. A stream that breaks off leaves nothing.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use windrow_common::{AttemptId, Error, ErrorKind, Result, limits};

use super::{EngineSession, NewTable, PlanContext, sink_plan};
use crate::error::classify;
use crate::sink::{self, AbortOnDrop, AttemptContext, SinkSpec, direct};

/// What happens when the table is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// It is made, with the columns of the rows.
    Create,
    /// An error.
    Fail,
}

/// What happens when the table is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// An error.
    Fail,
    /// The rows are added to it.
    Append,
    /// It is replaced, when all rows are there.
    Replace,
}

/// The table that rows go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestTarget {
    /// Its catalog, unless it is the session's.
    pub catalog: Option<String>,
    /// Its schema, unless it is the session's.
    pub schema: Option<String>,
    /// Its name.
    pub table: String,
    /// Whether it is for this session only.
    pub temporary: bool,
    /// When it is not there.
    pub if_missing: IfMissing,
    /// When it is there.
    pub if_exists: IfExists,
}

/// Rows as they come.
pub type Rows = BoxStream<'static, Result<RecordBatch>>;

impl EngineSession {
    /// Writes rows of this schema into a table and says how many they were. Dropping the future leaves nothing visible.
    pub fn ingest(
        &self,
        target: IngestTarget,
        schema: SchemaRef,
        rows: Rows,
        context: PlanContext,
    ) -> BoxFuture<'static, Result<u64>> {
        let session = self.clone();
        Box::pin(async move { session.take_rows(&target, schema, rows, context).await })
    }

    async fn take_rows(
        &self,
        target: &IngestTarget,
        schema: SchemaRef,
        rows: Rows,
        context: PlanContext,
    ) -> Result<u64> {
        let name = self.place(&reference(target), target.temporary)?;
        let exists = self.lookup(&name).await?;
        match (exists, target.if_exists, target.if_missing) {
            (Some(_), IfExists::Fail, _) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("table {name} exists already; append to it or replace it"),
            )),
            (None, _, IfMissing::Fail) => {
                Err(Error::new(ErrorKind::NotFound, format!("there is no table {name} to add rows to")))
            }
            (Some(table), IfExists::Append, _) => {
                let spec = sink_plan::append(&self.engine, &name.to_string(), &table, self.header(), &context)?;
                let wanted = table.schema();
                let matched = conformed(rows, &schema, &wanted)?;
                self.write_rows(&spec, false, wanted, matched, &context).await
            }
            (found @ (Some(_) | None), _, _) => {
                let table = NewTable { name, replace: found.is_some(), columns: None };
                let directory = target.temporary.then(|| self.temporary.directory().to_owned());
                let spec = sink_plan::new_table(&self.engine, &table, directory, &context)?;
                let written = self.write_rows(&spec, true, schema, rows, &context).await?;
                self.add_table(&table, &spec).await?;
                Ok(written)
            }
        }
    }

    async fn lookup(&self, name: &TableReference) -> Result<Option<Arc<dyn datafusion::catalog::TableProvider>>> {
        self.schema_of(name)?.table(name.table()).await.map_err(|e| classify(&e))
    }

    /// Stages the rows, and publishes them when the last one has come. With `new`, the directory goes with a write that fails.
    async fn write_rows(
        &self,
        spec: &SinkSpec,
        new: bool,
        schema: SchemaRef,
        rows: Rows,
        context: &PlanContext,
    ) -> Result<u64> {
        let stores = self.engine.stores();
        sink::prepare(stores, spec).await?;
        let guard = AbortOnDrop::new(stores, spec, new);
        let attempt = AttemptContext { attempt: AttemptId(context.nonce), stores: Arc::clone(stores) };
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(limits::INGEST_MEMORY_BYTES));
        let staged = direct::stage(spec, &attempt, schema, rows, &pool).await;
        let published = match staged {
            Ok(files) => sink::publish(stores, spec, files).await,
            Err(error) => Err(error),
        };
        match published {
            Ok(published) => {
                guard.keep();
                Ok(published.rows)
            }
            Err(error) => {
                // Whoever reads the table must not wait for the guard's thread to have cleaned up.
                guard.keep();
                let aborting = if new { sink::abort_new(stores, spec) } else { sink::abort(stores, spec) };
                if let Err(left) = aborting.await {
                    tracing::warn!(error = %left, "what was ingested could not be removed");
                }
                Err(error)
            }
        }
    }
}

fn reference(target: &IngestTarget) -> TableReference {
    let table = target.table.clone();
    match (&target.catalog, &target.schema) {
        (Some(catalog), Some(schema)) => TableReference::full(catalog.clone(), schema.clone(), table),
        (Some(catalog), None) => TableReference::full(catalog.clone(), super::SCHEMA, table),
        (None, Some(schema)) => TableReference::partial(schema.clone(), table),
        (None, None) => TableReference::bare(table),
    }
}

/// Rows with the columns of the table that they are added to: found by name, cast to its types.
fn conformed(rows: Rows, given: &SchemaRef, wanted: &SchemaRef) -> Result<Rows> {
    let columns = wanted.fields().iter().map(|field| {
        let index = given.index_of(field.name()).ok();
        match index {
            Some(index) => Ok(Some(index)),
            None if field.is_nullable() => Ok(None),
            None => Err(Error::user(format!("the rows have no column '{}', which may not be NULL", field.name()))),
        }
    });
    let columns: Vec<Option<usize>> = columns.collect::<Result<_>>()?;
    if let Some(unknown) = given.fields().iter().find(|field| wanted.index_of(field.name()).is_err()) {
        return Err(Error::user(format!("the table has no column '{}'", unknown.name())));
    }
    let wanted = Arc::clone(wanted);
    Ok(rows.and_then(move |batch| futures::future::ready(conform(&batch, &columns, &wanted))).boxed())
}

fn conform(batch: &RecordBatch, columns: &[Option<usize>], wanted: &SchemaRef) -> Result<RecordBatch> {
    let arrays = columns.iter().zip(wanted.fields()).map(|(index, field)| match index {
        Some(index) => cast(batch.column(*index), field.data_type())
            .map_err(|e| Error::user(format!("column '{}' cannot become {}: {e}", field.name(), field.data_type()))),
        None => Ok(datafusion::arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    });
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(wanted), arrays)
        .map_err(|e| Error::user(format!("the rows do not fit the table: {e}")))
}

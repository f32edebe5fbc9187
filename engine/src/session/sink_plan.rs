//! What a writing statement writes: from COPY, INSERT and CREATE TABLE AS to a [`SinkSpec`] and the rows to write.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::logical_expr::dml::{CopyTo, InsertOp};
use datafusion::logical_expr::{CreateMemoryTable, DmlStatement, LogicalPlan, WriteOp};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::{Engine, NewTable, PlanContext, PlannedSink};
use crate::error::classify;
use crate::files::FilesTable;
use crate::sink::{Layout, SinkOptions, SinkSpec, Target, WriteExec};

/// A statement that writes.
#[derive(Debug)]
pub struct WritePlan {
    /// The rows.
    pub input: LogicalPlan,
    /// Where they go.
    pub sink: PlannedSink,
}

/// `COPY … TO`.
pub fn copy(engine: &Engine, copy: CopyTo, context: &PlanContext) -> Result<WritePlan> {
    let format = copy.file_type.get_ext();
    if format != "parquet" {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("COPY writes Parquet; '{format}' cannot be written yet. Say STORED AS PARQUET"),
        ));
    }
    if !copy.partition_by.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "COPY … PARTITIONED BY cannot be written yet"));
    }
    let options = SinkOptions::parse(copy.options.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
    let target = Target::parse(&copy.output_url, &base_directory()?)?;
    let default_mode = match target.layout {
        Layout::SingleFile => SinkMode::Overwrite,
        Layout::Directory => SinkMode::ErrorIfExists,
    };
    let spec = spec(engine, context, &target, options, default_mode)?;
    Ok(WritePlan { input: Arc::unwrap_or_clone(copy.input), sink: PlannedSink { spec, table: None } })
}

/// `INSERT INTO` and `INSERT OVERWRITE`.
pub fn insert(engine: &Engine, dml: DmlStatement, context: &PlanContext) -> Result<WritePlan> {
    let mode = match &dml.op {
        WriteOp::Insert(InsertOp::Append) => SinkMode::Append,
        WriteOp::Insert(InsertOp::Overwrite) => SinkMode::Overwrite,
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} does not exist here; tables are written by INSERT INTO and INSERT OVERWRITE", other.name()),
            ));
        }
    };
    let provider = source_as_provider(&dml.target).map_err(|e| classify(&e))?;
    let target = writable(&dml.table_name.to_string(), &provider, mode)?;
    let spec = spec(engine, context, &target, SinkOptions::default(), mode)?;
    Ok(WritePlan { input: Arc::unwrap_or_clone(dml.input), sink: PlannedSink { spec, table: None } })
}

/// `CREATE TABLE … AS`: into a directory of our own, which becomes a table when it is published.
///
/// A temporary table goes below the session's own `directory`.
pub fn create_table_as(
    engine: &Engine,
    create: CreateMemoryTable,
    directory: Option<PathBuf>,
    context: &PlanContext,
) -> Result<WritePlan> {
    let table = NewTable { name: create.name, replace: create.or_replace };
    let spec = new_table(engine, &table, directory, context)?;
    let input = Arc::unwrap_or_clone(create.input);
    Ok(WritePlan { input, sink: PlannedSink { spec, table: Some(table) } })
}

/// The write of a new table's first rows, into a directory that nobody else uses.
pub fn new_table(
    engine: &Engine,
    table: &NewTable,
    directory: Option<PathBuf>,
    context: &PlanContext,
) -> Result<SinkSpec> {
    let parent =
        directory.unwrap_or_else(|| engine.warehouse.join(file_name(table.name.schema().unwrap_or(super::SCHEMA))));
    let path = parent.join(format!("{}-{}", file_name(table.name.table()), context.job.long()));
    std::fs::create_dir_all(&path)
        .map_err(|e| Error::io(format!("cannot make the directory {} for the table: {e}", path.display())))?;
    let target = Target::parse(&format!("{}/", path.display()), &base_directory()?)?;
    spec(engine, context, &target, SinkOptions::default(), SinkMode::ErrorIfExists)
}

/// The write that adds rows to a table.
pub fn append(engine: &Engine, name: &str, table: &Arc<dyn TableProvider>, context: &PlanContext) -> Result<SinkSpec> {
    let target = writable(name, table, SinkMode::Append)?;
    spec(engine, context, &target, SinkOptions::default(), SinkMode::Append)
}

/// A name as part of a path: whatever it contains, it stays one plain component.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).take(100).collect()
}

fn spec(
    engine: &Engine,
    context: &PlanContext,
    target: &Target,
    options: SinkOptions,
    default_mode: SinkMode,
) -> Result<SinkSpec> {
    Ok(SinkSpec {
        cluster: engine.cluster.clone(),
        job: context.job.0,
        statement: 0,
        sink: 0,
        target: target.text()?,
        layout: target.layout,
        format: options.format,
        mode: options.mode.unwrap_or(default_mode),
        target_file_bytes: options.target_file_bytes,
        nonce: context.nonce,
    })
}

/// What relative paths of statements are relative to.
pub(super) fn base_directory() -> Result<std::path::PathBuf> {
    std::env::current_dir().map_err(|e| Error::io(format!("the current directory cannot be read: {e}")))
}

/// Where a table's rows are written.
fn writable(name: &str, provider: &Arc<dyn TableProvider>, mode: SinkMode) -> Result<Target> {
    let location = table_location(provider).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("{name} cannot be written to; tables over a directory of Parquet files can"),
        )
    })?;
    let target = Target::parse(&location, &base_directory()?)?;
    if target.layout == Layout::SingleFile && mode == SinkMode::Append {
        return Err(Error::user(format!(
            "{name} is the single file {location}, to which rows cannot be added; put the table over a directory"
        )));
    }
    Ok(target)
}

/// The one place of a table's files, if it is a table over Parquet files.
fn table_location(provider: &Arc<dyn TableProvider>) -> Option<String> {
    let table = provider.downcast_ref::<FilesTable>()?;
    table.format.downcast_ref::<ParquetFormat>()?;
    let [location] = table.locations.as_slice() else { return None };
    (!location.is_pattern()).then(|| location.url())
}

/// Puts the write on top of the operators that make its rows.
pub fn write_operator(input: Arc<dyn ExecutionPlan>, spec: &SinkSpec) -> Result<Arc<dyn ExecutionPlan>> {
    let many = input.output_partitioning().partition_count() > 1;
    let ordering: Option<LexOrdering> = input.output_ordering().cloned();
    let input: Arc<dyn ExecutionPlan> = match (spec.layout, many) {
        (Layout::SingleFile, true) => match ordering {
            Some(ordering) => Arc::new(SortPreservingMergeExec::new(ordering, input)),
            None => Arc::new(CoalescePartitionsExec::new(input)),
        },
        (Layout::SingleFile, false) | (Layout::Directory, _) => input,
    };
    Ok(Arc::new(WriteExec::try_new(input, spec.clone()).map_err(|e| classify(&e))?))
}

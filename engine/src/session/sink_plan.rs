//! What a writing statement writes: from COPY, INSERT and CREATE TABLE AS to a [`SinkSpec`] and the rows to write.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::logical_expr::dml::{CopyTo, InsertOp};
use datafusion::logical_expr::{CreateMemoryTable, DmlStatement, LogicalPlan, WriteOp};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::table_format::{WrittenTable, written_table};
use super::table_storage::TableStorage;
use super::{Engine, NewTable, PlanContext, PlannedSink};
use crate::error::classify;
use crate::sink::{Compression, Format, FormatName, Layout, SinkOptions, SinkSpec, Target, WriteExec};

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
    let name = FormatName::of_statement(&copy.file_type.get_ext())?;
    let target = Target::parse(&copy.output_url, &base_directory()?)?;
    engine.stores.locate(&copy.output_url, &base_directory()?)?;
    if !target.location.is_local() && copy.output_url.contains('%') {
        let text =
            format!("'{}': names in stores are taken as they stand, and new ones may not have a '%'", copy.output_url);
        return Err(Error::user(text));
    }
    let mut format = Format::of(name);
    if let Some(file) = target.file.filter(|_| name.is_text()) {
        format.set_compression(file.compression);
    }
    let mut said: Vec<(&str, &str)> = copy.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    said.sort_unstable();
    let options = SinkOptions::parse(format, said)?;
    refuse_contradiction(&target, &options.format)?;
    let default_mode = match target.layout {
        Layout::SingleFile => SinkMode::Overwrite,
        Layout::Directory => SinkMode::ErrorIfExists,
    };
    let spec = spec(engine, context, &target, options, copy.partition_by, default_mode)?;
    write_plan(Arc::unwrap_or_clone(copy.input), spec, None)
}

/// `INSERT INTO` and `INSERT OVERWRITE`. `header` is what the session says of CSV files whose table says nothing.
pub fn insert(engine: &Engine, dml: DmlStatement, header: bool, context: &PlanContext) -> Result<WritePlan> {
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
    let spec = into_table(engine, &dml.table_name.to_string(), &provider, mode, header, context)?;
    write_plan(Arc::unwrap_or_clone(dml.input), spec, None)
}

/// `CREATE TABLE … AS`: into a directory of our own, which becomes a table when it is published.
///
/// A temporary table goes below the session's own `directory`.
pub fn create_table_as(
    engine: &Engine,
    create: CreateMemoryTable,
    storage: Option<TableStorage>,
    directory: Option<PathBuf>,
    context: &PlanContext,
) -> Result<WritePlan> {
    let columns: SchemaRef = Arc::new(create.input.schema().as_arrow().clone());
    let table = NewTable { name: create.name, replace: create.or_replace, columns: Some(Arc::clone(&columns)) };
    let (options, partition_by) = storage.unwrap_or_default().options()?;
    let spec = new_spec(engine, &table, options, partition_by, directory, context)?;
    // Before there is a directory.
    spec.check_schema(&columns)?;
    super::table_format::check_readable(&spec.format)?;
    make_directory(&spec)?;
    write_plan(Arc::unwrap_or_clone(create.input), spec, Some(table))
}

/// The write of a new table's first rows, into a directory that nobody else uses.
pub fn new_table(
    engine: &Engine,
    table: &NewTable,
    directory: Option<PathBuf>,
    context: &PlanContext,
) -> Result<SinkSpec> {
    let spec = new_spec(engine, table, SinkOptions::default(), vec![], directory, context)?;
    make_directory(&spec)?;
    Ok(spec)
}

/// The write that adds rows to a table.
pub fn append(
    engine: &Engine,
    name: &str,
    table: &Arc<dyn TableProvider>,
    header: bool,
    context: &PlanContext,
) -> Result<SinkSpec> {
    into_table(engine, name, table, SinkMode::Append, header, context)
}

/// The rows are looked at before anybody makes anything.
fn write_plan(input: LogicalPlan, spec: SinkSpec, table: Option<NewTable>) -> Result<WritePlan> {
    spec.check_schema(input.schema().inner())?;
    Ok(WritePlan { input, sink: PlannedSink { spec, table } })
}

fn new_spec(
    engine: &Engine,
    table: &NewTable,
    options: SinkOptions,
    partition_by: Vec<String>,
    directory: Option<PathBuf>,
    context: &PlanContext,
) -> Result<SinkSpec> {
    let parent =
        directory.unwrap_or_else(|| engine.warehouse.join(file_name(table.name.schema().unwrap_or(super::SCHEMA))));
    let path = parent.join(format!("{}-{}", file_name(table.name.table()), context.job.long()));
    let target = Target::parse(&format!("{}/", path.display()), &base_directory()?)?;
    spec(engine, context, &target, options, partition_by, SinkMode::ErrorIfExists)
}

fn make_directory(spec: &SinkSpec) -> Result<()> {
    let Some(path) = spec.target()?.location.local_path() else { return Ok(()) };
    std::fs::create_dir_all(&path)
        .map_err(|e| Error::io(format!("cannot make the directory {} for the table: {e}", path.display())))
}

/// The name of a single file, and what else a statement says, must say the same.
fn refuse_contradiction(target: &Target, format: &Format) -> Result<()> {
    let Some(file) = target.file else { return Ok(()) };
    let (shown, wanted) = (target.text(), format.extension());
    if file.format != format.name() {
        let name = format.name().text().to_ascii_uppercase();
        return Err(Error::user(format!(
            "'{shown}' is the name of a {} file, and the statement says STORED AS {name}; call it 'name.{wanted}', or say \
             STORED AS {}",
            file.format.text(),
            file.format.text().to_ascii_uppercase()
        )));
    }
    if format.name().is_text() && !file.compression.is_like(format.compression()) {
        let said = if format.compression() == Compression::None { "none" } else { "another one" };
        return Err(Error::user(format!(
            "the name '{shown}' and option 'compression' ({said}) contradict each other; call it 'name.{wanted}', or \
             leave the option out"
        )));
    }
    Ok(())
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
    partition_by: Vec<String>,
    default_mode: SinkMode,
) -> Result<SinkSpec> {
    Ok(SinkSpec {
        cluster: engine.cluster.clone(),
        job: context.job.0,
        statement: 0,
        sink: 0,
        target: target.text(),
        layout: target.layout,
        format: options.format,
        partition_by,
        gathers_partitions: options.gathers_partitions,
        mode: options.mode.unwrap_or(default_mode),
        replaces_all: false,
        target_file_bytes: options.target_file_bytes,
        nonce: context.nonce,
    })
}

/// What relative paths of statements are relative to.
pub(super) fn base_directory() -> Result<std::path::PathBuf> {
    std::env::current_dir().map_err(|e| Error::io(format!("the current directory cannot be read: {e}")))
}

/// The write of rows into a table that is there.
fn into_table(
    engine: &Engine,
    name: &str,
    provider: &Arc<dyn TableProvider>,
    mode: SinkMode,
    header: bool,
    context: &PlanContext,
) -> Result<SinkSpec> {
    let WrittenTable { location, format, partition_by, reads } = written_table(name, provider, header)?;
    if mode == SinkMode::Overwrite && reads.subdirectories {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{name} reads all directories below {location} (datafusion.execution.listing_table_ignore_subdirectory is \
                 off), and an overwrite replaces only the files of one and of its partitions; make the table with the option \
                 on"
            ),
        ));
    }
    let target = Target::at(location)?;
    let location = &target.location;
    if target.layout == Layout::SingleFile && mode == SinkMode::Append {
        return Err(Error::user(format!(
            "{name} is the single file {location}, to which rows cannot be added; put the table over a directory"
        )));
    }
    let spec = spec(engine, context, &target, SinkOptions::of(format), partition_by, mode)?;
    Ok(SinkSpec { replaces_all: reads.any_name, ..spec })
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
        (Layout::Directory, true) if spec.gathers_partitions && !spec.partition_by.is_empty() => {
            gathered_by_directory(input, &spec.partition_by)?
        }
        (Layout::SingleFile, false) | (Layout::Directory, _) => input,
    };
    Ok(Arc::new(WriteExec::try_new(input, spec.clone()).map_err(|e| classify(&e))?))
}

/// Brings the rows of one directory together in one partition, so that it does not get a file from each.
fn gathered_by_directory(input: Arc<dyn ExecutionPlan>, columns: &[String]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let keys: Vec<Arc<dyn PhysicalExpr>> = columns
        .iter()
        .map(|name| Ok(Arc::new(Column::new_with_schema(name, &schema).map_err(|e| classify(&e))?) as _))
        .collect::<Result<_>>()?;
    let are_together = match input.output_partitioning() {
        // Equal in all of the columns means equal in some of them.
        Partitioning::Hash(by, _) => !by.is_empty() && by.iter().all(|key| keys.contains(key)),
        _ => false,
    };
    if are_together {
        return Ok(input);
    }
    let partitions = input.output_partitioning().partition_count();
    let gathered = RepartitionExec::try_new(input, Partitioning::Hash(keys, partitions));
    Ok(Arc::new(gathered.map_err(|e| classify(&e))?))
}

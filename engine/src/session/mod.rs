//! Sessions: settings and names of one user over a shared catalog, and the planning of their statements.
//!
//! [`Engine`] is what the sessions of one coordinator share; [`EngineSession`] is one user's. A statement becomes either
//! rows at once (settings, definitions, EXPLAIN) or a job: a stage graph with its blobs.

mod adapted;
mod checks;
mod definitions;
pub mod description;
mod errors;
mod explaining;
mod external_table;
mod file_tables;
pub mod ingest;
pub mod listing;
mod names;
pub mod parameters;
mod queries;
mod script;
pub mod settings;
mod sink_plan;
mod statement;
pub mod storage;
pub mod suggest;
mod table_format;
mod table_storage;
mod temporary;
mod text_depth;
mod writes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use windrow_common::{BlobHash, JobId, Result, StageGraph};

pub use definitions::quote_identifier;
pub use description::{Description, StatementKind};
pub use explaining::Analysis;
pub use ingest::{IfExists, IfMissing, IngestTarget};
pub use listing::ListedTable;
pub use names::TEMPORARY;
pub use script::gives_rows;
pub use writes::{count_row, count_schema};

use crate::error::classify;
use crate::plan::cost::ClusterShape;
use crate::plan::multiset::Multiset;
use crate::plan::set_comparison::NamedComparison;
use crate::plan::subquery_value::SubqueryValue;
use crate::plan::window_filter::WindowFilter;
use crate::sink::SinkSpec;
use crate::stores::Stores;
use names::{DefaultSchema, SessionCatalog};
use settings::WindrowOptions;
use temporary::Temporary;

/// The catalog that every session sees.
const CATALOG: &str = "windrow";
/// Its schema for names without one.
const SCHEMA: &str = "public";

/// What the sessions of one coordinator share.
#[derive(Debug)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    stores: Arc<Stores>,
    catalog: Arc<MemoryCatalogProvider>,
    warehouse: PathBuf,
    cluster: String,
    /// What the settings of a new session are.
    defaults: BTreeMap<String, String>,
}

impl Engine {
    /// An engine whose tables without a location go below `warehouse`; `cluster` names it in what it writes.
    ///
    /// It reads and writes what `stores` give it.
    pub fn new(warehouse: PathBuf, cluster: String, stores: Arc<Stores>) -> Result<Arc<Self>> {
        let runtime = storage::runtime_builder(Arc::clone(&stores) as _).build_arc().map_err(|e| classify(&e))?;
        let catalog = Arc::new(MemoryCatalogProvider::new());
        catalog.register_schema(SCHEMA, Arc::new(MemorySchemaProvider::new())).map_err(|e| classify(&e))?;
        let defaults = settings::with_values(session_config().options());
        Ok(Arc::new(Self { runtime, stores, catalog, warehouse, cluster, defaults }))
    }

    /// Where it reads and writes.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// A new session over the shared catalog.
    pub fn session(self: &Arc<Self>) -> EngineSession {
        let catalogs = Arc::new(MemoryCatalogProviderList::new());
        let mut state = SessionStateBuilder::new()
            .with_config(session_config())
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_catalog_list(catalogs)
            .with_default_features()
            .with_analyzer_rule(Arc::new(WindowFilter))
            .with_analyzer_rule(Arc::new(SubqueryValue))
            .with_analyzer_rule(Arc::new(NamedComparison))
            .with_analyzer_rule(Arc::new(Multiset))
            .build();
        table_format::register(&mut state);
        let context = SessionContext::new_with_state(state);
        let temporary = Temporary::new(&self.warehouse, &context.session_id());
        let default_schema = DefaultSchema::new(SCHEMA);
        let names =
            SessionCatalog::new(Arc::clone(&self.catalog), Arc::clone(&temporary.tables), default_schema.clone());
        context.register_catalog(CATALOG, Arc::new(names));
        let context = file_tables::with_file_tables(context, Arc::clone(&self.stores));
        EngineSession { engine: Arc::clone(self), context, temporary, default_schema }
    }
}

/// The settings of a new session.
fn session_config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.extensions.insert(WindrowOptions::default());
    // Positions in error messages.
    options.sql_parser.collect_spans = true;
    config
}

/// One user's session.
#[derive(Clone)]
pub struct EngineSession {
    engine: Arc<Engine>,
    context: SessionContext,
    temporary: Arc<Temporary>,
    default_schema: DefaultSchema,
}

impl std::fmt::Debug for EngineSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EngineSession({})", self.context.session_id())
    }
}

impl EngineSession {
    /// The object stores that its statements write to.
    pub fn stores(&self) -> &Arc<Stores> {
        self.engine.stores()
    }
}

/// Circumstances of planning one statement.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext {
    /// The job that the statement would become.
    pub job: JobId,
    /// The cores there are.
    pub cluster: ClusterShape,
    /// 128 random bits, for what the statement writes.
    pub nonce: u128,
    /// Whether the answer is to say what the job has done.
    pub analyze: bool,
}

/// What a statement turned out to be.
#[derive(Debug)]
pub enum Planned {
    /// It is done; these are its rows.
    Done {
        /// The schema of the rows.
        schema: SchemaRef,
        /// The rows.
        batches: Vec<RecordBatch>,
    },
    /// It needs tasks.
    Job(Box<PlannedJob>),
}

/// A planned job.
#[derive(Debug)]
pub struct PlannedJob {
    /// Its stages.
    pub graph: StageGraph,
    /// Their plans.
    pub blobs: Vec<(BlobHash, Arc<[u8]>)>,
    /// The schema of the rows that the client gets.
    pub schema: SchemaRef,
    /// What it writes, if it writes.
    pub sink: Option<PlannedSink>,
    /// The settings of its session that are not the defaults, by name.
    pub settings: Vec<(String, String)>,
    /// Makes the answer, instead of the rows, if the job is run to be explained.
    pub analysis: Option<Analysis>,
}

/// What a job writes, and what becomes of it.
#[derive(Clone, Debug)]
pub struct PlannedSink {
    /// The write.
    pub spec: SinkSpec,
    /// The table to make of it when it is published.
    pub table: Option<NewTable>,
}

/// A table that `CREATE TABLE AS` makes once its rows are published.
#[derive(Clone, Debug)]
pub struct NewTable {
    name: datafusion::common::TableReference,
    replace: bool,
    /// Its columns, where they are known better than the files know them.
    columns: Option<SchemaRef>,
}

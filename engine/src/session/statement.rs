//! One statement, from text to rows or to a job.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{CreateMemoryTable, DdlStatement, DropTable, LogicalPlan, Statement};
use futures::future::BoxFuture;
use windrow_common::{Error, ErrorKind, Result, limits};

use super::checks;
use super::settings::{FastPath, WindrowOptions};
use super::sink_plan::{self, WritePlan, write_operator};
use super::suggest::nearest;
use super::{EngineSession, NewTable, PlanContext, Planned, PlannedJob, PlannedSink};
use crate::error::classify;
use crate::plan::cost::{self, Costs};
use crate::plan::cut::{self, CutPlan};
use crate::plan::physical::{self, Spread, settings_for};
use crate::plan::{explain, graph, local, verify};
use crate::sink;

/// Both ways of running one plan, and the choice between them.
struct Alternatives {
    one: Option<CutPlan>,
    many: CutPlan,
    costs: Costs,
    fast: bool,
    reason: String,
}

impl EngineSession {
    /// Plans one statement. Definitions, settings and EXPLAIN are done at once.
    pub fn plan<'a>(&'a self, sql: &'a str, context: PlanContext) -> BoxFuture<'a, Result<Planned>> {
        Box::pin(self.plan_text(sql, context))
    }

    async fn plan_text(&self, sql: &str, context: PlanContext) -> Result<Planned> {
        if sql.len() > limits::MAX_SQL_BYTES {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("the statement has {} bytes; the limit is {}", sql.len(), limits::MAX_SQL_BYTES),
            ));
        }
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state.sql_to_statement(sql, &dialect).map_err(|e| self.explain_error(&e))?;
        let logical = state.statement_to_plan(statement).await.map_err(|e| self.explain_error(&e))?;
        checks::check(&logical)?;
        match logical {
            LogicalPlan::Explain(explain) => self.explain(&explain.plan, &context).await,
            LogicalPlan::Analyze(_) => {
                Err(Error::new(ErrorKind::Unsupported, "EXPLAIN ANALYZE does not exist yet; EXPLAIN does"))
            }
            LogicalPlan::Copy(copy) => self.write(sink_plan::copy(&self.engine, copy, &context)?, &context).await,
            LogicalPlan::Dml(dml) => self.write(sink_plan::insert(&self.engine, dml, &context)?, &context).await,
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => self.create_table(create, &context).await,
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) => self.create_external_table(&create).await,
            LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => self.drop_table(drop).await,
            plan @ (LogicalPlan::Ddl(_)
            | LogicalPlan::Statement(
                Statement::SetVariable(_)
                | Statement::ResetVariable(_)
                | Statement::Prepare(_)
                | Statement::Deallocate(_),
            )) => self.run_here(plan).await,
            LogicalPlan::Statement(Statement::Execute(execute)) => {
                let plan = LogicalPlan::Statement(Statement::Execute(execute));
                let frame = self.context.execute_logical_plan(plan).await.map_err(|e| self.explain_error(&e))?;
                self.query(frame.logical_plan().clone(), &context).await
            }
            LogicalPlan::Statement(other) => {
                Err(Error::new(ErrorKind::Unsupported, format!("{} does not exist here", other.name())))
            }
            query => self.query(query, &context).await,
        }
    }

    async fn query(&self, logical: LogicalPlan, context: &PlanContext) -> Result<Planned> {
        let schema = Arc::new(logical.schema().as_arrow().clone());
        let alternatives = self.alternatives(&logical, None, context, false).await?;
        let built = self.build(&alternatives, context, false)?;
        // The plan's own schema is what its batches have; it may differ from the logical one in metadata.
        let planned = alternatives.chosen().stages.last().map_or(schema, |stage| stage.plan.schema());
        Ok(Planned::Job(Box::new(PlannedJob { graph: built.graph, blobs: built.blobs, schema: planned, sink: None })))
    }

    async fn write(&self, write: WritePlan, context: &PlanContext) -> Result<Planned> {
        sink::prepare(&write.sink.spec).await?;
        let alternatives = self.alternatives(&write.input, Some(&write.sink), context, false).await?;
        let built = self.build(&alternatives, context, true)?;
        let schema = Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]));
        let sink = Some(write.sink);
        Ok(Planned::Job(Box::new(PlannedJob { graph: built.graph, blobs: built.blobs, schema, sink })))
    }

    fn build(&self, plans: &Alternatives, context: &PlanContext, commits: bool) -> Result<graph::GraphAndBlobs> {
        let spread = if plans.fast { self.one_task(context) } else { self.many_tasks(context)? };
        let config = settings_for(self.context.state().config_options(), spread);
        if !plans.fast {
            verify::verify(plans.chosen(), &config).map_err(|e| classify(&e))?;
        }
        graph::build(plans.chosen(), &config, commits).map_err(|e| classify(&e))
    }

    /// Plans both ways, unless it is clear that only one is needed.
    async fn alternatives(
        &self,
        logical: &LogicalPlan,
        sink: Option<&PlannedSink>,
        context: &PlanContext,
        both: bool,
    ) -> Result<Alternatives> {
        let optimised = self.context.state().optimize(logical).map_err(|e| self.explain_error(&e))?;
        let fast_path = self.options().fast_path()?;
        let one_worker = context.cluster.slots <= context.cluster.largest;
        let many_spread = self.many_tasks(context)?;
        let (fast, reason, many) = match fast_path {
            FastPath::On => (true, "windrow.fast_path is on".to_owned(), None),
            FastPath::Off => (false, "windrow.fast_path is off".to_owned(), None),
            FastPath::Auto if one_worker && !both => (true, "one worker has all the slots".to_owned(), None),
            FastPath::Auto => {
                let many = self.cut_many(&optimised, sink, many_spread).await?;
                let costs = cost::estimate(&many, context.cluster);
                let fast = one_worker || costs.prefers_one_task();
                let reason = match (one_worker, fast) {
                    (true, _) => "one worker has all the slots",
                    (false, true) => "exchanges would cost more than they save",
                    (false, false) => "more workers are worth their exchanges",
                };
                (fast, reason.to_owned(), Some(many))
            }
        };
        let one = if fast || both { Some(self.cut_one(&optimised, sink, context).await?) } else { None };
        let many = match many {
            Some(many) => many,
            None if both || !fast => self.cut_many(&optimised, sink, many_spread).await?,
            None => CutPlan::default(),
        };
        let costs =
            cost::estimate(if many.stages.is_empty() { one.as_ref().unwrap_or(&many) } else { &many }, context.cluster);
        Ok(Alternatives { one, many, costs, fast, reason })
    }

    async fn cut_one(
        &self,
        logical: &LogicalPlan,
        sink: Option<&PlannedSink>,
        context: &PlanContext,
    ) -> Result<CutPlan> {
        let operators = self.operators(logical, sink, self.one_task(context)).await?;
        cut::whole(&operators, context.cluster.largest.max(1)).map_err(|e| classify(&e))
    }

    async fn cut_many(&self, logical: &LogicalPlan, sink: Option<&PlannedSink>, spread: Spread) -> Result<CutPlan> {
        let operators = self.operators(logical, sink, spread).await?;
        cut::cut(&operators).map_err(|e| classify(&e))
    }

    async fn operators(
        &self,
        logical: &LogicalPlan,
        sink: Option<&PlannedSink>,
        spread: Spread,
    ) -> Result<Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
        let state = self.context.state();
        let operators = physical::plan(&state, logical, spread).await.map_err(|e| self.explain_error(&e))?;
        crate::codec::encode::check_shippable(&operators).map_err(|e| classify(&e))?;
        let operators = local::run_local_leaves(operators, &state.task_ctx()).await.map_err(|e| classify(&e))?;
        match sink {
            Some(sink) => write_operator(operators, &sink.spec),
            None => Ok(operators),
        }
    }

    fn one_task(&self, context: &PlanContext) -> Spread {
        Spread::OneTask { cores: context.cluster.largest.max(1) as usize }
    }

    fn many_tasks(&self, context: &PlanContext) -> Result<Spread> {
        let options = self.options();
        let force = options.fast_path()? == FastPath::Off;
        let partitions = match options.partitions {
            0 => context.cluster.slots.max(1) as usize,
            some => some.min(limits::MAX_PARTITIONS),
        };
        Ok(Spread::ManyTasks { partitions, force })
    }

    fn options(&self) -> WindrowOptions {
        let config = self.context.copied_config();
        config.options().extensions.get::<WindrowOptions>().cloned().unwrap_or_default()
    }

    async fn explain(&self, plan: &LogicalPlan, context: &PlanContext) -> Result<Planned> {
        let (input, sink) = match plan.clone() {
            LogicalPlan::Copy(copy) => {
                let write = sink_plan::copy(&self.engine, copy, context)?;
                (write.input, Some(write.sink))
            }
            LogicalPlan::Dml(dml) => {
                let write = sink_plan::insert(&self.engine, dml, context)?;
                (write.input, Some(write.sink))
            }
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => (create.input.as_ref().clone(), None),
            other @ (LogicalPlan::Ddl(_) | LogicalPlan::Statement(_)) => {
                let text = other.display_indent().to_string();
                return rows(vec![("logical_plan", text)]);
            }
            query => (query, None),
        };
        let plans = self.alternatives(&input, sink.as_ref(), context, true).await?;
        let one = plans.one.as_ref().unwrap_or(&plans.many);
        let text =
            explain::render(one, &plans.many, &plans.costs, plans.chosen(), &plans.reason).map_err(|e| classify(&e))?;
        let optimised = self.context.state().optimize(&input).map_err(|e| classify(&e))?;
        rows(vec![("logical_plan", optimised.display_indent().to_string()), ("stages", text)])
    }

    async fn create_table(&self, create: CreateMemoryTable, context: &PlanContext) -> Result<Planned> {
        let exists = self.context.table_exist(create.name.clone()).map_err(|e| classify(&e))?;
        if exists && create.if_not_exists {
            return done(vec![]);
        }
        if exists && !create.or_replace {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("table {} exists already; say CREATE OR REPLACE TABLE, or IF NOT EXISTS", create.name),
            ));
        }
        self.write(sink_plan::create_table_as(&self.engine, create, context)?, context).await
    }

    /// Makes the table of a published write.
    pub fn add_table<'a>(&'a self, table: &'a NewTable, spec: &'a sink::SinkSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.define_table(table, spec))
    }

    async fn define_table(&self, table: &NewTable, spec: &sink::SinkSpec) -> Result<()> {
        let replace = if table.replace { "OR REPLACE " } else { "" };
        let name = quote_reference(&table.name);
        let location = spec.target.replace('\'', "''");
        let sql = format!("CREATE {replace}EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{location}'");
        self.context.sql(&sql).await.map_err(|e| classify(&e))?;
        Ok(())
    }

    /// Drops the name. The files of a table that we made stay until nobody reads them; they are removed with the warehouse.
    async fn drop_table(&self, drop: DropTable) -> Result<Planned> {
        self.run_here(LogicalPlan::Ddl(DdlStatement::DropTable(drop))).await
    }

    async fn run_here(&self, plan: LogicalPlan) -> Result<Planned> {
        let frame = self.context.execute_logical_plan(plan).await.map_err(|e| self.explain_error(&e))?;
        let batches = frame.collect().await.map_err(|e| self.explain_error(&e))?;
        done(batches)
    }

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

impl Alternatives {
    fn chosen(&self) -> &CutPlan {
        match (&self.one, self.fast) {
            (Some(one), true) => one,
            _ => &self.many,
        }
    }
}

/// The answer of a statement that wrote rows.
pub fn count_row(rows: u64) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![rows]));
    RecordBatch::try_from_iter([("count", column)]).map_err(|e| Error::internal(e.to_string()))
}

pub(super) fn done(batches: Vec<RecordBatch>) -> Result<Planned> {
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    Ok(Planned::Done { schema, batches })
}

fn rows(lines: Vec<(&str, String)>) -> Result<Planned> {
    let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(kind, _)| *kind)));
    let plans: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(_, plan)| plan)));
    let batch = RecordBatch::try_from_iter([("plan_type", kinds), ("plan", plans)])
        .map_err(|e| Error::internal(e.to_string()))?;
    done(vec![batch])
}

/// An identifier as it is written in SQL.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_reference(name: &TableReference) -> String {
    let parts: Vec<String> =
        [name.catalog(), name.schema(), Some(name.table())].into_iter().flatten().map(quote_identifier).collect();
    parts.join(".")
}

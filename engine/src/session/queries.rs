//! Queries: both ways of running a plan, the choice between them, and the stage graph of the chosen one.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use windrow_common::{Result, limits};

use super::settings::{FastPath, WindrowOptions};
use super::sink_plan::write_operator;
use super::{Analysis, EngineSession, PlanContext, Planned, PlannedJob, PlannedSink};
use crate::error::classify;
use crate::files::Snapshot;
use crate::plan::cost::{self, Costs};
use crate::plan::cut::{self, CutPlan};
use crate::plan::physical::{self, Spread, settings_for};
use crate::plan::{graph, local, verify};

/// Both ways of running one plan, and the choice between them.
pub(super) struct Alternatives {
    pub(super) one: Option<CutPlan>,
    pub(super) many: CutPlan,
    pub(super) costs: Costs,
    pub(super) fast: bool,
    pub(super) reason: String,
}

impl EngineSession {
    /// The job of a query.
    pub(super) async fn query(&self, logical: LogicalPlan, context: &PlanContext) -> Result<Planned> {
        let schema = Arc::new(logical.schema().as_arrow().clone());
        let alternatives = self.alternatives(&logical, None, context, false).await?;
        let built = self.build(&alternatives, context, false)?;
        // The plan's own schema is what its batches have; it may differ from the logical one in metadata.
        let planned = alternatives.chosen().stages.last().map_or(schema, |stage| stage.plan.schema());
        let job = PlannedJob {
            graph: built.graph,
            blobs: built.blobs,
            schema: planned,
            sink: None,
            settings: self.changed_settings(),
            analysis: context.analyze.then(|| Analysis::new(&alternatives)).transpose()?,
        };
        Ok(Planned::Job(Box::new(job)))
    }

    /// The stage graph of the chosen way.
    pub(super) fn build(
        &self,
        plans: &Alternatives,
        context: &PlanContext,
        commits: bool,
    ) -> Result<graph::GraphAndBlobs> {
        let spread = if plans.fast { self.one_task(context) } else { self.many_tasks(context)? };
        let config = settings_for(self.context.state().config_options(), spread);
        if !plans.fast {
            verify::verify(plans.chosen(), &config).map_err(|e| classify(&e))?;
        }
        graph::build(plans.chosen(), &config, commits).map_err(|e| classify(&e))
    }

    /// Plans both ways, unless it is clear that only one is needed.
    pub(super) async fn alternatives(
        &self,
        logical: &LogicalPlan,
        sink: Option<&PlannedSink>,
        context: &PlanContext,
        both: bool,
    ) -> Result<Alternatives> {
        let optimised = self.context.state().optimize(logical).map_err(|e| self.explain_error(&e))?;
        let fast_path = self.options().fast_path;
        let snapshot = Arc::new(Snapshot::default());
        let one_worker = context.cluster.slots <= context.cluster.largest;
        let many_spread = self.many_tasks(context)?;
        let (fast, reason, many) = match fast_path {
            FastPath::On => (true, "windrow.fast_path is on".to_owned(), None),
            FastPath::Off => (false, "windrow.fast_path is off".to_owned(), None),
            FastPath::Auto if one_worker && !both => (true, "one worker has all the slots".to_owned(), None),
            FastPath::Auto => {
                let many = self.cut_many(&optimised, sink, many_spread, &snapshot).await?;
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
        let one = if fast || both { Some(self.cut_one(&optimised, sink, context, &snapshot).await?) } else { None };
        let many = match many {
            Some(many) => many,
            None if both || !fast => self.cut_many(&optimised, sink, many_spread, &snapshot).await?,
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
        snapshot: &Arc<Snapshot>,
    ) -> Result<CutPlan> {
        let operators = self.operators(logical, sink, self.one_task(context), snapshot).await?;
        cut::whole(&operators, context.cluster.largest.max(1)).map_err(|e| classify(&e))
    }

    async fn cut_many(
        &self,
        logical: &LogicalPlan,
        sink: Option<&PlannedSink>,
        spread: Spread,
        snapshot: &Arc<Snapshot>,
    ) -> Result<CutPlan> {
        let operators = self.operators(logical, sink, spread, snapshot).await?;
        cut::cut(&operators).map_err(|e| classify(&e))
    }

    async fn operators(
        &self,
        logical: &LogicalPlan,
        sink: Option<&PlannedSink>,
        spread: Spread,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
        let state = self.context.state();
        let operators = physical::plan(&state, logical, spread, snapshot).await.map_err(|e| self.explain_error(&e))?;
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
        let force = options.fast_path == FastPath::Off;
        let partitions = match options.partitions {
            0 => context.cluster.slots.max(1) as usize,
            some => some.min(limits::MAX_PARTITIONS),
        };
        Ok(Spread::ManyTasks { partitions, force })
    }

    pub(super) fn options(&self) -> WindrowOptions {
        let config = self.context.copied_config();
        config.options().extensions.get::<WindrowOptions>().cloned().unwrap_or_default()
    }
}

impl Alternatives {
    /// The way that was chosen.
    pub(super) fn chosen(&self) -> &CutPlan {
        match (&self.one, self.fast) {
            (Some(one), true) => one,
            _ => &self.many,
        }
    }
}

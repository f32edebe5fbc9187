//! Encoding a stage: the plan without its data, and the data of each partition beside it.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_datafusion_err, not_impl_err, plan_err};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::physical_planning_context::ScalarSubqueryResults;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_proto::physical_plan::to_proto::{
    serialize_file_scan_config, serialize_partitioning, serialize_physical_expr_with_converter,
    serialize_physical_sort_exprs,
};
use datafusion_proto::physical_plan::{
    DefaultPhysicalExtensionCodec, PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalPlanNodeExt,
    PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::{self, physical_expr_node::ExprType, physical_plan_node::PhysicalPlanType};
use prost::Message;
use windrow_common::{ExchangeId, limits};

use super::equalities::equality_to_message;
use super::messages::{
    ExchangeNode, ForgettingNode, FormatNode, MappingKind, Node, NodeKind, ReversedNode, ScanNode, Setting, StageBlob,
};
use super::windows::{Written, check_windows, keep_ignore_nulls, turned_back};
use crate::error::external;
use crate::exchange::reader::{ExchangeReaderExec, Mapping};
use crate::expression_depth;
use crate::forgetting::ForgettingExec;
use crate::formats::FormatSource;
use crate::sink::WriteExec;

/// A scalar subquery of the plan, and the exchange that will carry its value.
#[derive(Clone, Debug)]
pub struct ScalarBinding {
    /// The container that the plan's expressions point to.
    pub results: ScalarSubqueryResults,
    /// The slot in it.
    pub index: usize,
    /// Whose single row is the value.
    pub exchange: ExchangeId,
}

/// How a stage's rows are divided among the partitions of its output.
#[derive(Clone, Debug)]
pub enum OutputDivision {
    /// By the hash of these keys.
    Hash(Vec<Arc<dyn PhysicalExpr>>),
    /// As they come.
    AsIs,
}

/// A stage as bytes, and what is not in the bytes.
#[derive(Debug)]
pub struct EncodedStage {
    /// The blob.
    pub bytes: Vec<u8>,
    /// The scans of the plan, in the order in which the blob numbers them.
    pub scans: Vec<Arc<dyn ExecutionPlan>>,
    /// The exchanges that the plan reads through leaves, in the order in which it names them.
    pub exchanges: Vec<ExchangeId>,
    /// The exchanges whose value the plan's expressions need.
    pub scalars: Vec<ExchangeId>,
}

/// Encodes one stage's plan.
pub fn encode_stage(
    plan: &Arc<dyn ExecutionPlan>,
    division: &OutputDivision,
    scalars: &[ScalarBinding],
    config: &ConfigOptions,
) -> Result<EncodedStage> {
    check_shippable(plan)?;
    let codec = DefaultPhysicalExtensionCodec {};
    let encoder = StageEncoder { bindings: scalars, state: RefCell::default() };
    let node = encoder.execution_plan_to_proto(plan, &codec)?;
    let keys = match division {
        OutputDivision::AsIs => vec![],
        OutputDivision::Hash(keys) => keys
            .iter()
            .map(|key| Ok(encoder.physical_expr_to_proto(key, &codec)?.encode_to_vec()))
            .collect::<Result<Vec<_>>>()?,
    };
    let state = encoder.state.into_inner();
    let blob = StageBlob { plan: node.encode_to_vec(), settings: settings_of(config), keys };
    Ok(EncodedStage {
        bytes: blob.encode_to_vec(),
        scans: state.scans,
        exchanges: state.exchanges,
        scalars: state.scalars,
    })
}

/// All settings that differ from nothing: unset ones stay unset on the other side.
fn settings_of(config: &ConfigOptions) -> Vec<Setting> {
    config
        .entries()
        .into_iter()
        .filter_map(|entry| entry.value.map(|value| Setting { key: entry.key, value }))
        .collect()
}

/// Refuses plans that nest deeper than decoding and running are prepared for, and those with parts that would not arrive
/// as they are.
pub fn check_shippable(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let mut deepest = 0;
    let mut pending = vec![(plan, 1_usize)];
    while let Some((node, depth)) = pending.pop() {
        deepest = deepest.max(depth);
        check_expressions(node)?;
        check_counts(node)?;
        check_windows(node)?;
        pending.extend(node.children().into_iter().map(|child| (child, depth + 1)));
    }
    if deepest > limits::MAX_PLAN_DEPTH {
        return plan_err!(
            "the plan is nested {deepest} operators deep; the limit is {}. Split the statement, for example with \
             CREATE TABLE AS for a part of it",
            limits::MAX_PLAN_DEPTH
        );
    }
    Ok(())
}

fn check_expressions(node: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let mut deepest = 0;
    node.apply_expressions(&mut |expr| {
        let mut pending = vec![(Arc::clone(expr), 1_usize)];
        while let Some((expr, depth)) = pending.pop() {
            deepest = deepest.max(depth);
            pending.extend(expr.children().into_iter().map(|child| (Arc::clone(child), depth + 1)));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    expression_depth::check(deepest).map_err(external)
}

/// Numbers of rows travel as 32 bits.
fn check_counts(node: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let skip = node.downcast_ref::<GlobalLimitExec>().map_or(0, GlobalLimitExec::skip);
    let most = u32::MAX as usize;
    if skip > most || node.fetch().is_some_and(|fetch| fetch > most) {
        return plan_err!("LIMIT and OFFSET must be at most {most}");
    }
    Ok(())
}

#[derive(Default)]
struct EncoderState {
    scans: Vec<Arc<dyn ExecutionPlan>>,
    exchanges: Vec<ExchangeId>,
    scalars: Vec<ExchangeId>,
}

struct StageEncoder<'a> {
    bindings: &'a [ScalarBinding],
    state: RefCell<EncoderState>,
}

impl StageEncoder<'_> {
    fn encode_scan(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        config: &FileScanConfig,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<Node> {
        let partitions = plan.output_partitioning().partition_count();
        let index = {
            let mut state = self.state.borrow_mut();
            state.scans.push(Arc::clone(plan));
            state.scans.len() - 1
        };
        let stripped = FileScanConfigBuilder::from(config.clone())
            .with_file_groups(vec![FileGroup::default(); partitions])
            .build();
        let (plan, format) = match config.file_source().downcast_ref::<FormatSource>() {
            Some(source) => (vec![], Some(self.encode_format(source, &stripped, codec)?)),
            None => {
                check_kept(config)?;
                let leaf: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(stripped);
                let node = protobuf::PhysicalPlanNode::try_from_physical_plan_with_converter(leaf, codec, self)?;
                (node.encode_to_vec(), None)
            }
        };
        Ok(Node {
            kind: Some(NodeKind::Scan(ScanNode {
                index: index as u32,
                partitions: partitions as u32,
                plan,
                preserve_order: config.preserve_order,
                format,
            })),
        })
    }

    fn encode_format(
        &self,
        source: &FormatSource,
        scan: &FileScanConfig,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<FormatNode> {
        let options = serde_json::to_string(source.options())
            .map_err(|e| internal_datafusion_err!("a format's options cannot be encoded: {e}"))?;
        let scan = serialize_file_scan_config(scan, codec, self)?;
        Ok(FormatNode { options, scan: scan.encode_to_vec() })
    }

    fn encode_reader(&self, reader: &ExchangeReaderExec, codec: &dyn PhysicalExtensionCodec) -> Result<Node> {
        self.state.borrow_mut().exchanges.push(reader.exchange());
        let schema: protobuf::Schema = reader.schema().as_ref().try_into()?;
        let partitioning = serialize_partitioning(&reader.properties().partitioning, codec, self)?;
        let orderings = reader
            .orderings()
            .into_iter()
            .map(|ordering| {
                let physical_sort_expr_nodes = serialize_physical_sort_exprs(ordering, codec, self)?;
                Ok(protobuf::PhysicalSortExprNodeCollection { physical_sort_expr_nodes }.encode_to_vec())
            })
            .collect::<Result<Vec<_>>>()?;
        let (mapping, owners) = match reader.mapping() {
            Mapping::Shuffle => (MappingKind::Shuffle, vec![]),
            Mapping::Forward { owners } => (MappingKind::Forward, owners.clone()),
            Mapping::Broadcast => (MappingKind::Broadcast, vec![]),
        };
        Ok(Node {
            kind: Some(NodeKind::Exchange(ExchangeNode {
                exchange: reader.exchange().0,
                schema: schema.encode_to_vec(),
                partitioning: partitioning.encode_to_vec(),
                orderings,
                mapping: mapping.into(),
                owners,
                equalities: reader.equalities().iter().map(equality_to_message).collect::<Result<_>>()?,
            })),
        })
    }

    fn bind_scalar(&self, expr: &ScalarSubqueryExpr, node: &mut protobuf::PhysicalExprNode) -> Result<()> {
        let Some(ExprType::ScalarSubquery(scalar)) = &mut node.expr_type else {
            return Err(internal_datafusion_err!("a scalar subquery was encoded as something else"));
        };
        let binding = self
            .bindings
            .iter()
            .find(|b| b.index == scalar.index as usize && ScalarSubqueryResults::ptr_eq(&b.results, expr.results()));
        // Without a binding the subquery runs inside this very stage, and keeps its index.
        if let Some(binding) = binding {
            scalar.index = binding.exchange.0;
            let mut state = self.state.borrow_mut();
            if !state.scalars.contains(&binding.exchange) {
                state.scalars.push(binding.exchange);
            }
        }
        Ok(())
    }
}

impl PhysicalProtoConverterExtension for StageEncoder<'_> {
    fn proto_to_execution_plan(
        &self,
        _proto: &protobuf::PhysicalPlanNode,
        _ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        not_impl_err!("the stage encoder does not decode")
    }

    fn execution_plan_to_proto(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalPlanNode> {
        let mut inputs = vec![];
        let node = if let Some(scan) = file_scan(plan) {
            self.encode_scan(plan, scan, codec)?
        } else if let Some(reader) = plan.downcast_ref::<ExchangeReaderExec>() {
            self.encode_reader(reader, codec)?
        } else if let Some(write) = plan.downcast_ref::<WriteExec>() {
            inputs.push(self.execution_plan_to_proto(write.input(), codec)?);
            let spec = serde_json::to_string(write.spec())
                .map_err(|e| internal_datafusion_err!("a sink cannot be encoded: {e}"))?;
            Node { kind: Some(NodeKind::Write(spec)) }
        } else if let Some(forgetting) = plan.downcast_ref::<ForgettingExec>() {
            inputs.push(self.execution_plan_to_proto(forgetting.input(), codec)?);
            Node { kind: Some(NodeKind::Forgetting(ForgettingNode {})) }
        } else if let Some(Written { operator, reversed }) = turned_back(plan)? {
            inputs.push(self.execution_plan_to_proto(&operator, codec)?);
            Node { kind: Some(NodeKind::Reversed(ReversedNode { reversed })) }
        } else {
            let mut node =
                protobuf::PhysicalPlanNode::try_from_physical_plan_with_converter(Arc::clone(plan), codec, self)?;
            keep_ignore_nulls(plan, &mut node);
            return Ok(node);
        };
        let extension = protobuf::PhysicalExtensionNode { node: node.encode_to_vec(), inputs };
        Ok(protobuf::PhysicalPlanNode { physical_plan_type: Some(PhysicalPlanType::Extension(extension)) })
    }

    fn proto_to_physical_expr(
        &self,
        _proto: &protobuf::PhysicalExprNode,
        _input_schema: &datafusion::arrow::datatypes::Schema,
        _ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        not_impl_err!("the stage encoder does not decode")
    }

    fn physical_expr_to_proto(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalExprNode> {
        let mut node = serialize_physical_expr_with_converter(expr, codec, self)?;
        if let Some(scalar) = expr.downcast_ref::<ScalarSubqueryExpr>() {
            self.bind_scalar(scalar, &mut node)?;
        }
        Ok(node)
    }
}

/// Refuses scans by DataFusion's own readers that would not arrive as they are.
fn check_kept(config: &FileScanConfig) -> Result<()> {
    if config.file_compression_type.is_compressed() {
        return not_impl_err!("compressed files cannot be read by this reader; use the table formats of this engine");
    }
    Ok(())
}

/// The file scan behind a leaf, if it is one.
pub fn file_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

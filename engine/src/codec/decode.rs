//! Decoding a stage into an instance for one attempt: its own operators, narrowed so that its leaves show only the files,
//! exchange slices and scalar values of that attempt. Instances are never shared between attempts.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_datafusion_err, internal_err};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::{
    parse_physical_expr_with_converter, parse_physical_sort_exprs, parse_protobuf_file_scan_config,
    parse_protobuf_partitioning, parse_table_schema_from_proto,
};
use datafusion_proto::physical_plan::{
    DefaultPhysicalExtensionCodec, PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalPlanNodeExt,
    PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::{self, physical_expr_node::ExprType, physical_plan_node::PhysicalPlanType};
use prost::Message;
use sha2::{Digest, Sha256};
use windrow_common::{BlobHash, ExchangeId};

use super::encode::file_scan;
use super::equalities::equality_from_message;
use super::messages::{ExchangeNode, FormatNode, MappingKind, Node, NodeKind, ScanNode, StageBlob};
use super::splits::TaskSplits;
use super::windows;
use crate::around::AroundExec;
use crate::exchange::reader::{BoundInput, ExchangeReaderExec, Kept, Mapping};
use crate::forgetting::ForgettingExec;
use crate::formats::{FormatOptions, FormatSource, Rejects};
use crate::sink::{SinkSpec, WriteExec};
use crate::stopping::{Stop, stoppable};
use crate::stores::Pins;

/// What one attempt may read.
#[derive(Debug, Default)]
pub struct AttemptInputs {
    /// Its files.
    pub splits: TaskSplits,
    /// Its slices of exchanges.
    pub exchanges: BTreeMap<ExchangeId, BoundInput>,
    /// The values of scalar exchanges.
    pub scalars: BTreeMap<ExchangeId, ScalarValue>,
    /// Whether it is still wanted.
    pub(crate) stop: Stop,
    /// Where its files are noted, so that nothing else is read in their place.
    pub(crate) pins: Arc<Pins>,
}

/// A decoded blob: the message, not yet an instance.
#[derive(Debug)]
pub struct StageDecoder {
    blob: StageBlob,
}

/// One attempt's own operators.
#[derive(Debug)]
pub struct StageInstance {
    /// The plan.
    pub plan: Arc<dyn ExecutionPlan>,
    /// The keys by whose hash its rows are shuffled; empty unless the output is a shuffle.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
}

impl StageDecoder {
    /// Parses a blob.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let blob = StageBlob::decode(bytes).map_err(|e| internal_datafusion_err!("a stage's plan is damaged: {e}"))?;
        Ok(Self { blob })
    }

    /// The settings under which the plan was made.
    pub fn settings(&self) -> HashMap<String, String> {
        self.blob.settings.iter().map(|s| (s.key.clone(), s.value.clone())).collect()
    }

    /// Names the settings, so that what is made from them can be kept.
    pub fn settings_hash(&self) -> BlobHash {
        let mut hash = Sha256::new();
        for setting in &self.blob.settings {
            for text in [&setting.key, &setting.value] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        BlobHash(hash.finalize().into())
    }

    /// Makes an instance bound to `inputs`. Functions are looked up in `context`, which must have been made under
    /// [`StageDecoder::settings`]. With `unbound`, leaves without an input are left as they are: such an instance can be
    /// looked at and not run.
    pub fn instantiate(&self, context: &TaskContext, inputs: &AttemptInputs, unbound: bool) -> Result<StageInstance> {
        let codec = DefaultPhysicalExtensionCodec {};
        let decoder = InstanceDecoder { inputs, unbound, shared: RefCell::default() };
        let ctx = PhysicalPlanDecodeContext::new(context, &codec);
        let node = protobuf::PhysicalPlanNode::decode(self.blob.plan.as_slice())
            .map_err(|e| internal_datafusion_err!("a stage's plan is damaged: {e}"))?;
        let plan = decoder.proto_to_execution_plan(&node, &ctx)?;
        let schema = plan.schema();
        let keys = self
            .blob
            .keys
            .iter()
            .map(|bytes| {
                let node = protobuf::PhysicalExprNode::decode(bytes.as_slice())
                    .map_err(|e| internal_datafusion_err!("a shuffle key is damaged: {e}"))?;
                decoder.proto_to_physical_expr(&node, &schema, &ctx)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(StageInstance { plan, keys })
    }
}

struct InstanceDecoder<'a> {
    inputs: &'a AttemptInputs,
    unbound: bool,
    /// Expressions that several operators share (dynamic filters), by their id.
    shared: RefCell<HashMap<u64, Arc<dyn PhysicalExpr>>>,
}

impl InstanceDecoder<'_> {
    fn decode_node(
        &self,
        extension: &protobuf::PhysicalExtensionNode,
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let node = Node::decode(extension.node.as_slice())
            .map_err(|e| internal_datafusion_err!("an operator of a stage's plan is damaged: {e}"))?;
        match node.kind {
            Some(NodeKind::Scan(scan)) => self.decode_scan(&scan, ctx),
            Some(NodeKind::Exchange(exchange)) => self.decode_reader(&exchange, ctx),
            Some(NodeKind::Reversed(node)) => windows::turn(&self.decode_input(extension, ctx)?, &node.reversed),
            Some(NodeKind::Forgetting(_)) => Ok(Arc::new(ForgettingExec::new(self.decode_input(extension, ctx)?))),
            Some(NodeKind::Write(spec)) => {
                let spec: SinkSpec =
                    serde_json::from_str(&spec).map_err(|e| internal_datafusion_err!("a sink is damaged: {e}"))?;
                Ok(Arc::new(WriteExec::try_new(self.decode_input(extension, ctx)?, spec)?))
            }
            None => internal_err!("an operator of a stage's plan is unknown to this version"),
        }
    }

    fn decode_input(
        &self,
        extension: &protobuf::PhysicalExtensionNode,
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match extension.inputs.as_slice() {
            [input] => self.proto_to_execution_plan(input, ctx),
            inputs => internal_err!("an operator of a stage's plan has {} inputs and not one", inputs.len()),
        }
    }

    /// Puts the attempt's files into the scan before it is built, so that what it claims of its order is about them.
    fn decode_scan(&self, scan: &ScanNode, ctx: &PhysicalPlanDecodeContext<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let groups: Vec<FileGroup> = (0..scan.partitions)
            .map(|partition| FileGroup::new(self.inputs.splits.get(scan.index, partition).to_vec()))
            .collect();
        let config = match &scan.format {
            Some(format) => self.decode_format(format, &groups, ctx)?,
            None => self.decode_plan(&scan.plan, &groups, ctx)?,
        };
        let store = config.object_store_url.as_str();
        for file in groups.iter().flat_map(FileGroup::files) {
            self.inputs.pins.add(store, &file.object_meta);
        }
        // datafusion-proto drops entity tags and versions of files, and whether order matters: put ours back.
        let config = FileScanConfigBuilder::from(config)
            .with_file_groups(groups)
            .with_preserve_order(scan.preserve_order)
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        Ok(if self.unbound { scan } else { Arc::new(AroundExec::naming(scan)) })
    }

    /// A scan by a reader of DataFusion.
    fn decode_plan(
        &self,
        plan: &[u8],
        groups: &[FileGroup],
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<FileScanConfig> {
        let mut node = protobuf::PhysicalPlanNode::decode(plan)
            .map_err(|e| internal_datafusion_err!("a scan of a stage's plan is damaged: {e}"))?;
        let Some(conf) = scan_conf(&mut node) else {
            return internal_err!("a scan of a stage's plan is of an unknown format");
        };
        conf.file_groups = groups.iter().map(TryInto::try_into).collect::<Result<Vec<_>>>()?;
        let plan = node.try_into_physical_plan_with_context(ctx, self)?;
        match file_scan(&plan) {
            Some(config) => Ok(config.clone()),
            None => internal_err!("a scan of a stage's plan decoded to something else"),
        }
    }

    /// A scan by a reader of ours.
    fn decode_format(
        &self,
        format: &FormatNode,
        groups: &[FileGroup],
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<FileScanConfig> {
        let options: FormatOptions = serde_json::from_str(&format.options)
            .map_err(|e| internal_datafusion_err!("the options of a scan's format are damaged: {e}"))?;
        let mut scan = protobuf::FileScanExecConf::decode(format.scan.as_slice())
            .map_err(|e| internal_datafusion_err!("a scan of a stage's plan is damaged: {e}"))?;
        scan.file_groups = groups.iter().map(TryInto::try_into).collect::<Result<Vec<_>>>()?;
        let rejects = ctx.task_ctx().session_config().get_extension::<Rejects>();
        let source = FormatSource::new(Arc::new(options), parse_table_schema_from_proto(&scan)?);
        let source = source.with_rejects(rejects.as_deref().cloned());
        parse_protobuf_file_scan_config(&scan, ctx, self, Arc::new(source))
    }

    fn decode_reader(
        &self,
        node: &ExchangeNode,
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let damaged = |e: prost::DecodeError| internal_datafusion_err!("an exchange of a stage's plan is damaged: {e}");
        let schema = protobuf::Schema::decode(node.schema.as_slice()).map_err(damaged)?;
        let schema: SchemaRef = Arc::new(Schema::try_from(&schema)?);
        let partitioning = protobuf::Partitioning::decode(node.partitioning.as_slice()).map_err(damaged)?;
        let partitioning = parse_protobuf_partitioning(Some(&partitioning), ctx, &schema, self)?
            .ok_or_else(|| internal_datafusion_err!("an exchange of a stage's plan has no partitioning"))?;
        let mut orderings = vec![];
        for bytes in &node.orderings {
            let message = protobuf::PhysicalSortExprNodeCollection::decode(bytes.as_slice()).map_err(damaged)?;
            let exprs = parse_physical_sort_exprs(&message.physical_sort_expr_nodes, ctx, &schema, self)?;
            orderings.extend(LexOrdering::new(exprs));
        }
        let mapping = match node.mapping() {
            MappingKind::Shuffle => Mapping::Shuffle,
            MappingKind::Forward => Mapping::Forward { owners: node.owners.clone() },
            MappingKind::Broadcast => Mapping::Broadcast,
            MappingKind::Unspecified => return internal_err!("an exchange of a stage's plan has no mapping"),
        };
        let exchange = ExchangeId(node.exchange);
        let equalities = node.equalities.iter().map(|e| equality_from_message(e, &schema)).collect::<Result<_>>()?;
        let kept = Kept { orderings, equalities };
        let reader = ExchangeReaderExec::try_new(exchange, schema, mapping, partitioning, kept)?;
        match self.inputs.exchanges.get(&exchange) {
            Some(input) => Ok(Arc::new(reader.bind(input.clone()))),
            None if self.unbound => Ok(Arc::new(reader)),
            None => internal_err!("the attempt has no input for {exchange}"),
        }
    }

    fn scalar(&self, node: &protobuf::PhysicalScalarSubqueryExprNode) -> Result<Arc<dyn PhysicalExpr>> {
        let exchange = ExchangeId(node.index);
        let value = match self.inputs.scalars.get(&exchange) {
            Some(value) => value.clone(),
            None if self.unbound => {
                let data_type = node.data_type.as_ref().ok_or_else(|| internal_datafusion_err!("no type"))?;
                ScalarValue::try_from(&datafusion::arrow::datatypes::DataType::try_from(data_type)?)?
            }
            None => return internal_err!("the attempt has no value of {exchange}"),
        };
        Ok(Arc::new(Literal::new(value)))
    }
}

/// The part of a scan that is common to all file formats.
fn scan_conf(node: &mut protobuf::PhysicalPlanNode) -> Option<&mut protobuf::FileScanExecConf> {
    match node.physical_plan_type.as_mut()? {
        PhysicalPlanType::ParquetScan(scan) => scan.base_conf.as_mut(),
        PhysicalPlanType::CsvScan(scan) => scan.base_conf.as_mut(),
        PhysicalPlanType::JsonScan(scan) => scan.base_conf.as_mut(),
        PhysicalPlanType::AvroScan(scan) => scan.base_conf.as_mut(),
        PhysicalPlanType::ArrowScan(scan) => scan.base_conf.as_mut(),
        _ => None,
    }
}

impl PhysicalProtoConverterExtension for InstanceDecoder<'_> {
    fn proto_to_execution_plan(
        &self,
        proto: &protobuf::PhysicalPlanNode,
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(PhysicalPlanType::Extension(extension)) = &proto.physical_plan_type {
            return self.decode_node(extension, ctx);
        }
        let plan = proto.try_into_physical_plan_with_context(ctx, self)?;
        let joins = plan.children().len() > 1;
        if !joins || self.unbound {
            return Ok(plan);
        }
        Ok(Arc::new(AroundExec::yielding(stoppable(plan, &self.inputs.stop)?)))
    }

    fn execution_plan_to_proto(
        &self,
        _plan: &Arc<dyn ExecutionPlan>,
        _codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalPlanNode> {
        Err(DataFusionError::Internal("the stage decoder does not encode".into()))
    }

    fn proto_to_physical_expr(
        &self,
        proto: &protobuf::PhysicalExprNode,
        input_schema: &Schema,
        ctx: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        if let Some(ExprType::ScalarSubquery(node)) = &proto.expr_type
            && ctx.scalar_subquery_results().is_none()
        {
            return self.scalar(node);
        }
        let parsed = parse_physical_expr_with_converter(proto, input_schema, ctx, self)?;
        let Some(id) = proto.expr_id else { return Ok(parsed) };
        let cached = self.shared.borrow().get(&id).cloned();
        match cached {
            // `with_new_children` keeps the state that copies of one dynamic filter share.
            Some(cached) => cached.with_new_children(parsed.children().into_iter().cloned().collect()),
            None => {
                self.shared.borrow_mut().insert(id, Arc::clone(&parsed));
                Ok(parsed)
            }
        }
    }

    fn physical_expr_to_proto(
        &self,
        _expr: &Arc<dyn PhysicalExpr>,
        _codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalExprNode> {
        Err(DataFusionError::Internal("the stage decoder does not encode".into()))
    }
}

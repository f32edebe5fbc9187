//! What an attempt's instance puts around DataFusion's operators. It changes no row and no property: an operator and what
//! is around it are planned, cut and counted as one. Made when an instance is decoded, never sent anywhere.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use crate::scanned_files::ScannedFiles;
use crate::yielding::Yielding;

/// Something around an operator.
#[derive(Debug)]
pub struct AroundExec {
    input: Arc<dyn ExecutionPlan>,
    around: Around,
}

#[derive(Clone, Debug)]
enum Around {
    /// The stream gives way to others now and then.
    Yielding,
    /// Errors say which files were being read.
    Naming(Arc<ScannedFiles>),
}

impl AroundExec {
    /// An operator whose stream gives way to others now and then.
    pub fn yielding(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, around: Around::Yielding }
    }

    /// A scan whose errors say which files were being read.
    pub fn naming(input: Arc<dyn ExecutionPlan>, files: ScannedFiles) -> Self {
        Self { input, around: Around::Naming(Arc::new(files)) }
    }
}

impl DisplayAs for AroundExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AroundExec: {:?}", self.around)
    }
}

impl ExecutionPlan for AroundExec {
    fn name(&self) -> &str {
        "AroundExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self { input, around: self.around.clone() })),
            _ => internal_err!("AroundExec has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context));
        match &self.around {
            Around::Yielding => Ok(Box::pin(Yielding::new(input?))),
            Around::Naming(files) => {
                let files = Arc::clone(files);
                // Where partitions take files from each other, any file may be meant.
                let stolen = context.session_config().options().execution.enable_file_stream_work_stealing;
                let partition = (!stolen).then_some(partition);
                let input = input.map_err(|error| files.named(partition, &error))?;
                let schema = input.schema();
                let rows = input.map(move |batch| batch.map_err(|error| files.named(partition, &error)));
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
            }
        }
    }
}

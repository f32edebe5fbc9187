//! What an attempt's instance puts around DataFusion's operators. It changes no row and no property: an operator and what
//! is around it are planned, cut and counted as one. Made when an instance is decoded, never sent anywhere.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use crate::codec::encode::file_scan;
use crate::operator::{holds_no_expressions, one_input};
use crate::scanned_files::name_files;
use crate::yielding::Yielding;

/// Something around an operator.
#[derive(Debug)]
pub struct AroundExec {
    input: Arc<dyn ExecutionPlan>,
    around: Around,
}

#[derive(Clone, Copy, Debug)]
enum Around {
    /// The stream gives way to others now and then.
    Yielding,
    /// Errors say which files were being read.
    Naming,
}

impl AroundExec {
    /// An operator whose stream gives way to others now and then.
    pub fn yielding(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, around: Around::Yielding }
    }

    /// A scan whose errors say which files were being read.
    pub fn naming(scan: Arc<dyn ExecutionPlan>) -> Self {
        Self { input: scan, around: Around::Naming }
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

    holds_no_expressions!();

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: one_input(self.name(), children)?, around: self.around }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        // Where partitions take files from each other, any file may be meant.
        let stolen = context.session_config().options().execution.enable_file_stream_work_stealing;
        let input = self.input.execute(partition, context);
        match self.around {
            Around::Yielding => Ok(Box::pin(Yielding::new(input?))),
            Around::Naming => {
                let (scan, partition) = (Arc::clone(&self.input), (!stolen).then_some(partition));
                let named = move |error| match file_scan(&scan) {
                    Some(scan) => name_files(scan, partition, &error),
                    None => error,
                };
                let input = input.map_err(&named)?;
                let schema = input.schema();
                let rows = input.map(move |batch| batch.map_err(&named));
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
            }
        }
    }
}

//! Lets go of the thread now and then, behind what may go on for long without ever having to wait.
//!
//! DataFusion's sources give way to other tasks every so many batches, and that is when an attempt that is to be stopped
//! does stop. But a join can make any number of batches out of one: whoever reads it in a loop and keeps nothing (a count,
//! a filter that nothing passes) would never give way, would not hear that it was cancelled, and would keep its slot. The
//! same goes for the rows of an exchange that lie in this worker's memory.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::Stream;
use windrow_common::Timestamp;
use windrow_common::time::Clock;

/// How long a stream may go on before it gives way.
const TURN: Duration = Duration::from_millis(10);

/// Hands batches through, giving way in between.
pub(crate) struct Yielding {
    input: SendableRecordBatchStream,
    clock: Clock,
    /// When the running turn began.
    turn: Timestamp,
}

impl Yielding {
    /// Around this stream.
    pub(crate) fn new(input: SendableRecordBatchStream) -> Self {
        Self { input, clock: Clock::start(), turn: Timestamp::default() }
    }
}

impl Stream for Yielding {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let now = self.clock.now();
        if now.since(self.turn) >= TURN {
            self.turn = now;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.input.as_mut().poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }
}

impl RecordBatchStream for Yielding {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::replace_children_if_necessary;
    use datafusion::prelude::SessionContext;
    use futures::StreamExt;

    use std::sync::Arc;

    use datafusion::physical_plan::ExecutionPlan;

    use super::*;
    use crate::around::AroundExec;

    /// Somebody else's turn comes within a bounded time, although nobody ever gets a row.
    #[tokio::test]
    async fn a_join_that_keeps_nothing_gives_way() {
        let series = "(SELECT value AS v FROM generate_series(1, 30000))";
        let sql = format!("SELECT count(*) FROM {series} a, {series} b, {series} c WHERE a.v + b.v + c.v < 0");
        let context = SessionContext::new();
        let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        let plan = wrap(&plan);
        let mut rows = plan.execute(0, context.task_ctx()).unwrap();
        let turns = tokio::time::timeout(Duration::from_millis(50), rows.next()).await;
        assert!(turns.is_err(), "such a join cannot have ended");
    }

    fn wrap(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let children = plan.children().into_iter().map(wrap).collect();
        let plan = replace_children_if_necessary(Arc::clone(plan), children).unwrap();
        if plan.children().len() > 1 { Arc::new(AroundExec::yielding(plan)) } else { plan }
    }
}

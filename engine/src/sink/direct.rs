//! Writing rows that are at hand, outside of any plan: one series of files, staged like those of a task's partition.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use windrow_common::{Error, Result};

use super::spec::SinkSpec;
use super::staging::AttemptContext;
use super::task_writer::TaskWriter;
use super::written::WrittenFile;
use crate::error::classify;

/// Stages the rows as they come. The write must have been prepared; nothing is visible before it is published. An error
/// of the rows, or dropping the future, takes the files away.
pub fn stage<'a>(
    spec: &SinkSpec,
    context: &AttemptContext,
    schema: SchemaRef,
    mut rows: BoxStream<'a, Result<RecordBatch>>,
    pool: &Arc<dyn MemoryPool>,
) -> BoxFuture<'a, Result<Vec<WrittenFile>>> {
    let reservation = MemoryConsumer::new("ingest").register(pool);
    let writer = spec
        .check_schema(&schema)
        .and_then(|()| TaskWriter::try_new(spec, context, 0, schema, reservation).map_err(|e| classify(&e)));
    async move {
        let mut writer = writer?;
        while let Some(batch) = rows.next().await.transpose()? {
            if batch.num_rows() > 0 {
                (writer, ()) = blocking(writer, move |w| w.write_as_it_comes(&batch)).await?;
            }
        }
        let (writer, files) = blocking(writer, TaskWriter::finish).await?;
        writer.keep();
        Ok(files)
    }
    .boxed()
}

/// Runs one step where it may block. The writer goes with it, so that it cleans up even when nobody waits any more.
async fn blocking<T: Send + 'static>(
    mut writer: TaskWriter,
    step: impl FnOnce(&mut TaskWriter) -> datafusion::error::Result<T> + Send + 'static,
) -> Result<(TaskWriter, T)> {
    let task = SpawnedTask::spawn_blocking(move || step(&mut writer).map(|value| (writer, value)));
    let joined = task.join().await.map_err(|e| Error::internal(format!("writing stopped short: {e}")))?;
    joined.map_err(|e| classify(&e))
}

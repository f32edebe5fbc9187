//! Single-process DataFusion over the same files, as it comes: the answers to compare with, and the time to beat.

use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};
use windrow_common::time::Clock;
use windrow_common::{Error, Result};

/// DataFusion with a runtime of its own, of as many threads as the cores it may use.
pub struct Oracle {
    context: SessionContext,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").finish_non_exhaustive()
    }
}

impl Oracle {
    /// DataFusion with default settings but for the number of partitions, which is that of the cores.
    pub fn new(cores: u32) -> Result<Oracle> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores.max(1) as usize)
            .thread_name("oracle")
            .enable_all()
            .build()
            .map_err(|error| Error::io(format!("cannot start threads: {error}")))?;
        let config = SessionConfig::new().with_target_partitions(cores.max(1) as usize);
        Ok(Oracle { context: SessionContext::new_with_config(config), runtime: Some(runtime) })
    }

    /// Runs one statement and returns its rows and the wall time from text to last row.
    pub fn run(&self, sql: &str) -> BoxFuture<'static, Result<(Vec<RecordBatch>, Duration)>> {
        let Some(runtime) = &self.runtime else {
            return Box::pin(async { Err(Error::internal("the oracle is closed")) });
        };
        let (context, sql) = (self.context.clone(), sql.to_owned());
        let running = runtime.spawn(async move {
            let clock = Clock::start();
            let start = clock.now();
            let batches = context.sql(&sql).await?.collect().await?;
            Ok::<_, DataFusionError>((batches, clock.now().since(start)))
        });
        Box::pin(async {
            match running.await {
                Ok(answer) => answer.map_err(|error| Error::user(format!("single-process DataFusion: {error}"))),
                Err(error) => Err(Error::internal(format!("single-process DataFusion: {error}"))),
            }
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

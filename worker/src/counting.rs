//! What this worker runs and holds at one moment, and the service that says so. Every number is read from whoever owns
//! the thing itself: nothing is counted twice, and nothing has to be told here.

use std::sync::Arc;

use tonic::service::Routes;
use tonic::{Request, Response, Status};
use windrow_common::{Error, MemoryCounters, WorkerCounters};
use windrow_proto::control as wire;
use windrow_proto::control::counting_server::{Counting as CountingService, CountingServer};
use windrow_proto::counters::worker_to_wire;
use windrow_proto::status::to_status;

use crate::fetch::WorkerExchange;
use crate::runner::Runner;
use crate::store::ShuffleStore;

/// Counts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    runner: Arc<Runner>,
    store: ShuffleStore,
    exchange: WorkerExchange,
}

impl Counting {
    /// Of the parts of one worker.
    pub(crate) fn new(runner: Arc<Runner>, store: ShuffleStore, exchange: WorkerExchange) -> Self {
        Self { runner, store, exchange }
    }

    /// The service, to be served beside others.
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(CountingServer::new(self.clone()))
    }

    /// How it stands now. Reads a directory: blocks the thread.
    pub(crate) fn now(&self) -> WorkerCounters {
        let (budget, stored) = (self.store.budget().stats(), self.store.stats());
        let (spill_files, spill_bytes) = self.store.files();
        let (plans, plan_bytes) = self.runner.plans();
        WorkerCounters {
            attempts: self.runner.attempts(),
            memory: MemoryCounters {
                limit: budget.limit,
                used: budget.total.used,
                peak: budget.total.peak,
                operators: budget.operators.used,
                store: budget.store.used,
                fetch: budget.fetch.used,
                evictable: budget.evictable,
            },
            outputs: stored.outputs,
            output_memory: stored.mem_bytes,
            output_disk: stored.disk_bytes,
            spill_files,
            spill_bytes,
            readers: self.store.readers(),
            streams: self.store.streams(),
            fetches: self.exchange.calls(),
            plans,
            plan_bytes,
        }
    }
}

#[tonic::async_trait]
impl CountingService for Counting {
    async fn count(&self, _: Request<wire::CountRequest>) -> Result<Response<wire::WorkerCounters>, Status> {
        let counting = self.clone();
        let counted = tokio::task::spawn_blocking(move || counting.now()).await;
        let counters = counted.map_err(|e| to_status(&Error::internal(format!("counting failed: {e}"))))?;
        Ok(Response::new(worker_to_wire(&counters)))
    }
}

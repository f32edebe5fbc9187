//! What the coordinator and its workers run and hold at one moment. The coordinator's own numbers come from their owners;
//! the workers are asked, all at once, each over its own server and for a bounded time.
//!
//! ```text
//!   Count ─► driver: jobs, tasks, who is connected ─┬─► worker 1: Count ─┐
//!                                                   └─► worker 2: Count ─┴─► all together; a silent one as silent
//! ```

use futures::future::join_all;
use tokio::sync::oneshot;
use tonic::transport::Endpoint;
use windrow_common::{
    ClusterCounters, CoordinatorCounters, CountedWorker, Error, ErrorKind, Gauge, Result, WorkerCounters, limits,
};
use windrow_proto::control as wire;
use windrow_proto::control::counting_client::CountingClient;
use windrow_proto::counters::worker_from_wire;
use windrow_proto::status::from_status;

use crate::driver::Input;
use crate::service::{Shared, WorkerInfo};

/// What nobody else in the coordinator keeps a list of.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Statements being planned.
    pub planning: Gauge,
    /// Results, or parts of them, being read from workers, and rows being encoded for clients.
    pub results: Gauge,
    /// Connections of clients and workers.
    pub connections: Gauge,
}

/// What the driver knows.
#[derive(Clone, Debug)]
pub(crate) struct DriverCount {
    pub jobs: u64,
    pub tasks_running: u64,
    pub tasks_waiting: u64,
    pub commits: u64,
    pub workers: Vec<WorkerInfo>,
}

impl Shared {
    /// What the coordinator and all connected workers run and hold now.
    pub async fn counters(&self) -> Result<ClusterCounters> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::new(ErrorKind::Unavailable, "the coordinator is shutting down");
        self.inputs.send(Input::Count { reply }).await.map_err(|_| gone())?;
        let driver = answer.await.map_err(|_| gone())?;
        let coordinator = CoordinatorCounters {
            sessions: self.sessions.len() as u64,
            statements: self.sessions.running() as u64,
            planning: self.gauges.planning.get(),
            jobs: driver.jobs,
            tasks_running: driver.tasks_running,
            tasks_waiting: driver.tasks_waiting,
            commits: driver.commits,
            blobs: self.blobs.len() as u64,
            blob_bytes: self.blobs.bytes(),
            results: self.gauges.results.get(),
            connections: self.gauges.connections.get(),
        };
        let workers = join_all(driver.workers.into_iter().map(counted)).await;
        Ok(ClusterCounters { coordinator, workers })
    }
}

async fn counted(worker: WorkerInfo) -> CountedWorker {
    let WorkerInfo { id, pid, slots, endpoint } = worker;
    let answer = tokio::time::timeout(limits::COUNT_PATIENCE, ask(&endpoint)).await;
    let counters = answer.unwrap_or_else(|_| {
        let seconds = limits::COUNT_PATIENCE.as_secs_f64();
        Err(Error::unavailable(format!("the worker at {endpoint} has not answered within {seconds} s")))
    });
    CountedWorker { id, pid, slots, endpoint, counters }
}

/// Over a connection of its own: it is asked rarely, and nothing needs to be kept for it.
async fn ask(endpoint: &str) -> Result<WorkerCounters> {
    let silent = |cause: String| Error::unavailable(format!("the worker at {endpoint} does not answer: {cause}"));
    let dial = Endpoint::from_shared(format!("http://{endpoint}"))
        .map_err(|e| Error::internal(format!("'{endpoint}' is not the address of a worker: {e}")))?
        .connect_timeout(limits::COUNT_PATIENCE)
        .tcp_nodelay(true);
    let channel = dial.connect().await.map_err(|e| silent(e.to_string()))?;
    let reply = CountingClient::new(channel).count(wire::CountRequest {}).await;
    Ok(worker_from_wire(reply.map_err(|status| silent(from_status(&status).message))?.into_inner()))
}

#[cfg(test)]
mod tests {
    use windrow_common::WorkerId;

    use super::*;

    #[tokio::test]
    async fn a_worker_that_is_not_there_is_not_at_rest() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // Takes connections and never says a word.
        let mute = listener.local_addr().unwrap().to_string();
        for endpoint in [mute, "127.0.0.1:1".to_owned()] {
            let counted = counted(WorkerInfo { id: WorkerId(1), pid: 1, slots: 1, endpoint }).await;
            assert_eq!(counted.counters.unwrap_err().kind, ErrorKind::Unavailable);
        }
    }
}

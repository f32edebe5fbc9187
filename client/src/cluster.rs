//! A cluster as its operators and submitters see it: scripts handed over to run without their client, the jobs there
//! are, the workers.

use futures::future::BoxFuture;
use tonic::Streaming;
use tonic::transport::Channel;
use windrow_common::{ClusterCounters, Error, ErrorKind, JobInfo, Result, WorkerId, limits};
use windrow_proto::control as wire;
use windrow_proto::control::jobs_client::JobsClient;
use windrow_proto::counters::cluster_from_wire;
use windrow_proto::job::job_from_wire;
use windrow_proto::status::id_from_bytes;

use crate::connection::{answered, connect, remote_error};
use crate::session::WorkerInfo;

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStatement {
    /// Its text.
    pub sql: String,
    /// The line of the script on which it begins, from 1; for messages.
    pub line: u32,
}

/// A script that was handed over.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The job.
    pub job: JobInfo,
    /// Its key was known: this is what was submitted under it before, and nothing new was started.
    pub known: bool,
}

/// A connection to a cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    client: JobsClient<Channel>,
    url: String,
}

impl Cluster {
    /// Connects to its coordinator, for example at `grpc://127.0.0.1:7070`.
    pub fn connect(url: &str) -> BoxFuture<'_, Result<Cluster>> {
        Box::pin(async move {
            let client = answered(url, connect(url)).await?;
            Ok(Cluster { client, url: url.to_owned() })
        })
    }

    /// Hands a script over. It runs whether or not this client stays. The same `key` is the same job: submitting it again
    /// gives what is there.
    pub fn submit<'a>(
        &'a self,
        statements: &'a [ScriptStatement],
        key: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Submitted>> {
        let statements =
            statements.iter().map(|s| wire::ScriptStatement { sql: s.sql.clone(), line: s.line }).collect();
        let request =
            wire::SubmitRequest { version: limits::PROTOCOL_VERSION, key: key.map(str::to_owned), statements };
        let mut client = self.client.clone();
        Box::pin(async move {
            let reply = answered(&self.url, async { self.reply(client.submit(request).await) }).await?;
            Ok(Submitted { job: job(reply.job)?, known: reply.known })
        })
    }

    /// The jobs that run and the last that ended, newest first.
    pub fn jobs(&self) -> BoxFuture<'_, Result<Vec<JobInfo>>> {
        let mut client = self.client.clone();
        Box::pin(async move {
            let reply =
                answered(&self.url, async { self.reply(client.list_jobs(wire::ListJobsRequest {}).await) }).await?;
            reply.jobs.into_iter().map(job_from_wire).collect()
        })
    }

    /// A job as it is now. `id` is its id, or as much of it as is needed.
    pub fn job<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<JobInfo>> {
        Box::pin(async move {
            let mut watch = self.open(id, true).await?;
            watch.next().await?.ok_or_else(unreadable)
        })
    }

    /// A job as it is now and after each change, until it has ended.
    pub fn watch<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<JobWatch>> {
        Box::pin(self.open(id, false))
    }

    async fn open(&self, id: &str, once: bool) -> Result<JobWatch> {
        let request = wire::WatchJobRequest { job: id.to_owned(), once };
        let mut client = self.client.clone();
        let news = answered(&self.url, async { self.reply(client.watch_job(request).await) }).await?;
        Ok(JobWatch { news, url: self.url.clone() })
    }

    /// Asks a job to stop; gives what it was when it was asked.
    pub fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<JobInfo>> {
        let mut client = self.client.clone();
        let request = wire::CancelJobRequest { job: id.to_owned() };
        Box::pin(async move {
            let reply = answered(&self.url, async { self.reply(client.cancel_job(request).await) }).await?;
            job(reply.job)
        })
    }

    /// The connected workers.
    pub fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerInfo>>> {
        let mut client = self.client.clone();
        Box::pin(async move {
            let call = async { self.reply(client.list_workers(wire::ListWorkersRequest {}).await) };
            answered(&self.url, call).await?.workers.into_iter().map(worker).collect()
        })
    }

    /// What the coordinator and each of its workers run and hold now.
    pub fn counters(&self) -> BoxFuture<'_, Result<ClusterCounters>> {
        let mut client = self.client.clone();
        Box::pin(async move {
            let call = async { self.reply(client.count(wire::CountRequest {}).await) };
            cluster_from_wire(answered(&self.url, call).await?)
        })
    }

    fn reply<T>(&self, reply: std::result::Result<tonic::Response<T>, tonic::Status>) -> Result<T> {
        reply.map(tonic::Response::into_inner).map_err(|status| remote_error(&status, &self.url))
    }
}

/// News of a job.
#[derive(Debug)]
pub struct JobWatch {
    news: Streaming<wire::JobInfo>,
    url: String,
}

impl JobWatch {
    /// The job after its next change; none after it has ended.
    #[expect(clippy::should_implement_trait, reason = "it is asynchronous, and named as in streams")]
    pub fn next(&mut self) -> BoxFuture<'_, Result<Option<JobInfo>>> {
        Box::pin(async {
            let news = self.news.message().await.map_err(|status| remote_error(&status, &self.url))?;
            news.map(job_from_wire).transpose()
        })
    }
}

/// A worker from the wire.
pub(crate) fn worker(worker: wire::WorkerInfo) -> Result<WorkerInfo> {
    let id = id_from_bytes(&worker.worker).ok_or_else(|| Error::new(ErrorKind::Version, "a worker without an id"))?;
    Ok(WorkerInfo { id: WorkerId(id), pid: worker.pid, slots: worker.slots, endpoint: worker.endpoint })
}

fn job(job: Option<wire::JobInfo>) -> Result<JobInfo> {
    job_from_wire(job.ok_or_else(unreadable)?)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Version, "the coordinator sent something unreadable")
}

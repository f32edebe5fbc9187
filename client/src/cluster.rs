//! A cluster as its operators and submitters see it: scripts handed over to run without their client, the jobs there
//! are, the workers.

use futures::future::BoxFuture;
use tonic::Streaming;
use tonic::transport::Channel;
use uuid::Uuid;
use windrow_common::{ClusterCounters, Error, ErrorKind, JobId, JobInfo, Result, WorkerId, check_script_bytes, limits};
use windrow_proto::control as wire;
use windrow_proto::control::jobs_client::JobsClient;
use windrow_proto::counters::cluster_from_wire;
use windrow_proto::job::job_from_wire;
use windrow_proto::status::{id_bytes, id_from_bytes, is_ours};

use crate::connection::{answered, connect, no_answer, remote_error};
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

/// The jobs of a cluster.
#[derive(Clone, Debug)]
pub struct ListedJobs {
    /// The newest, newest first, without their reports.
    pub jobs: Vec<JobInfo>,
    /// How many there are in all.
    pub total: usize,
}

/// An id for a job that will be submitted.
pub fn new_job_id() -> JobId {
    JobId(Uuid::new_v4().as_u128())
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
    /// gives what is there. A new job gets the id from [`new_job_id`], by which it can be asked for and cancelled even if
    /// no answer comes.
    pub fn submit<'a>(
        &'a self,
        id: JobId,
        statements: &'a [ScriptStatement],
        key: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Submitted>> {
        Box::pin(async move {
            check_script_bytes(statements.iter().map(|statement| statement.sql.as_str()))?;
            let request = wire::SubmitRequest {
                version: limits::PROTOCOL_VERSION,
                id: id_bytes(id.0),
                key: key.map(str::to_owned),
                statements: statements
                    .iter()
                    .map(|s| wire::ScriptStatement { sql: s.sql.clone(), line: s.line })
                    .collect(),
            };
            let mut client = self.client.clone();
            let reply = tokio::time::timeout(limits::SUBMIT_TIMEOUT, client.submit(request)).await;
            let reply = match reply {
                Ok(Ok(reply)) => reply.into_inner(),
                Ok(Err(status)) if is_ours(&status) => return Err(remote_error(&status, &self.url)),
                Ok(Err(status)) => return Err(unsure(remote_error(&status, &self.url), id, key)),
                Err(_) => return Err(unsure(no_answer(&self.url, limits::SUBMIT_TIMEOUT), id, key)),
            };
            Ok(Submitted { job: job(reply.job)?, known: reply.known })
        })
    }

    /// The jobs that run and the last that ended, newest first; at most so many.
    pub fn jobs(&self, limit: usize) -> BoxFuture<'_, Result<ListedJobs>> {
        let mut client = self.client.clone();
        let request = wire::ListJobsRequest { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
        Box::pin(async move {
            let reply = answered(&self.url, async { self.reply(client.list_jobs(request).await) }).await?;
            let jobs = reply.jobs.into_iter().map(job_from_wire).collect::<Result<_>>()?;
            Ok(ListedJobs { jobs, total: reply.total as usize })
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

/// The error of a submission that may have arrived all the same.
fn unsure(error: Error, id: JobId, key: Option<&str>) -> Error {
    if error.kind == ErrorKind::Version {
        return error;
    }
    let ask = match key {
        Some(_) => "submit it again with the same key to find out".to_owned(),
        None => format!("windrow job {} tells", id.long()),
    };
    Error::new(error.kind, format!("{}; the job may have been accepted: {ask}", error.message))
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Version, "the coordinator sent something unreadable")
}

//! The one loop that owns the scheduler: next input → journal what must last → `handle` → carry out the actions. Nobody
//! else touches the scheduler; there is no lock around it.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use windrow_common::protocol::{DirectReads, ToCoordinator, ToWorker};
use windrow_common::{
    AttemptId, Error, ErrorKind, Incarnation, JobId, JobReport, Location, OutputReport, Result, StageGraph, WorkerId,
    limits,
};
use windrow_control::{Action, Event, Outcome, Scheduler, SchedulerConfig};
use windrow_engine::plan::cost::ClusterShape;

use crate::blobs::BlobStore;
use crate::counting::DriverCount;
use crate::journal::{JobOwner, Journal, Record};
use crate::links::{Link, Links};
use crate::service::WorkerInfo;

/// Carries out the commit of a job's output.
pub type Committer = Box<dyn FnOnce(Vec<OutputReport>) -> futures::future::BoxFuture<'static, Result<()>> + Send>;

/// What comes to the driver from outside.
pub enum Input {
    /// A worker's stream opened and said `Hello`.
    Connected { connection: u64, hello: ToCoordinator, sender: mpsc::Sender<ToWorker> },
    /// A worker said something on its stream.
    Message { connection: u64, worker: WorkerId, message: ToCoordinator },
    /// A worker's stream ended.
    Gone { connection: u64, worker: WorkerId, incarnation: Incarnation },
    /// A planned job.
    Submit {
        job: JobId,
        owner: JobOwner,
        seed: u128,
        graph: Arc<StageGraph>,
        commit: Option<Committer>,
        reply: oneshot::Sender<Result<watch::Receiver<JobState>>>,
    },
    /// Somebody wants the job to stop.
    Cancel { job: JobId },
    /// Outputs of the job's result could not be read.
    OutputsLost { job: JobId, attempts: Vec<AttemptId> },
    /// The job's result was read, or nobody wants it.
    Released { job: JobId },
    /// A commit was carried out.
    Committed { job: JobId, result: Result<()> },
    /// Who is there?
    Workers { reply: oneshot::Sender<Vec<WorkerInfo>> },
    /// What runs, and who is there?
    Count { reply: oneshot::Sender<DriverCount> },
}

/// What is known of a job from outside the driver.
#[derive(Clone, Debug, Default)]
pub struct JobState {
    /// Tasks accepted, running, and all.
    pub progress: (u32, u32, u32),
    /// The result can be read.
    pub ready: Option<Ready>,
    /// How clients' own reading of outputs stands, with the worker that says so.
    pub reads: Arc<BTreeMap<AttemptId, (WorkerId, DirectReads)>>,
    /// How it ended.
    pub ended: Option<(Outcome, Arc<JobReport>)>,
}

/// A result that can be read.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Grows each time the locations change.
    pub number: u64,
    /// One for each task of the last stage, in task order.
    pub locations: Arc<Vec<Location>>,
    /// Bytes of the outputs, all together.
    pub bytes: u64,
}

struct JobEntry {
    state: watch::Sender<JobState>,
    commit: Option<Committer>,
}

/// The driver.
pub struct Driver {
    scheduler: Scheduler,
    clock: windrow_common::time::Clock,
    links: Links,
    jobs: BTreeMap<JobId, JobEntry>,
    journal: Arc<dyn Journal>,
    blobs: Arc<dyn BlobStore>,
    inputs: mpsc::Receiver<Input>,
    /// For what the driver starts to come back with.
    sender: mpsc::Sender<Input>,
    shape: watch::Sender<ClusterShape>,
    commits: tokio::task::JoinSet<()>,
}

impl Driver {
    /// A driver that hears `inputs`.
    pub fn new(
        config: SchedulerConfig,
        journal: Arc<dyn Journal>,
        blobs: Arc<dyn BlobStore>,
        channel: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
        shape: watch::Sender<ClusterShape>,
    ) -> Self {
        Self {
            scheduler: Scheduler::new(config),
            clock: windrow_common::time::Clock::start(),
            links: Links::default(),
            jobs: BTreeMap::new(),
            journal,
            blobs,
            inputs: channel.1,
            sender: channel.0,
            shape,
            commits: tokio::task::JoinSet::new(),
        }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let wait = self.scheduler.next_deadline().map(|at| at.since(self.clock.now()));
            let input = tokio::select! {
                () = shutdown.cancelled() => break,
                input = self.inputs.recv() => match input { Some(input) => Some(input), None => break },
                () = sleep_or_never(wait) => None,
                Some(_) = self.commits.join_next() => continue,
            };
            match input {
                None => self.handle(Event::Tick),
                Some(input) => self.take(input),
            }
        }
        self.commits.shutdown().await;
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Connected { connection, hello, sender } => self.connected(connection, hello, sender),
            Input::Message { connection, worker, message } => {
                if self.links.is_current(worker, connection) {
                    self.message(worker, message);
                }
            }
            Input::Gone { connection, worker, incarnation } => {
                if self.links.is_current(worker, connection) {
                    info!(%worker, "worker disconnected");
                    self.close(worker, incarnation);
                    self.handle(Event::WorkerDisconnected { worker, incarnation });
                }
            }
            Input::Submit { job, owner, seed, graph, commit, reply } => {
                let _ = reply.send(self.submit(job, owner, seed, graph, commit));
            }
            Input::Cancel { job } => {
                if self.jobs.contains_key(&job) {
                    self.record(Record::CancelRequested { job });
                    self.handle(Event::Cancel { job });
                }
            }
            Input::OutputsLost { job, attempts } => self.handle(Event::OutputsLost { job, attempts }),
            Input::Released { job } => self.handle(Event::ResultReleased { job }),
            Input::Committed { job, result } => self.handle(Event::Committed { job, result }),
            Input::Workers { reply } => {
                let _ = reply.send(self.workers());
            }
            Input::Count { reply } => {
                let _ = reply.send(self.count());
            }
        }
    }

    fn connected(&mut self, connection: u64, hello: ToCoordinator, sender: mpsc::Sender<ToWorker>) {
        let ToCoordinator::Hello { worker, incarnation, slots, memory, endpoint, pid, running, held, .. } = hello
        else {
            return;
        };
        info!(%worker, pid, slots, endpoint, "worker connected");
        // It says again how the reading of its outputs stands.
        self.forget_reads(worker);
        self.links.open(worker, Link { connection, incarnation, pid, sender });
        self.handle(Event::WorkerConnected { worker, incarnation, slots, memory, endpoint, running, held });
    }

    fn message(&mut self, worker: WorkerId, message: ToCoordinator) {
        match message {
            ToCoordinator::Heartbeat { incarnation } => self.handle(Event::Heartbeat { worker, incarnation }),
            ToCoordinator::Report { incarnation, epoch, task, attempt, status } => {
                debug!(%task, %attempt, %worker, %status, "report");
                self.handle(Event::Report { worker, incarnation, epoch, task, attempt, status });
            }
            ToCoordinator::Goodbye { incarnation } => {
                self.close(worker, incarnation);
                self.handle(Event::WorkerDisconnected { worker, incarnation });
            }
            ToCoordinator::DirectReads { job, attempt, reads, .. } => self.update(job, |state| {
                debug!(%attempt, %worker, ?reads, "clients read an output");
                Arc::make_mut(&mut state.reads).insert(attempt, (worker, reads));
            }),
            ToCoordinator::Hello { .. } => warn!(%worker, "a second Hello on one connection"),
        }
    }

    /// Closes a worker's connection.
    fn close(&mut self, worker: WorkerId, incarnation: Incarnation) {
        self.links.close(worker, incarnation);
        self.forget_reads(worker);
    }

    /// Nobody knows any more of reads that were under way at this worker; what was read to its end stays read.
    fn forget_reads(&self, worker: WorkerId) {
        for entry in self.jobs.values() {
            entry.state.send_if_modified(|state| {
                let theirs = |(from, reads): &(WorkerId, DirectReads)| *from == worker && reads.running > 0;
                if !state.reads.values().any(theirs) {
                    return false;
                }
                let reads = Arc::make_mut(&mut state.reads).values_mut();
                reads.filter(|(from, _)| *from == worker).for_each(|(_, reads)| reads.running = 0);
                true
            });
        }
    }

    fn submit(
        &mut self,
        job: JobId,
        owner: JobOwner,
        seed: u128,
        graph: Arc<StageGraph>,
        commit: Option<Committer>,
    ) -> Result<watch::Receiver<JobState>> {
        if self.jobs.len() >= limits::MAX_JOBS {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("{} jobs are queued or running, which is the limit; try again later", limits::MAX_JOBS),
            ));
        }
        info!(%job, principal = %owner.principal, "job accepted");
        self.journal.append(Record::Accepted { job, owner, graph: Arc::clone(&graph) })?;
        let (state, receiver) = watch::channel(JobState::default());
        self.jobs.insert(job, JobEntry { state, commit });
        self.handle(Event::Submit { job, seed, graph });
        Ok(receiver)
    }

    fn handle(&mut self, event: Event) {
        let mut pending = VecDeque::from([event]);
        while let Some(event) = pending.pop_front() {
            for action in self.scheduler.handle(self.clock.now(), event) {
                self.carry_out(action, &mut pending);
            }
        }
        self.publish_shape();
    }

    fn carry_out(&mut self, action: Action, pending: &mut VecDeque<Event>) {
        match action {
            Action::Send { worker, incarnation, message } => {
                if self.links.send(worker, incarnation, message) == Err(crate::links::NotSent::Closed) {
                    warn!(%worker, "the worker does not take its messages; its connection was closed");
                    self.forget_reads(worker);
                    pending.push_back(Event::WorkerDisconnected { worker, incarnation });
                }
            }
            Action::Disconnect { worker, incarnation, reason } => {
                warn!(%worker, reason, "worker disconnected");
                self.close(worker, incarnation);
            }
            Action::ResultReady { job, locations, report } => self.update(job, |state| {
                let number = state.ready.as_ref().map_or(0, |ready| ready.number + 1);
                let bytes = report.stages.last().map_or(0, |stage| stage.output_bytes);
                state.ready = Some(Ready { number, locations: Arc::new(locations), bytes });
            }),
            Action::Progress { job, done, running, total } => {
                self.update(job, |state| state.progress = (done, running, total));
            }
            Action::Commit { job, outputs } => self.commit(job, outputs),
            Action::JobEnded { job, outcome, report } => self.ended(job, outcome, *report),
        }
    }

    fn update(&self, job: JobId, change: impl FnOnce(&mut JobState)) {
        if let Some(entry) = self.jobs.get(&job) {
            entry.state.send_modify(change);
        }
    }

    fn commit(&mut self, job: JobId, outputs: Vec<OutputReport>) {
        let Some(commit) = self.jobs.get_mut(&job).and_then(|entry| entry.commit.take()) else {
            let error = Error::internal("nothing is known of what the job writes");
            self.commits.spawn(report_commit(self.sender.clone(), job, Err(error)));
            return;
        };
        let sender = self.sender.clone();
        self.commits.spawn(async move {
            let result = AssertUnwindSafe(async { commit(outputs).await }).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(Error::internal("publishing the output crashed")));
            report_commit(sender, job, result).await;
        });
    }

    fn ended(&mut self, job: JobId, outcome: Outcome, report: JobReport) {
        info!(%job, ?outcome, "job ended");
        let error = match &outcome {
            Outcome::Completed => None,
            Outcome::Cancelled => Some(Error::cancelled()),
            Outcome::Failed(error) => Some(error.clone()),
        };
        self.record(Record::Ended { job, error });
        self.blobs.release(job);
        if let Some(entry) = self.jobs.remove(&job) {
            entry.state.send_modify(|state| state.ended = Some((outcome, Arc::new(report))));
        }
        if let Err(error) = self.journal.forget(job) {
            warn!(%job, %error, "the journal did not forget the job");
        }
    }

    fn record(&self, record: Record) {
        if let Err(error) = self.journal.append(record) {
            warn!(%error, "the journal did not take a record");
        }
    }

    fn publish_shape(&self) {
        let largest = self.scheduler.workers().map(|w| w.slots).max().unwrap_or(0);
        let shape = ClusterShape { slots: self.scheduler.total_slots(), largest };
        self.shape.send_if_modified(|current| {
            let changed = *current != shape;
            *current = shape;
            changed
        });
    }

    fn count(&self) -> DriverCount {
        let (tasks_running, tasks_waiting) = self.scheduler.load();
        let (jobs, commits) = (self.jobs.len() as u64, self.commits.len() as u64);
        DriverCount { jobs, tasks_running, tasks_waiting, commits, workers: self.workers() }
    }

    fn workers(&self) -> Vec<WorkerInfo> {
        self.scheduler
            .workers()
            .map(|worker| WorkerInfo {
                id: worker.id,
                pid: self.links.pid(worker.id).unwrap_or(0),
                slots: worker.slots,
                endpoint: worker.endpoint.to_owned(),
            })
            .collect()
    }
}

async fn report_commit(sender: mpsc::Sender<Input>, job: JobId, result: Result<()>) {
    // The driver is gone only when the whole coordinator is.
    let _ = sender.send(Input::Committed { job, result }).await;
}

async fn sleep_or_never(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

//! The scheduler: every decision about jobs, tasks and workers, as a pure function of events and time.
//!
//! ```text
//!   Event ──► membership │ reports │ jobs ──► Job (lineage) ──► placement ──► [Action]
//!              who is there  what ran  what is asked   what must run   where
//! ```
//!
//! This file owns the entry point and the order of work inside one event. It owns no rule: those of dependency are in
//! `lineage`, those of workers in `membership`, those of attempts in `reports`, those of jobs in `lifecycle`, those of
//! choosing a worker in `placement`.

mod assign;
mod fault;
mod invariants;
mod job;
mod lifecycle;
mod lineage;
mod membership;
mod placement;
mod pool;
mod reports;
mod stage;
mod task;
mod timers;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windrow_common::{Epoch, JobId, Timestamp, limits};

use crate::event::{Action, Event};
use crate::protocol::ToWorker;

#[cfg(not(feature = "known-bugs"))]
use fault::Fault;
#[cfg(feature = "known-bugs")]
pub use fault::Fault;
use job::Job;
use placement::Reservation;
use pool::{Pool, WorkerIndex};
use timers::{Alarm, Timers};
pub use view::{TaskPhase, TaskView, WorkerView};

/// Settings of a scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// The term of the coordinator that it serves.
    pub epoch: Epoch,
    /// How often workers are asked to say that they are alive.
    pub heartbeat_interval: Duration,
    /// Silence after which a worker is taken for dead.
    pub heartbeat_timeout: Duration,
    /// How long a job waits for a worker when there is none, before it fails.
    pub no_worker_patience: Duration,
    /// A bug put back, to show that the tests find it.
    #[cfg(feature = "known-bugs")]
    pub fault: Option<Fault>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            epoch: Epoch(1),
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            heartbeat_timeout: limits::HEARTBEAT_TIMEOUT,
            no_worker_patience: limits::NO_WORKER_PATIENCE,
            #[cfg(feature = "known-bugs")]
            fault: None,
        }
    }
}

impl SchedulerConfig {
    /// Whether a known bug is put back. Without the feature it never is, and the compiler knows it.
    #[cfg(feature = "known-bugs")]
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    #[cfg(not(feature = "known-bugs"))]
    pub(crate) fn has(&self, _fault: Fault) -> bool {
        false
    }
}

/// The scheduler. It has no inside that another thread could touch: whoever owns it calls [`Scheduler::handle`].
#[derive(Debug)]
pub struct Scheduler {
    config: SchedulerConfig,
    now: Timestamp,
    pool: Pool,
    jobs: BTreeMap<JobId, Job>,
    /// Jobs that could start a task, the one with the fewest running slots first, then the one served longest ago.
    ready: BTreeSet<(u64, u64, JobId)>,
    /// Starts so far.
    served: u64,
    /// A worker that is kept free for a task of several slots.
    reservation: Option<Reservation>,
    timers: Timers,
    /// Jobs that the event at hand has changed.
    touched: BTreeSet<JobId>,
    out: Vec<Action>,
}

impl Scheduler {
    /// A scheduler without workers and jobs.
    pub fn new(config: SchedulerConfig) -> Self {
        Self {
            config,
            now: Timestamp::default(),
            pool: Pool::default(),
            jobs: BTreeMap::new(),
            ready: BTreeSet::new(),
            served: 0,
            reservation: None,
            timers: Timers::default(),
            touched: BTreeSet::new(),
            out: Vec::new(),
        }
    }

    /// Takes in one event and says what must be done about it, in order.
    ///
    /// The shell must not say [`Event::WorkerDisconnected`] for a stream that a newer stream of the same incarnation has
    /// already replaced. `now` never goes back; if it does, the latest time seen counts.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        match event {
            Event::Submit { job, seed, graph } => self.submit(job, seed, graph),
            Event::Cancel { job } => self.cancel(job),
            Event::WorkerConnected { worker, incarnation, slots, memory, endpoint, running, held } => {
                let offer = membership::Offer { slots, memory, endpoint, running, held };
                self.worker_connected(worker, incarnation, offer);
            }
            Event::Heartbeat { worker, incarnation } => self.heartbeat(worker, incarnation),
            Event::WorkerDisconnected { worker, incarnation } => self.worker_disconnected(worker, incarnation),
            Event::Report { worker, incarnation, epoch, task, attempt, status } => {
                let sender = reports::Sender { worker, incarnation, epoch };
                self.report_received(sender, task, attempt, status);
            }
            Event::OutputsLost { job, attempts } => self.outputs_lost(job, &attempts),
            Event::ResultReleased { job } => self.result_released(job),
            Event::Committed { job, result } => self.committed(job, result),
            Event::Tick => self.tick(),
        }
        self.conclude();
        let actions = std::mem::take(&mut self.out);
        #[cfg(any(debug_assertions, feature = "invariants"))]
        debug_check(self);
        actions
    }

    /// When [`Event::Tick`] should come at the latest, if nothing else happens. It may come earlier, for nothing.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    fn tick(&mut self) {
        while let Some(alarm) = self.timers.take_due(self.now) {
            match alarm {
                Alarm::Retry { job, at } => self.retry(job, at),
                Alarm::Starved(job) => self.starved(job),
                Alarm::Silence { worker, incarnation } => self.silence(worker, incarnation),
            }
        }
    }

    /// The second half of every event: what the changed jobs mean for workers and clients, then new starts.
    fn conclude(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for job in &touched {
            self.follow_up(*job);
        }
        self.touched = touched;
        self.place();
        for job in std::mem::take(&mut self.touched) {
            self.arm_starvation(job);
            self.show_progress(job);
        }
    }

    fn send(&mut self, to: WorkerIndex, message: ToWorker) {
        if let Some(worker) = self.pool.get(to)
            && worker.connected
        {
            self.out.push(Action::Send { worker: worker.id, incarnation: worker.incarnation, message });
        }
    }

    /// Sends what a change in a job means for workers: attempts to stop, outputs to drop.
    fn carry_out(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let effects = std::mem::take(&mut job.effects);
        let epoch = self.config.epoch;
        for (worker, attempt) in effects.cancels {
            self.send(worker, ToWorker::Cancel { epoch, attempt });
        }
        let mut frees: BTreeMap<WorkerIndex, Vec<_>> = BTreeMap::new();
        for (worker, attempt) in effects.frees {
            frees.entry(worker).or_default().push(attempt);
        }
        for (worker, attempts) in frees {
            self.send(worker, ToWorker::Free { epoch, attempts });
        }
    }
}

/// Tasks up to which debug builds check every event: beyond, the checks would cost more than the work.
#[cfg(any(debug_assertions, feature = "invariants"))]
const CHECKED_TASKS: u64 = if cfg!(feature = "invariants") { u64::MAX } else { 2_000 };

/// Stops at once when a rule is broken. Release builds that do not ask for it check nothing.
#[cfg(any(debug_assertions, feature = "invariants"))]
fn debug_check(scheduler: &Scheduler) {
    if scheduler.jobs.values().map(|job| u64::from(job.total)).sum::<u64>() > CHECKED_TASKS {
        return;
    }
    if let Err(broken) = scheduler.check_invariants() {
        panic!("the scheduler is in an impossible state: {broken}");
    }
}

//! The world: one queue of happenings in order of time, and everybody who takes part. This file owns the loop, the links
//! and the workers; the coordinator's and the clients' part is in `coordinator`, what goes wrong is in `faults`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use windrow_common::{AttemptId, Error, ErrorKind, Incarnation, JobId, StageGraph, TaskId, Timestamp, WorkerId};
use windrow_control::{
    Assignment, LedgerAction, LedgerEvent, Outcome, Scheduler, SchedulerConfig, ToCoordinator, ToWorker,
};

use super::contents::{Brew, Content, Fnv, producers_of};
use super::dice::Dice;
use super::faults::Mood;
use super::laws::{Laws, Seen};
use super::link::{Link, LinkId};
use super::worker::{Execution, Life, SimWorker, output_report};
use super::{SimConfig, SimReport};

/// Something that happens at its time.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A message arrives at the coordinator.
    ToCoordinator(LinkId, ToCoordinator),
    /// A message arrives at a worker.
    ToWorker(LinkId, ToWorker),
    /// The coordinator notices that a stream is over.
    CoordinatorSeesEnd(LinkId),
    /// A worker notices that a stream is over.
    WorkerSeesEnd(LinkId),
    /// A worker tries to connect.
    Connect(usize, Incarnation),
    /// An attempt goes on.
    Step(usize, Incarnation, AttemptId),
    /// The deadline of a worker's ledger.
    LedgerTick(usize, Incarnation, Timestamp),
    /// The deadline of the scheduler.
    SchedulerTick(Timestamp),
    /// A job is handed over.
    Submit(JobId),
    /// A client asks for its job to stop.
    AskCancel(JobId),
    /// A client goes away.
    GoAway(JobId),
    /// A client reads the result that was announced the given time.
    Read(JobId, u64),
    /// The shell has carried out the commit that was asked for the given time.
    CommitDone(JobId, u64),
    /// Something may go wrong.
    Fault,
    /// A dead worker starts again.
    Restart(usize),
    /// A frozen worker goes on.
    Thaw(usize),
    /// Nothing goes wrong any more.
    Heal,
}

/// A job and its client.
#[derive(Debug)]
pub struct SimJob {
    pub graph: Arc<StageGraph>,
    pub seed: u128,
    pub submitted: bool,
    pub outcome: Option<Outcome>,
    /// Counts announcements, so that an old one is not read.
    pub generation: u64,
    pub locations: Vec<windrow_common::Location>,
}

/// Everybody and everything.
pub struct World {
    pub(super) seed: u64,
    pub(super) config: SimConfig,
    pub(super) dice: Dice,
    pub(super) mood: Mood,
    pub(super) now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    sequence: u64,
    pub(super) scheduler: Scheduler,
    pub(super) scheduler_config: SchedulerConfig,
    pub(super) tick_at: Option<Timestamp>,
    pub(super) workers: Vec<SimWorker>,
    pub(super) links: BTreeMap<LinkId, Link>,
    next_link: LinkId,
    /// The stream over which the coordinator speaks with a worker.
    pub(super) current: BTreeMap<WorkerId, LinkId>,
    pub(super) jobs: BTreeMap<JobId, SimJob>,
    /// Of which task each attempt is a run.
    pub(super) tasks: BTreeMap<AttemptId, TaskId>,
    /// What each finished attempt made.
    pub(super) made: BTreeMap<AttemptId, Content>,
    pub(super) laws: Laws,
    trace: Fnv,
    pub(super) events: u64,
    pub(super) starts: u64,
}

/// How long after healing everything must have come to its end.
const TIME_TO_END: Duration = Duration::from_secs(900);
/// How long the last messages may take.
const TIME_TO_SETTLE: Duration = Duration::from_secs(30);

impl World {
    /// A world in which nothing has happened.
    pub fn new(seed: u64, config: SimConfig) -> Self {
        let mut dice = Dice::new(seed);
        let mood = Mood::new(&mut dice);
        let workers = (0..dice.between(1, 5) as usize)
            .map(|index| {
                let slots = dice.between(1, 4);
                SimWorker::new(index, slots, &mut dice)
            })
            .collect();
        let scheduler_config = config.scheduler.clone();
        Self {
            seed,
            config,
            dice,
            mood,
            now: Timestamp::default(),
            queue: BTreeMap::new(),
            sequence: 0,
            scheduler: Scheduler::new(scheduler_config.clone()),
            scheduler_config,
            tick_at: None,
            workers,
            links: BTreeMap::new(),
            next_link: 0,
            current: BTreeMap::new(),
            jobs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            made: BTreeMap::new(),
            laws: Laws::new(),
            trace: Fnv::default(),
            events: 0,
            starts: 0,
        }
    }

    /// Runs to the end.
    pub fn run(mut self) -> SimReport {
        self.set_out();
        let mut healed_at = None;
        let mut ended_at = None;
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            if let Happening::Heal = happening {
                healed_at = Some(at);
            }
            let over = healed_at.is_some() && self.jobs.values().all(|job| job.outcome.is_some());
            if over && ended_at.is_none() {
                ended_at = Some(at);
            }
            let too_late = healed_at.is_some_and(|healed| at > healed + TIME_TO_END);
            if ended_at.is_some_and(|ended| at > ended + TIME_TO_SETTLE) || too_late {
                break;
            }
            self.note(&happening);
            self.happen(happening);
            if !self.laws.violations.is_empty() {
                return self.report();
            }
        }
        let left = self.leftovers();
        let workers = self.workers.iter().filter(|w| w.life == Life::Up).count() as u64;
        self.laws.see(&Seen::Quiet { left: &left, workers });
        self.report()
    }

    fn report(self) -> SimReport {
        SimReport {
            seed: self.seed,
            trace: self.trace.0,
            events: self.events,
            starts: self.starts,
            passed: self.now.since(Timestamp::default()),
            exercised: self.laws.exercised(),
            violations: self.laws.violations,
        }
    }

    fn note(&mut self, happening: &Happening) {
        // Writing to a hash cannot fail.
        let _ = write!(self.trace, "{} {happening:?}", self.now.0);
        if self.config.verbose {
            println!("{} {happening:?}", self.now);
        }
    }

    /// Lets something happen later.
    pub(super) fn later(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    pub(super) fn at(&mut self, at: Timestamp, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), happening);
    }

    /// The worker that a happening concerns, if it concerns one alone.
    fn concerned(&self, happening: &Happening) -> Option<(usize, Incarnation)> {
        match happening {
            Happening::ToWorker(link, _) | Happening::WorkerSeesEnd(link) => {
                self.links.get(link).map(|l| (l.worker, l.incarnation))
            }
            Happening::Connect(worker, life)
            | Happening::Step(worker, life, _)
            | Happening::LedgerTick(worker, life, _) => Some((*worker, *life)),
            Happening::ToCoordinator(..)
            | Happening::CoordinatorSeesEnd(_)
            | Happening::SchedulerTick(_)
            | Happening::Submit(_)
            | Happening::AskCancel(_)
            | Happening::GoAway(_)
            | Happening::Read(..)
            | Happening::CommitDone(..)
            | Happening::Fault
            | Happening::Restart(_)
            | Happening::Thaw(_)
            | Happening::Heal => None,
        }
    }

    fn happen(&mut self, happening: Happening) {
        if let Some((index, life)) = self.concerned(&happening) {
            let worker = &mut self.workers[index];
            if worker.incarnation != life || worker.life == Life::Dead {
                return;
            }
            if worker.life == Life::Frozen {
                worker.deferred.push(happening);
                return;
            }
        }
        match happening {
            Happening::ToCoordinator(link, message) => self.coordinator_hears(link, message),
            Happening::ToWorker(link, message) => self.worker_hears(link, message),
            Happening::CoordinatorSeesEnd(link) => self.coordinator_sees_end(link),
            Happening::WorkerSeesEnd(link) => self.worker_sees_end(link),
            Happening::Connect(worker, _) => self.connect(worker),
            Happening::Step(worker, _, attempt) => self.step(worker, attempt),
            Happening::LedgerTick(worker, _, at) => {
                if self.workers[worker].tick_at == Some(at) {
                    self.workers[worker].tick_at = None;
                    self.ledger(worker, LedgerEvent::Tick);
                }
            }
            Happening::SchedulerTick(at) => self.scheduler_tick(at),
            Happening::Submit(job) => self.submit(job),
            Happening::AskCancel(job) => self.ask_cancel(job),
            Happening::GoAway(job) => self.go_away(job),
            Happening::Read(job, generation) => self.read_result(job, generation),
            Happening::CommitDone(job, generation) => self.commit_done(job, generation),
            Happening::Fault => self.fault(),
            Happening::Restart(worker) => self.restart(worker),
            Happening::Thaw(worker) => self.thaw(worker),
            Happening::Heal => self.heal(),
        }
    }

    fn connect(&mut self, index: usize) {
        if self.workers[index].link.is_some() {
            return;
        }
        let id = self.next_link;
        self.next_link += 1;
        self.links.insert(id, Link::new(index, self.workers[index].incarnation));
        self.workers[index].link = Some(id);
        self.ledger(index, LedgerEvent::Connected);
    }

    /// Breaks a stream: each end hears some of what was under way, and notices in its own time.
    pub(super) fn break_link(&mut self, id: LinkId) {
        let now = self.now;
        let (a, b) = (self.dice.millis(0, 20), self.dice.millis(0, 20));
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.broken {
            return;
        }
        link.cut(now + a, now + b);
        let late = self.dice.chance(150);
        let seen = if late { self.dice.millis(3000, 12_000) } else { self.dice.millis(1, 50) };
        self.later(a + seen, Happening::CoordinatorSeesEnd(id));
        let seen = self.dice.millis(1, 300);
        self.later(b + seen, Happening::WorkerSeesEnd(id));
    }

    fn worker_sees_end(&mut self, id: LinkId) {
        let Some(index) = self.links.get(&id).map(|l| l.worker) else { return };
        if self.workers[index].link == Some(id) {
            self.workers[index].link = None;
            self.ledger(index, LedgerEvent::Disconnected);
            let pause = self.dice.millis(10, 500);
            let life = self.workers[index].incarnation;
            self.later(pause, Happening::Connect(index, life));
        }
    }

    fn worker_hears(&mut self, id: LinkId, message: ToWorker) {
        let Some(link) = self.links.get(&id) else { return };
        if link.reaches_worker(self.now) && self.workers[link.worker].link == Some(id) {
            self.ledger(link.worker, LedgerEvent::Message(message));
        }
    }

    /// Gives the worker's ledger an event and carries out what it asks for.
    pub(super) fn ledger(&mut self, index: usize, event: LedgerEvent) {
        let actions = self.workers[index].ledger.handle(self.now, event);
        for action in actions {
            match action {
                LedgerAction::Run(assignment) => self.run_attempt(index, assignment),
                LedgerAction::Stop(attempt) => {
                    if let Some(execution) = self.workers[index].executions.get_mut(&attempt) {
                        execution.stopping = true;
                    }
                }
                LedgerAction::FreeOutput(attempt) => {
                    self.workers[index].outputs.remove(&attempt);
                }
                LedgerAction::ForgetJob(_) | LedgerAction::Refused { .. } | LedgerAction::TurnedAway(_) => {}
                LedgerAction::Send(message) => self.worker_says(index, message),
            }
        }
        let worker = &mut self.workers[index];
        let (id, used, slots) = (worker.id, worker.used(), worker.slots);
        if self.config.invariants
            && let Err(broken) = worker.ledger.check_invariants()
        {
            self.laws.violations.push(format!("{id}: {broken}"));
        }
        let next = worker.ledger.next_deadline();
        let life = worker.incarnation;
        if let Some(at) = next.filter(|at| worker.tick_at.is_none_or(|set| set > *at)) {
            worker.tick_at = Some(at);
            self.at(at, Happening::LedgerTick(index, life, at));
        }
        self.laws.see(&Seen::Executes { worker: id, used, slots });
    }

    fn worker_says(&mut self, index: usize, message: ToCoordinator) {
        let Some(id) = self.workers[index].link else { return };
        let delay = self.mood.delay(&mut self.dice);
        let twice = self.mood.faulty && self.dice.chance(self.mood.duplicates);
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let arrival = link.arrival_at_coordinator(now, delay);
        if twice && matches!(message, ToCoordinator::Report { .. }) {
            let again = self.dice.millis(0, 400);
            self.at(arrival + again, Happening::ToCoordinator(id, message.clone()));
        }
        self.at(arrival, Happening::ToCoordinator(id, message));
    }

    fn run_attempt(&mut self, index: usize, assignment: Box<Assignment>) {
        let task = assignment.task;
        let Some(graph) = self.jobs.get(&task.job).map(|job| Arc::clone(&job.graph)) else { return };
        let mut to_read = Vec::new();
        for (input, slice) in assignment.inputs.iter().enumerate() {
            for producer in producers_of(&graph, task.stage.0, task.index, input) {
                to_read.extend(slice.producers.iter().find(|l| l.task == producer).map(|l| (input, l.clone())));
            }
        }
        let doom = self.mood.attempt_fails(&mut self.dice);
        let attempt = assignment.attempt;
        let execution = Execution { assignment, to_read, brew: Brew::default(), doom, stopping: false };
        self.workers[index].executions.insert(attempt, execution);
        self.step_later(index, attempt);
    }

    fn step_later(&mut self, index: usize, attempt: AttemptId) {
        let pause = self.mood.work(&mut self.dice);
        let life = self.workers[index].incarnation;
        self.later(pause, Happening::Step(index, life, attempt));
    }

    /// An attempt reads some of its input, or comes to its end.
    fn step(&mut self, index: usize, attempt: AttemptId) {
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        // Being told to stop and coming to the end may cross.
        if execution.stopping && (!execution.to_read.is_empty() || self.dice.chance(500)) {
            self.workers[index].executions.remove(&attempt);
            self.ledger(index, LedgerEvent::Stopped { attempt });
            return;
        }
        for _ in 0..self.dice.between(1, 8) {
            let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
            let Some((input, location)) = execution.to_read.pop() else { break };
            let here = index;
            if !self.can_read(here, &location) {
                self.workers[index].executions.remove(&attempt);
                let kind = ErrorKind::LostInput(vec![location.attempt]);
                let error = Error::new(kind, format!("{} is not there", location.attempt));
                self.ledger(index, LedgerEvent::Failed { attempt, error });
                return;
            }
            if let (Some(content), Some(execution)) =
                (self.made.get(&location.attempt), self.workers[index].executions.get_mut(&attempt))
            {
                execution.brew.add(input, location.task, content);
            }
        }
        let done = self.workers[index].executions.get(&attempt).is_some_and(|e| e.to_read.is_empty());
        if done { self.come_to_end(index, attempt) } else { self.step_later(index, attempt) }
    }

    fn come_to_end(&mut self, index: usize, attempt: AttemptId) {
        let Some(execution) = self.workers[index].executions.remove(&attempt) else { return };
        let task = execution.assignment.task;
        if let Some(kind) = execution.doom {
            self.laws.see(&Seen::Injected { job: task.job, task: Some(task), kind: &kind });
            let error = Error::new(kind, "made to fail");
            self.ledger(index, LedgerEvent::Failed { attempt, error });
            return;
        }
        let Some(graph) = self.jobs.get(&task.job).map(|job| Arc::clone(&job.graph)) else { return };
        let content = execution.brew.finish(&graph, task.stage.0, task.index, attempt);
        self.made.insert(attempt, content);
        self.workers[index].outputs.insert(attempt);
        let output = output_report(&execution.assignment, graph.commits, &mut self.dice);
        self.ledger(index, LedgerEvent::Finished { attempt, output });
    }

    /// Whether an output can be read, from a worker or (`usize::MAX`) by a client.
    pub(super) fn can_read(&mut self, reader: usize, location: &windrow_common::Location) -> bool {
        if location.inline.is_some() {
            return true;
        }
        let Some(holder) = self.workers.iter().position(|w| w.id == location.worker) else { return false };
        let reachable = holder == reader || !self.mood.fetch_fails(&mut self.dice);
        let worker = &self.workers[holder];
        reachable
            && worker.life == Life::Up
            && worker.incarnation == location.incarnation
            && worker.outputs.contains(&location.attempt)
    }

    /// What is left that should not be, in words.
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for worker in self.workers.iter().filter(|w| w.life == Life::Up) {
            let ledger = &worker.ledger;
            let (running, held, unsaid) = (ledger.running().len(), ledger.held().len(), ledger.unacknowledged());
            if running + held + unsaid + worker.executions.len() + worker.outputs.len() + ledger.used_slots() as usize
                > 0
            {
                left.push(format!(
                    "{} has {running} running, {held} held, {unsaid} unacknowledged, {} executing, {} outputs",
                    worker.id,
                    worker.executions.len(),
                    worker.outputs.len()
                ));
            }
            match self.scheduler.workers().find(|view| view.id == worker.id) {
                None => left.push(format!("{} is up and the scheduler does not know it", worker.id)),
                Some(view) if view.free != view.slots => {
                    left.push(format!("{} has {} of {} slots free", worker.id, view.free, view.slots));
                }
                Some(_) => {}
            }
        }
        left.extend(self.scheduler.jobs().map(|job| format!("the scheduler still knows {job}")));
        left
    }
}

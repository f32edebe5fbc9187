//! The coordinator's shell and the clients, as far as a simulation needs them: streams to events, actions to messages,
//! results read and released, commits carried out.

use windrow_common::{AttemptId, Error, ErrorKind, Incarnation, JobId, Location, Timestamp, WorkerId};
use windrow_control::{Action, Event, Outcome, ToCoordinator, ToWorker};

use super::contents::Content;
use super::laws::Seen;
use super::link::LinkId;
use super::world::{Happening, World};

impl World {
    pub(super) fn coordinator_hears(&mut self, id: LinkId, message: ToCoordinator) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.reaches_coordinator(self.now) {
            return;
        }
        let greeted = link.greeted;
        match (greeted, message) {
            (_, ToCoordinator::Hello { worker, incarnation, slots, memory, endpoint, running, held, .. }) => {
                link.greeted = Some(worker);
                self.current.insert(worker, id);
                self.handle(Event::WorkerConnected { worker, incarnation, slots, memory, endpoint, running, held });
            }
            (Some(worker), ToCoordinator::Heartbeat { incarnation }) => {
                self.handle(Event::Heartbeat { worker, incarnation });
            }
            (Some(worker), ToCoordinator::Report { incarnation, epoch, task, attempt, status }) => {
                self.handle(Event::Report { worker, incarnation, epoch, task, attempt, status });
            }
            (Some(_), ToCoordinator::Goodbye { .. }) => self.coordinator_sees_end(id),
            // The simulated clients read through the coordinator, and the scheduler need not know of others.
            (_, ToCoordinator::DirectReads { .. }) => {}
            (None, ToCoordinator::Heartbeat { .. } | ToCoordinator::Report { .. } | ToCoordinator::Goodbye { .. }) => {}
        }
    }

    pub(super) fn coordinator_sees_end(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.over_at_coordinator {
            return;
        }
        link.over_at_coordinator = true;
        let incarnation = link.incarnation;
        let Some(worker) = link.greeted else { return };
        self.break_link(id);
        // A stream that a newer one of the same incarnation has replaced ends without a word: the shell's part of the
        // contract. That of an older incarnation may well be heard of late.
        let current = self.current.get(&worker).copied();
        let replaced = current
            .is_some_and(|now| now != id && self.links.get(&now).is_some_and(|link| link.incarnation == incarnation));
        if replaced {
            return;
        }
        if current == Some(id) {
            self.current.remove(&worker);
        }
        self.handle(Event::WorkerDisconnected { worker, incarnation });
    }

    pub(super) fn scheduler_tick(&mut self, at: Timestamp) {
        if self.tick_at == Some(at) {
            self.tick_at = None;
            self.handle(Event::Tick);
        }
    }

    /// Gives the scheduler an event, shows everything to the laws, and carries out the actions.
    pub(super) fn handle(&mut self, event: Event) {
        self.laws.see(&Seen::Handles { now: self.now, event: &event });
        self.events += 1;
        let actions = self.scheduler.handle(self.now, event.clone());
        let (tasks, scheduler) = (&self.tasks, &self.scheduler);
        self.laws.see(&Seen::Handled { event: &event, actions: &actions, tasks, scheduler });
        if self.config.invariants
            && let Err(broken) = self.scheduler.check_invariants()
        {
            self.laws.violations.push(format!("the scheduler is in an impossible state: {broken}"));
        }
        for action in actions {
            self.carry_out(action);
        }
        if let Some(at) = self.scheduler.next_deadline()
            && self.tick_at.is_none_or(|set| set > at)
        {
            self.tick_at = Some(at);
            self.at(at, Happening::SchedulerTick(at));
        }
    }

    fn carry_out(&mut self, action: Action) {
        if self.config.verbose {
            println!("{}     => {action:?}", self.now);
        }
        match action {
            Action::Send { worker, incarnation, message } => self.send(worker, incarnation, message),
            Action::Disconnect { worker, incarnation, .. } => {
                let all = self.links.iter().filter(|(_, link)| {
                    link.greeted == Some(worker) && link.incarnation == incarnation && !link.over_at_coordinator
                });
                for id in all.map(|(id, _)| *id).collect::<Vec<_>>() {
                    if self.dice.chance(500) {
                        // The shell may or may not say once more that it is over.
                        if let Some(link) = self.links.get_mut(&id) {
                            link.over_at_coordinator = true;
                        }
                    }
                    if self.current.get(&worker) == Some(&id) {
                        self.current.remove(&worker);
                    }
                    self.break_link(id);
                }
            }
            Action::ResultReady { job, locations, .. } => {
                let delay = self.dice.millis(1, 800);
                let Some(entry) = self.jobs.get_mut(&job) else { return };
                entry.generation += 1;
                entry.locations = locations;
                let generation = entry.generation;
                self.later(delay, Happening::Read(job, generation));
            }
            Action::Commit { job, outputs } => {
                let attempts: Vec<Option<AttemptId>> =
                    outputs.iter().map(|o| attempt_in(o.inline.as_deref())).collect();
                self.deliver(job, &attempts);
                let delay = self.dice.millis(1, 2000);
                let Some(entry) = self.jobs.get_mut(&job) else { return };
                entry.generation += 1;
                let generation = entry.generation;
                self.later(delay, Happening::CommitDone(job, generation));
            }
            Action::JobEnded { job, outcome, .. } => {
                self.laws.see(&Seen::Ended { now: self.now, job, outcome: &outcome });
                if let Some(entry) = self.jobs.get_mut(&job) {
                    entry.outcome = Some(outcome);
                    entry.generation += 1;
                }
            }
            Action::Progress { job, done, running, total } => {
                if done + running > total {
                    self.laws.violations.push(format!("{job}: {done} done and {running} running of {total}"));
                }
            }
        }
    }

    fn send(&mut self, worker: WorkerId, incarnation: Incarnation, message: ToWorker) {
        self.show(worker, incarnation, &message);
        let Some(id) = self.current.get(&worker).copied() else { return };
        let delay = self.mood.delay(&mut self.dice);
        let twice = self.mood.faulty && self.dice.chance(self.mood.duplicates);
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.incarnation != incarnation {
            return;
        }
        let arrival = link.arrival_at_worker(now, delay);
        if twice && !matches!(message, ToWorker::Welcome { .. }) {
            let again = self.dice.millis(0, 400);
            self.at(arrival + again, Happening::ToWorker(id, message.clone()));
        }
        self.at(arrival, Happening::ToWorker(id, message));
    }

    /// Shows the laws what is told to a worker.
    fn show(&mut self, worker: WorkerId, incarnation: Incarnation, message: &ToWorker) {
        match message {
            ToWorker::Start(assignment) => {
                self.starts += 1;
                let (task, attempt) = (assignment.task, assignment.attempt);
                if self.tasks.insert(attempt, task).is_some() {
                    self.laws.violations.push(format!("{attempt} was minted twice"));
                }
                let worker = (worker, incarnation);
                self.laws.see(&Seen::Starts { worker, assignment, scheduler: &self.scheduler });
            }
            ToWorker::Free { attempts, .. } => {
                for attempt in attempts {
                    let Some(task) = self.tasks.get(attempt).copied() else { continue };
                    let Some(job) = self.jobs.get(&task.job) else { continue };
                    let (attempt, scheduler, graph) = (*attempt, &self.scheduler, &job.graph);
                    self.laws.see(&Seen::Frees { attempt, task, scheduler, graph });
                }
            }
            ToWorker::Welcome { .. }
            | ToWorker::Cancel { .. }
            | ToWorker::Acknowledge { .. }
            | ToWorker::ForgetJob { .. }
            | ToWorker::Refuse { .. } => {}
        }
    }

    pub(super) fn submit(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.submitted = true;
        let (seed, graph) = (job.seed, std::sync::Arc::clone(&job.graph));
        self.laws.see(&Seen::Submitted { job: id, graph: &graph });
        self.handle(Event::Submit { job: id, seed, graph });
    }

    pub(super) fn ask_cancel(&mut self, job: JobId) {
        self.laws.see(&Seen::CancelAsked { job });
        self.handle(Event::Cancel { job });
    }

    pub(super) fn go_away(&mut self, job: JobId) {
        self.laws.see(&Seen::CancelAsked { job });
        // Whoever is gone has taken nothing, so nothing need be delivered.
        if self.jobs.get(&job).is_some_and(|j| j.submitted && j.outcome.is_none() && j.generation == 0) {
            self.handle(Event::ResultReleased { job });
        }
    }

    /// The client reads the whole result, or finds that some of it is gone.
    pub(super) fn read_result(&mut self, id: JobId, generation: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.generation != generation {
            return;
        }
        let locations: Vec<Location> = job.locations.clone();
        let mut lost = Vec::new();
        for location in &locations {
            if !self.can_read(usize::MAX, location) {
                lost.push(location.attempt);
            }
        }
        if lost.is_empty() {
            let attempts: Vec<_> = locations.iter().map(|l| Some(l.attempt)).collect();
            self.deliver(id, &attempts);
            self.handle(Event::ResultReleased { job: id });
        } else {
            self.handle(Event::OutputsLost { job: id, attempts: lost });
        }
    }

    fn deliver(&mut self, job: JobId, attempts: &[Option<AttemptId>]) {
        let contents: Vec<Content> =
            attempts.iter().filter_map(|a| a.and_then(|a| self.made.get(&a))).cloned().collect();
        self.laws.see(&Seen::Delivered { job, contents: &contents });
    }

    pub(super) fn commit_done(&mut self, job: JobId, generation: u64) {
        if self.jobs.get(&job).is_none_or(|j| j.generation != generation) {
            return;
        }
        let result = if self.mood.faulty && self.dice.chance(50) {
            self.laws.see(&Seen::Injected { job, task: None, kind: &ErrorKind::Io });
            Err(Error::io("the store is full"))
        } else {
            Ok(())
        };
        self.handle(Event::Committed { job, result });
    }

    /// Whether a job has not ended, for those who make trouble.
    pub(super) fn open_jobs(&self) -> Vec<JobId> {
        let open = self.jobs.iter().filter(|(_, job)| job.submitted && job.outcome.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// How a job ended.
    pub fn outcome(&self, job: JobId) -> Option<&Outcome> {
        self.jobs.get(&job)?.outcome.as_ref()
    }
}

fn attempt_in(inline: Option<&[u8]>) -> Option<AttemptId> {
    Some(AttemptId(u128::from_le_bytes(inline?.try_into().ok()?)))
}

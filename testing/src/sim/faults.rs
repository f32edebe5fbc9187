//! What goes wrong, how often, and how it heals.

use std::time::Duration;

use windrow_common::{Epoch, ErrorKind, JobId};
use windrow_control::{Event, LedgerEvent, Scheduler};

use super::dice::Dice;
use super::graphs::random_graph;
use super::laws::Seen;
use super::worker::Life;
use super::world::{Happening, SimJob, World};

/// How rough a run is; drawn once for each seed.
#[derive(Clone, Debug)]
pub struct Mood {
    /// Things go wrong, still.
    pub faulty: bool,
    /// Messages in a thousand that come twice.
    pub duplicates: u32,
    /// Attempts in a thousand that fail.
    failures: u32,
    /// Reads in a thousand that fail though the output is there.
    fetch_failures: u32,
    /// Mean pause between two larger faults, in milliseconds.
    pause: u64,
    /// Longest delay of a message, in milliseconds.
    delay: u64,
    /// Longest step of an attempt, in milliseconds.
    work: u64,
    /// After healing, no worker ever comes back.
    hopeless: bool,
}

impl Mood {
    /// Draws one.
    pub fn new(dice: &mut Dice) -> Self {
        let calm = dice.chance(200);
        Self {
            faulty: !calm,
            duplicates: dice.between(0, 100),
            failures: dice.between(0, 120),
            fetch_failures: dice.between(0, 15),
            pause: u64::from(dice.between(200, 4000)),
            delay: u64::from(dice.between(1, 200)),
            work: u64::from(dice.between(5, 1500)),
            hopeless: dice.chance(50),
        }
    }

    /// How long a message takes.
    pub fn delay(&self, dice: &mut Dice) -> Duration {
        dice.millis(0, self.delay)
    }

    /// How long a step of an attempt takes.
    pub fn work(&self, dice: &mut Dice) -> Duration {
        dice.millis(1, self.work.max(2))
    }

    /// How a new attempt will fail, if it will.
    pub fn attempt_fails(&self, dice: &mut Dice) -> Option<ErrorKind> {
        if !self.faulty || !dice.chance(self.failures) {
            return None;
        }
        Some(match dice.below(20) {
            0..9 => ErrorKind::Io,
            9..14 => ErrorKind::OutOfMemory,
            14..18 => ErrorKind::Internal,
            18 => ErrorKind::User,
            _ => ErrorKind::Unsupported,
        })
    }

    /// Whether a read fails though the output is there.
    pub fn fetch_fails(&self, dice: &mut Dice) -> bool {
        self.faulty && dice.chance(self.fetch_failures)
    }
}

impl World {
    /// Workers connect, jobs come, faults begin.
    pub(super) fn set_out(&mut self) {
        for index in 0..self.workers.len() {
            let pause = self.dice.millis(0, 2000);
            let life = self.workers[index].incarnation;
            self.later(pause, Happening::Connect(index, life));
        }
        for _ in 0..self.dice.between(1, 4) {
            let id = JobId(self.dice.bits());
            let graph = random_graph(&mut self.dice);
            let seed = self.dice.bits();
            let job = SimJob { graph, seed, submitted: false, outcome: None, generation: 0, locations: Vec::new() };
            self.jobs.insert(id, job);
            let pause = self.dice.millis(0, 5000);
            self.later(pause, Happening::Submit(id));
            if self.dice.chance(100) {
                let more = self.dice.millis(1, 6000);
                let gone = self.dice.chance(300);
                self.later(pause + more, if gone { Happening::GoAway(id) } else { Happening::AskCancel(id) });
            }
        }
        let heal = self.dice.millis(3000, 40_000);
        self.later(heal, Happening::Heal);
        self.next_fault();
    }

    fn next_fault(&mut self) {
        if self.mood.faulty {
            let pause = self.dice.millis(1, self.mood.pause * 2);
            self.later(pause, Happening::Fault);
        }
    }

    pub(super) fn fault(&mut self) {
        if !self.mood.faulty {
            return;
        }
        let index = self.dice.below(self.workers.len());
        match self.dice.below(20) {
            0..6 => {
                if let Some(link) = self.workers[index].link {
                    self.break_link(link);
                }
            }
            6..10 => self.crash(index),
            10..14 => self.freeze(index),
            14..19 => self.lose_output(index),
            _ => self.restart_coordinator(),
        }
        self.next_fault();
    }

    fn crash(&mut self, index: usize) {
        if self.workers[index].life == Life::Dead {
            return;
        }
        if let Some(link) = self.workers[index].link {
            self.break_link(link);
        }
        self.workers[index].die();
        let pause = self.dice.millis(50, 15_000);
        self.later(pause, Happening::Restart(index));
    }

    pub(super) fn restart(&mut self, index: usize) {
        if self.workers[index].life != Life::Dead || (self.mood.hopeless && !self.mood.faulty) {
            return;
        }
        self.workers[index].restart(&mut self.dice);
        let life = self.workers[index].incarnation;
        let pause = self.dice.millis(1, 200);
        self.later(pause, Happening::Connect(index, life));
    }

    fn freeze(&mut self, index: usize) {
        if self.workers[index].life != Life::Up {
            return;
        }
        self.workers[index].life = Life::Frozen;
        let pause = self.dice.millis(100, 12_000);
        self.later(pause, Happening::Thaw(index));
    }

    pub(super) fn thaw(&mut self, index: usize) {
        if self.workers[index].life != Life::Frozen {
            return;
        }
        self.workers[index].life = Life::Up;
        for happening in std::mem::take(&mut self.workers[index].deferred) {
            self.later(Duration::ZERO, happening);
        }
    }

    /// An output vanishes (a disk fails); the worker may or may not notice by itself.
    fn lose_output(&mut self, index: usize) {
        let count = self.workers[index].outputs.len();
        if self.workers[index].life != Life::Up || count == 0 {
            return;
        }
        let which = self.dice.below(count);
        let Some(attempt) = self.workers[index].outputs.iter().nth(which).copied() else { return };
        self.workers[index].outputs.remove(&attempt);
        if self.dice.chance(500) {
            self.ledger(index, LedgerEvent::OutputGone { attempt });
        }
    }

    /// A new coordinator, of a higher epoch, takes up the jobs that have not ended.
    fn restart_coordinator(&mut self) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.get_mut(&id) {
                link.over_at_coordinator = true;
            }
            self.break_link(id);
        }
        self.current.clear();
        self.scheduler_config.epoch = Epoch(self.scheduler_config.epoch.0 + 1);
        self.scheduler = Scheduler::new(self.scheduler_config.clone());
        self.tick_at = None;
        self.laws.see(&Seen::CoordinatorRestarted);
        for job in self.open_jobs() {
            let Some(entry) = self.jobs.get_mut(&job) else { continue };
            entry.generation += 1;
            let (seed, graph) = (entry.seed, std::sync::Arc::clone(&entry.graph));
            self.handle(Event::Submit { job, seed, graph });
        }
    }

    /// Nothing goes wrong any more: whoever is dead or frozen comes back, unless there is no hope.
    pub(super) fn heal(&mut self) {
        self.mood.faulty = false;
        if self.mood.hopeless {
            self.laws.see(&Seen::AllWorkersGone);
            for index in 0..self.workers.len() {
                self.crash(index);
            }
            return;
        }
        for index in 0..self.workers.len() {
            self.thaw(index);
            self.restart(index);
        }
    }
}

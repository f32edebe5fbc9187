//! The worker's side of the attempt protocol: which attempts wait, run, are being stopped, have ended unacknowledged,
//! or have left an output that is still held.
//!
//! ```text
//!            slot free        finished             acknowledged
//!   Queued ────────────► Running ─────────► Ended ───────────────► Held ──► (freed)
//!      │ cancel             │ cancel          │ failed, cancelled
//!      │                    ▼    stopped      │ acknowledged
//!      └────────► Ended ◄─ Stopping           └──────► (gone, remembered as a tombstone)
//! ```
//!
//! Owned here: the epoch rule, slots, what is said again after a broken stream, heartbeats. Not here: running anything,
//! the outputs themselves, connections; the worker's shell does that and brings back [`LedgerEvent`]s.

mod entry;
mod event;
mod tombstones;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use windrow_common::{AttemptId, Epoch, Incarnation, JobId, OutputReport, TaskId, Timestamp, WorkerId, limits};

use crate::protocol::{Assignment, AttemptStatus, ToCoordinator, ToWorker};
use entry::{Entry, State};
pub use event::{LedgerAction, LedgerEvent};
use tombstones::Tombstones;

/// Who the worker is and what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Its identity, kept over restarts.
    pub worker: WorkerId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Tasks of one core each that run at once.
    pub slots: u32,
    /// Its byte budget.
    pub memory: u64,
    /// `host:port` of its shuffle server.
    pub endpoint: String,
    /// Its process id, for people and tests.
    pub pid: u32,
}

/// How the connection to the coordinator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    /// `Hello` was said and not answered yet.
    Greeting,
    /// Welcome; the next heartbeat is due then.
    Up {
        next_beat: Timestamp,
    },
}

/// All attempts that a worker knows of.
#[derive(Debug)]
pub struct AttemptLedger {
    config: LedgerConfig,
    /// The highest term heard of; messages of lower ones are refused.
    epoch: Epoch,
    link: Link,
    heartbeat: Duration,
    entries: BTreeMap<AttemptId, Entry>,
    /// Attempts that wait for slots, first come first served.
    queue: VecDeque<AttemptId>,
    used: u32,
    tombstones: Tombstones,
    out: Vec<LedgerAction>,
}

impl AttemptLedger {
    /// A ledger without attempts, not connected.
    pub fn new(config: LedgerConfig) -> Self {
        Self {
            config,
            epoch: Epoch(0),
            link: Link::Down,
            heartbeat: limits::HEARTBEAT_INTERVAL,
            entries: BTreeMap::new(),
            queue: VecDeque::new(),
            used: 0,
            tombstones: Tombstones::new(limits::MAX_TOMBSTONES),
            out: Vec::new(),
        }
    }

    /// Takes in one event and says what the shell must do, in order.
    pub fn handle(&mut self, now: Timestamp, event: LedgerEvent) -> Vec<LedgerAction> {
        match event {
            LedgerEvent::Connected => self.connected(),
            LedgerEvent::Disconnected => self.link = Link::Down,
            LedgerEvent::Message(message) => self.message(now, message),
            LedgerEvent::Finished { attempt, output } => self.finished(attempt, output),
            LedgerEvent::Failed { attempt, error } => self.ended(attempt, AttemptStatus::Failed(error)),
            LedgerEvent::Stopped { attempt } => self.ended(attempt, AttemptStatus::Cancelled),
            LedgerEvent::OutputGone { attempt } => self.output_gone(attempt),
            LedgerEvent::Leaving => {
                let incarnation = self.config.incarnation;
                self.say(ToCoordinator::Goodbye { incarnation });
            }
            LedgerEvent::Tick => {}
        }
        self.start_waiting();
        self.beat(now);
        std::mem::take(&mut self.out)
    }

    /// When [`LedgerEvent::Tick`] should come at the latest: for the next heartbeat.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self.link {
            Link::Up { next_beat } => Some(next_beat),
            Link::Down | Link::Greeting => None,
        }
    }

    /// The highest term heard of.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Slots taken by attempts that run or are being stopped.
    pub fn used_slots(&self) -> u32 {
        self.used
    }

    /// Attempts that wait, run or are being stopped.
    pub fn running(&self) -> Vec<AttemptId> {
        self.entries.iter().filter(|(_, entry)| entry.is_running()).map(|(attempt, _)| *attempt).collect()
    }

    /// Attempts whose output is held.
    pub fn held(&self) -> Vec<AttemptId> {
        self.entries.iter().filter(|(_, entry)| entry.is_held()).map(|(attempt, _)| *attempt).collect()
    }

    /// Ends that are not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.state, State::Ended { .. })).count()
    }

    /// Says which rule is broken, if any.
    pub fn check_invariants(&self) -> Result<(), String> {
        let taken: u32 = self.entries.values().map(Entry::taken).sum();
        if taken != self.used || taken > self.config.slots {
            return Err(format!("{taken} slots taken, {} counted, {} there", self.used, self.config.slots));
        }
        let waiting = self.entries.values().filter(|e| matches!(e.state, State::Queued(_))).count();
        let listed = self.queue.iter().filter(|a| self.entries.contains_key(a)).count();
        if waiting != self.queue.len() || listed != self.queue.len() {
            return Err(format!("{waiting} attempts wait, {} are in the queue", self.queue.len()));
        }
        Ok(())
    }

    fn say(&mut self, message: ToCoordinator) {
        if self.link != Link::Down {
            self.out.push(LedgerAction::Send(message));
        }
    }

    /// Every connection begins with who this is and what it has.
    fn connected(&mut self) {
        self.link = Link::Greeting;
        let config = self.config.clone();
        self.say(ToCoordinator::Hello {
            worker: config.worker,
            incarnation: config.incarnation,
            version: limits::PROTOCOL_VERSION,
            slots: config.slots,
            memory: config.memory,
            endpoint: config.endpoint,
            pid: config.pid,
            running: self.running(),
            held: self.held(),
        });
    }

    fn message(&mut self, now: Timestamp, message: ToWorker) {
        if let Some(epoch) = epoch_of(&message) {
            if epoch < self.epoch {
                self.out.push(LedgerAction::Refused { epoch, known: self.epoch });
                return;
            }
            self.epoch = epoch;
        }
        match message {
            ToWorker::Welcome { heartbeat, .. } => self.welcome(now, heartbeat),
            ToWorker::Start(assignment) => self.start(*assignment),
            ToWorker::Cancel { attempt, .. } => self.cancel(attempt),
            ToWorker::Acknowledge { attempt, .. } => self.acknowledged(attempt),
            ToWorker::Free { attempts, .. } => attempts.into_iter().for_each(|attempt| self.free(attempt)),
            ToWorker::ForgetJob { job, .. } => self.forget_job(job),
            ToWorker::Refuse { reason } => {
                self.link = Link::Down;
                self.out.push(LedgerAction::TurnedAway(reason));
            }
        }
    }

    fn welcome(&mut self, now: Timestamp, heartbeat: Duration) {
        self.heartbeat = heartbeat;
        self.link = Link::Up { next_beat: now + heartbeat };
        let unacknowledged: Vec<AttemptId> =
            self.entries.iter().filter(|(_, e)| matches!(e.state, State::Ended { .. })).map(|(a, _)| *a).collect();
        for attempt in unacknowledged {
            self.report(attempt);
        }
    }

    fn start(&mut self, assignment: Assignment) {
        let attempt = assignment.attempt;
        if self.entries.contains_key(&attempt) {
            return;
        }
        if self.tombstones.contains(attempt) {
            // It has ended here before. Whoever waits for it all the same must not wait for ever.
            let (task, epoch) = (assignment.task, assignment.epoch);
            self.send_report(task, epoch, attempt, AttemptStatus::Cancelled);
            return;
        }
        let (task, epoch) = (assignment.task, assignment.epoch);
        let slots = assignment.slots.clamp(1, self.config.slots.max(1));
        self.entries.insert(attempt, Entry { task, epoch, slots, state: State::Queued(Box::new(assignment)) });
        self.queue.push_back(attempt);
    }

    /// Runs what waits, in order, as long as it fits: never more than there are slots.
    fn start_waiting(&mut self) {
        while let Some(attempt) = self.queue.front().copied() {
            let Some(entry) = self.entries.get_mut(&attempt) else {
                self.queue.pop_front();
                continue;
            };
            if self.used + entry.slots > self.config.slots {
                return;
            }
            self.queue.pop_front();
            if let State::Queued(assignment) = std::mem::replace(&mut entry.state, State::Running) {
                self.used += entry.slots;
                let (task, epoch) = (entry.task, entry.epoch);
                self.out.push(LedgerAction::Run(assignment));
                self.send_report(task, epoch, attempt, AttemptStatus::Running);
            }
        }
    }

    /// Stops the attempt if it runs, and drops its output if it has one.
    fn cancel(&mut self, attempt: AttemptId) {
        let Some(entry) = self.entries.get_mut(&attempt) else {
            self.tombstones.add(attempt);
            return;
        };
        match &mut entry.state {
            State::Queued(_) => {
                self.queue.retain(|waiting| *waiting != attempt);
                entry.state = State::Ended { status: AttemptStatus::Cancelled, held: false };
                self.report(attempt);
            }
            State::Running => {
                entry.state = State::Stopping;
                self.out.push(LedgerAction::Stop(attempt));
            }
            State::Stopping => {}
            State::Ended { held, .. } => {
                if std::mem::take(held) {
                    self.out.push(LedgerAction::FreeOutput(attempt));
                }
            }
            State::Held => self.drop_held(attempt),
        }
    }

    /// An output has no reader left. For an attempt that has none yet it means the same as cancelling it.
    fn free(&mut self, attempt: AttemptId) {
        self.cancel(attempt);
    }

    fn drop_held(&mut self, attempt: AttemptId) {
        self.entries.remove(&attempt);
        self.tombstones.add(attempt);
        self.out.push(LedgerAction::FreeOutput(attempt));
    }

    fn acknowledged(&mut self, attempt: AttemptId) {
        let Some(entry) = self.entries.get_mut(&attempt) else { return };
        match entry.state {
            State::Ended { held: true, .. } => entry.state = State::Held,
            State::Ended { held: false, .. } => {
                self.entries.remove(&attempt);
                self.tombstones.add(attempt);
            }
            State::Queued(_) | State::Running | State::Stopping | State::Held => {}
        }
    }

    fn forget_job(&mut self, job: JobId) {
        let all: Vec<AttemptId> = self.entries.iter().filter(|(_, e)| e.task.job == job).map(|(a, _)| *a).collect();
        for attempt in all {
            self.cancel(attempt);
        }
        self.out.push(LedgerAction::ForgetJob(job));
    }

    fn finished(&mut self, attempt: AttemptId, output: OutputReport) {
        let Some(entry) = self.entries.get_mut(&attempt) else {
            self.out.push(LedgerAction::FreeOutput(attempt));
            return;
        };
        match entry.state {
            State::Running => {
                self.used -= entry.slots;
                entry.state = State::Ended { status: AttemptStatus::Finished(output), held: true };
                self.report(attempt);
            }
            // It was told to stop and came to its end all the same: nobody wants what it made.
            State::Stopping => {
                self.out.push(LedgerAction::FreeOutput(attempt));
                self.ended(attempt, AttemptStatus::Cancelled);
            }
            State::Queued(_) | State::Ended { .. } | State::Held => {}
        }
    }

    fn ended(&mut self, attempt: AttemptId, status: AttemptStatus) {
        let Some(entry) = self.entries.get_mut(&attempt) else { return };
        let status = match entry.state {
            State::Running => status,
            State::Stopping => AttemptStatus::Cancelled,
            State::Queued(_) | State::Ended { .. } | State::Held => return,
        };
        self.used -= entry.slots;
        entry.state = State::Ended { status, held: false };
        self.report(attempt);
    }

    /// The shell found that an output is not there any more; the next `Hello` must not promise it.
    fn output_gone(&mut self, attempt: AttemptId) {
        let Some(entry) = self.entries.get_mut(&attempt) else { return };
        match &mut entry.state {
            State::Ended { held, .. } => *held = false,
            State::Held => {
                self.entries.remove(&attempt);
                self.tombstones.add(attempt);
            }
            State::Queued(_) | State::Running | State::Stopping => {}
        }
    }

    /// Says how an attempt ended. Before `Welcome` nothing is said: it would be said again anyway.
    fn report(&mut self, attempt: AttemptId) {
        let Some(entry) = self.entries.get(&attempt) else { return };
        if let State::Ended { status, .. } = &entry.state {
            self.send_report(entry.task, entry.epoch, attempt, status.clone());
        }
    }

    fn send_report(&mut self, task: TaskId, epoch: Epoch, attempt: AttemptId, status: AttemptStatus) {
        match self.link {
            Link::Up { .. } => {
                let incarnation = self.config.incarnation;
                self.say(ToCoordinator::Report { incarnation, epoch, task, attempt, status });
            }
            Link::Down | Link::Greeting => {}
        }
    }

    fn beat(&mut self, now: Timestamp) {
        if let Link::Up { next_beat } = self.link
            && now >= next_beat
        {
            let incarnation = self.config.incarnation;
            self.say(ToCoordinator::Heartbeat { incarnation });
            self.link = Link::Up { next_beat: now + self.heartbeat };
        }
    }
}

/// The term in which a message was sent, if it says so.
fn epoch_of(message: &ToWorker) -> Option<Epoch> {
    match message {
        ToWorker::Start(assignment) => Some(assignment.epoch),
        ToWorker::Welcome { epoch, .. }
        | ToWorker::Cancel { epoch, .. }
        | ToWorker::Acknowledge { epoch, .. }
        | ToWorker::Free { epoch, .. }
        | ToWorker::ForgetJob { epoch, .. } => Some(*epoch),
        ToWorker::Refuse { .. } => None,
    }
}

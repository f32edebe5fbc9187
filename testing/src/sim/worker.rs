//! A simulated worker: a real ledger, and a pretence of running attempts and holding outputs.

use std::collections::{BTreeMap, BTreeSet};

use windrow_common::{
    AttemptId, ErrorKind, ExchangeKind, Incarnation, Location, OutputReport, PartitionSize, WorkerId,
};
use windrow_control::{Assignment, AttemptLedger, LedgerConfig};

use super::contents::Brew;
use super::dice::Dice;
use super::link::LinkId;
use super::world::Happening;

/// What becomes of a worker's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Up,
    /// It is stopped (SIGSTOP, or the machine hangs).
    Frozen,
    /// It is gone.
    Dead,
}

/// An attempt that runs.
#[derive(Debug)]
pub struct Execution {
    /// What was asked for.
    pub assignment: Box<Assignment>,
    /// What is still to be read: of which input, from where.
    pub to_read: Vec<(usize, Location)>,
    /// What was read.
    pub brew: Brew,
    /// How it will fail once everything is read, if it will.
    pub doom: Option<ErrorKind>,
    /// It was told to stop.
    pub stopping: bool,
}

/// A worker.
#[derive(Debug)]
pub struct SimWorker {
    /// Its identity over restarts.
    pub id: WorkerId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Its slots.
    pub slots: u32,
    /// What has become of it.
    pub life: Life,
    /// Its ledger.
    pub ledger: AttemptLedger,
    /// What runs.
    pub executions: BTreeMap<AttemptId, Execution>,
    /// Outputs that are there.
    pub outputs: BTreeSet<AttemptId>,
    /// Its stream, if it has one.
    pub link: Option<LinkId>,
    /// What reached it while it was frozen.
    pub deferred: Vec<Happening>,
    /// For when its ledger's next tick is set.
    pub tick_at: Option<windrow_common::Timestamp>,
}

impl SimWorker {
    /// A worker's first life.
    pub fn new(index: usize, slots: u32, dice: &mut Dice) -> Self {
        let id = WorkerId((index as u128 + 1) << 96);
        let incarnation = Incarnation(dice.bits());
        Self {
            id,
            incarnation,
            slots,
            life: Life::Up,
            ledger: ledger(id, incarnation, slots),
            executions: BTreeMap::new(),
            outputs: BTreeSet::new(),
            link: None,
            deferred: Vec::new(),
            tick_at: None,
        }
    }

    /// The process is gone, with all it had.
    pub fn die(&mut self) {
        self.life = Life::Dead;
        self.executions.clear();
        self.outputs.clear();
        self.deferred.clear();
        self.link = None;
        self.tick_at = None;
    }

    /// A new process of the same worker.
    pub fn restart(&mut self, dice: &mut Dice) {
        self.incarnation = Incarnation(dice.bits());
        self.life = Life::Up;
        self.ledger = ledger(self.id, self.incarnation, self.slots);
    }

    /// Slots of what runs.
    pub fn used(&self) -> u32 {
        self.executions.values().map(|e| e.assignment.slots.clamp(1, self.slots)).sum()
    }
}

fn ledger(worker: WorkerId, incarnation: Incarnation, slots: u32) -> AttemptLedger {
    AttemptLedger::new(LedgerConfig {
        worker,
        incarnation,
        slots,
        memory: 1 << 30,
        endpoint: format!("{worker}:1"),
        pid: 1,
    })
}

/// What an attempt reports of its output. The contents that ride in the report are the attempt's id, by which the world
/// finds them.
pub fn output_report(assignment: &Assignment, commits: bool, dice: &mut Dice) -> OutputReport {
    let rows = u64::from(dice.between(0, 100));
    let size = PartitionSize { rows, bytes: rows * 8 };
    let scalar = assignment.output == ExchangeKind::Scalar;
    let rides = assignment.inline && (commits || scalar || dice.chance(300));
    OutputReport {
        partitions: vec![size; assignment.output_partitions as usize],
        inline: rides.then(|| assignment.attempt.0.to_le_bytes().to_vec()),
        fetched_bytes: 0,
        spilled_bytes: 0,
        elapsed_micros: 1,
        rejected_rows: 0,
        operators: vec![],
    }
}

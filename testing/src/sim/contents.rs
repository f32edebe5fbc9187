//! What an output contains, without rows: which version of every indeterminate task it came from, and a hash of
//! everything that was read to make it. From the versions alone the right hash can be computed again; two versions of one
//! task in one content are a mixture, which no answer may be.

use std::collections::BTreeMap;

use windrow_common::{AttemptId, Determinism, ExchangeKind, ReadMode, StageGraph};

/// The versions of indeterminate tasks that something came from.
pub type Versions = BTreeMap<(u32, u32), AttemptId>;

/// The contents of one attempt's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Which run of each indeterminate task it came from.
    pub versions: Versions,
    /// Everything that was read, in order.
    pub hash: u64,
    /// Two runs of one task went into it.
    pub mixed: bool,
}

/// Takes in what is read, in any order, and gives what is made of it.
#[derive(Clone, Debug, Default)]
pub struct Brew {
    versions: Versions,
    mixed: bool,
    read: BTreeMap<(usize, u32), u64>,
}

impl Brew {
    /// The output of this task was read as part of this input.
    pub fn add(&mut self, input: usize, task: u32, content: &Content) {
        self.mixed |= content.mixed;
        self.mixed |= !merge(&mut self.versions, &content.versions);
        self.read.insert((input, task), content.hash);
    }

    /// The output of the task that has read it all.
    pub fn finish(mut self, graph: &StageGraph, stage: u32, task: u32, attempt: AttemptId) -> Content {
        let indeterminate = graph.stages[stage as usize].determinism == Determinism::Indeterminate;
        if indeterminate {
            self.versions.insert((stage, task), attempt);
        }
        let read: Vec<_> = self.read.iter().map(|((input, task), hash)| (*input, *task, *hash)).collect();
        let hash = made_of(stage, task, &read, indeterminate.then_some(attempt));
        Content { versions: self.versions, hash, mixed: self.mixed }
    }
}

/// Adds versions to others. False if one task appears in two.
pub fn merge(into: &mut Versions, more: &Versions) -> bool {
    more.iter().fold(true, |same, (task, attempt)| *into.entry(*task).or_insert(*attempt) == *attempt && same)
}

/// The producer tasks that a task reads through one of its inputs.
pub fn producers_of(graph: &StageGraph, stage: u32, task: u32, input: usize) -> Vec<u32> {
    let consumer = &graph.stages[stage as usize];
    let read = &consumer.inputs[input];
    let producer = &graph.stages[read.exchange.0 as usize];
    let narrow =
        read.mode == ReadMode::Partitions && matches!(producer.output, ExchangeKind::Forward | ExchangeKind::Gather);
    let range = &consumer.tasks[task as usize].reads[input];
    (0..producer.tasks.len() as u32)
        .filter(|p| {
            let own = &producer.tasks[*p as usize].partitions;
            !narrow || (read_overlaps(range, own))
        })
        .collect()
}

fn read_overlaps(a: &std::ops::Range<u32>, b: &std::ops::Range<u32>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The hash that a task's output has if everything was right and these versions were read.
pub fn expected(
    graph: &StageGraph,
    versions: &Versions,
    known: &mut BTreeMap<(u32, u32), u64>,
    stage: u32,
    task: u32,
) -> u64 {
    if let Some(hash) = known.get(&(stage, task)) {
        return *hash;
    }
    let mut read = Vec::new();
    for (input, from) in graph.stages[stage as usize].inputs.iter().enumerate() {
        for producer in producers_of(graph, stage, task, input) {
            read.push((input, producer, expected(graph, versions, known, from.exchange.0, producer)));
        }
    }
    let hash = made_of(stage, task, &read, versions.get(&(stage, task)).copied());
    known.insert((stage, task), hash);
    hash
}

fn made_of(stage: u32, task: u32, read: &[(usize, u32, u64)], own: Option<AttemptId>) -> u64 {
    let mut hash = Fnv::default();
    hash.add(&stage.to_le_bytes());
    hash.add(&task.to_le_bytes());
    for (input, producer, contents) in read {
        hash.add(&input.to_le_bytes());
        hash.add(&producer.to_le_bytes());
        hash.add(&contents.to_le_bytes());
    }
    hash.add(&own.map_or(0, |attempt| attempt.0).to_le_bytes());
    hash.0
}

/// FNV-1a: the same on every machine and in every version.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Takes in some bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl std::fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

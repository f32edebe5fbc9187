//! The output of one attempt: for each partition the blocks in the order of writing, each in memory, on its way to disk,
//! or on disk.
//!
//! ```text
//!   Mem ──begin_spill──► Spilling ──end_spill──► Disk        a reader finds the rows in every state
//!    ▲                      │
//!    └──── abort_spill ─────┘
//! ```
//!
//! Owned here: the states and the accounts that go with them. Which output spills is decided by `store`; the bytes are
//! written by `eviction`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio_util::sync::CancellationToken;
use windrow_common::{AttemptId, Error, ErrorKind, JobId, PartitionSize};
use windrow_engine::exchange::block::Footprint;

use crate::budget::{Budget, Charge, Share};
use crate::reads::OutputReads;
use crate::spill::{Segment, SpillFile};

/// A batch in memory, counted against the budget for as long as anybody in the store holds it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) batch: RecordBatch,
    charge: Charge,
}

/// Where a block is.
#[derive(Debug)]
enum Place {
    Mem(Arc<Held>),
    Spilling(Arc<Held>),
    Disk { schema: SchemaRef, segments: Vec<Segment> },
}

/// What a reader finds.
pub(crate) enum Piece {
    Memory(Arc<Held>),
    Disk {
        file: Arc<SpillFile>,
        schema: SchemaRef,
        segment: Segment,
    },
    /// The block has no more segments.
    NextBlock,
    /// The partition has no more blocks.
    NextPartition,
}

/// A block on its way to disk.
pub(crate) struct Victim {
    pub(crate) partition: u32,
    pub(crate) index: usize,
    pub(crate) held: Arc<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Writing,
    Finished,
    /// Gone from the store. Readers that have begun still hold it.
    Freed,
}

/// The output of one attempt.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) job: JobId,
    pub(crate) attempt: AttemptId,
    /// How clients' own reading of it stands.
    pub(crate) reads: Arc<OutputReads>,
    /// Is cancelled when it is gone from the store.
    pub(crate) freed: CancellationToken,
    /// Is cancelled with its job.
    pub(crate) forgotten: CancellationToken,
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    partitions: Vec<Vec<Place>>,
    sizes: Vec<PartitionSize>,
    file: Option<Arc<SpillFile>>,
    /// Bytes of the blocks that are `Mem`.
    evictable: u64,
    /// Bytes on disk.
    spilled: u64,
    /// Reading of the store's logical clock when it was last written or read.
    touched: u64,
}

/// What the store wants to know of an output.
pub(crate) struct Weight {
    pub(crate) evictable: u64,
    pub(crate) memory: u64,
    pub(crate) spilled: u64,
    pub(crate) touched: u64,
}

impl Output {
    pub(crate) fn new(job: JobId, attempt: AttemptId, partitions: u32, budget: Budget, now: u64) -> Self {
        let state = State {
            phase: Phase::Writing,
            partitions: (0..partitions).map(|_| Vec::new()).collect(),
            sizes: vec![PartitionSize::default(); partitions as usize],
            file: None,
            evictable: 0,
            spilled: 0,
            touched: now,
        };
        let reads = OutputReads::new(job, attempt);
        let (freed, forgotten) = (CancellationToken::new(), CancellationToken::new());
        Self { job, attempt, reads, freed, forgotten, budget, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a block.
    pub(crate) fn push(&self, partition: u32, batch: RecordBatch, weight: Footprint, now: u64) -> Result<(), Error> {
        let mut state = self.state();
        if state.phase != Phase::Writing {
            return Err(Error::new(
                ErrorKind::Cancelled,
                format!("the output of {} was freed while it was written", self.attempt),
            ));
        }
        let (bytes, rows) = (weight.pinned as u64, batch.num_rows() as u64);
        let charge = self.budget.charge(Share::Store, bytes);
        self.budget.add_evictable(bytes);
        let place = Place::Mem(Arc::new(Held { batch, charge }));
        let size = &mut state.sizes[partition as usize];
        size.rows += rows;
        size.bytes += weight.used as u64;
        state.partitions[partition as usize].push(place);
        state.evictable += bytes;
        state.touched = now;
        Ok(())
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.state().sizes.len() as u32
    }

    /// Makes it readable. The sizes of its partitions, and the bytes that are on disk.
    pub(crate) fn finish(&self) -> Result<(Vec<PartitionSize>, u64), Error> {
        let mut state = self.state();
        if state.phase != Phase::Writing {
            return Err(Error::cancelled());
        }
        state.phase = Phase::Finished;
        Ok((state.sizes.clone(), state.spilled))
    }

    pub(crate) fn weight(&self) -> Weight {
        let state = self.state();
        let in_memory = |place: &Place| match place {
            Place::Mem(held) | Place::Spilling(held) => held.charge.bytes(),
            Place::Disk { .. } => 0,
        };
        Weight {
            evictable: state.evictable,
            memory: state.partitions.iter().flatten().map(in_memory).sum(),
            spilled: state.spilled,
            touched: state.touched,
        }
    }

    pub(crate) fn touch(&self, now: u64) {
        self.state().touched = now;
    }

    /// Whether nobody wants it any more but readers that have begun.
    pub(crate) fn is_freed(&self) -> bool {
        self.state().phase == Phase::Freed
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state().phase == Phase::Finished
    }

    /// What is at this place of a finished output. Once begun, reading works on a freed output too.
    pub(crate) fn piece(&self, partition: u32, index: usize, segment: usize) -> Piece {
        let state = self.state();
        match (state.partitions[partition as usize].get(index), &state.file) {
            (None, _) => Piece::NextPartition,
            (Some(Place::Mem(held) | Place::Spilling(held)), _) => Piece::Memory(Arc::clone(held)),
            (Some(Place::Disk { schema, segments }), Some(file)) => match segments.get(segment) {
                Some(segment) => Piece::Disk { file: Arc::clone(file), schema: Arc::clone(schema), segment: *segment },
                None => Piece::NextBlock,
            },
            (Some(Place::Disk { .. }), None) => unreachable!("a block is on disk and there is no file"),
        }
    }

    /// The file for spilled blocks, made when first asked for.
    pub(crate) fn file(&self, make: impl FnOnce() -> Result<SpillFile, Error>) -> Result<Arc<SpillFile>, Error> {
        let mut state = self.state();
        match &state.file {
            Some(file) => Ok(Arc::clone(file)),
            None => {
                let file = Arc::new(make()?);
                state.file = Some(Arc::clone(&file));
                Ok(file)
            }
        }
    }

    /// Picks blocks in memory of at least `want` bytes, if there are so many, for going to disk. Later partitions first:
    /// readers begin with the first.
    pub(crate) fn begin_spill(&self, want: u64) -> Vec<Victim> {
        let mut state = self.state();
        let mut victims = Vec::new();
        let mut bytes = 0;
        if state.phase == Phase::Freed {
            return victims;
        }
        for (partition, blocks) in state.partitions.iter_mut().enumerate().rev() {
            for (index, place) in blocks.iter_mut().enumerate() {
                if bytes >= want {
                    break;
                }
                let Place::Mem(held) = place else { continue };
                let held = Arc::clone(held);
                if held.charge.bytes() == 0 {
                    continue;
                }
                bytes += held.charge.bytes();
                *place = Place::Spilling(Arc::clone(&held));
                victims.push(Victim { partition: partition as u32, index, held });
            }
        }
        state.evictable -= bytes;
        self.budget.sub_evictable(bytes);
        victims
    }

    /// The block is on disk.
    pub(crate) fn end_spill(&self, victim: Victim, segments: Vec<Segment>) {
        let mut state = self.state();
        if state.phase == Phase::Freed {
            return;
        }
        state.spilled += segments.iter().map(Segment::len).sum::<u64>();
        let schema = victim.held.batch.schema();
        state.partitions[victim.partition as usize][victim.index] = Place::Disk { schema, segments };
    }

    /// The block stays in memory after all.
    pub(crate) fn abort_spill(&self, victim: &Victim) {
        let mut state = self.state();
        if state.phase == Phase::Freed {
            return;
        }
        let bytes = victim.held.charge.bytes();
        state.partitions[victim.partition as usize][victim.index] = Place::Mem(Arc::clone(&victim.held));
        state.evictable += bytes;
        self.budget.add_evictable(bytes);
    }

    /// Gone from the store: nothing of it can be evicted any more, and its file leaves the directory.
    pub(crate) fn free(&self) {
        let mut state = self.state();
        state.phase = Phase::Freed;
        self.budget.sub_evictable(std::mem::take(&mut state.evictable));
        if let Some(file) = &state.file {
            file.unlink();
        }
        drop(state);
        self.freed.cancel();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.free();
    }
}

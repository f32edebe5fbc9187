//! Writes the output of one attempt. Small batches are gathered into blocks worth reading; large ones are kept as they
//! are, without a copy. Nothing drags parents of slices along uncounted.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use windrow_common::{AttemptId, Error, PartitionSize};
use windrow_engine::exchange::block::compact::compact;
use windrow_engine::exchange::block::footprint;

use crate::budget::{Budget, Charge, Share};
use crate::output::Output;
use crate::store::Inner;

/// Rows from which on a batch is worth a block of its own.
const BLOCK_ROWS: usize = 8192;
/// Bytes from which on a batch is worth a block of its own.
const BLOCK_BYTES: usize = 1 << 20;
/// Gathered bytes of one writer that are made into blocks early, so that they can be spilled, when memory is short.
const EARLY_BYTES: u64 = 1 << 20;

/// What a finished output holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputSummary {
    /// Rows and used bytes of each partition.
    pub partitions: Vec<PartitionSize>,
    /// Bytes that went to disk while it was written.
    pub spilled_bytes: u64,
}

/// Writes the output of one attempt. Dropped before it is finished, it takes everything back.
#[derive(Debug)]
pub struct OutputWriter {
    store: Arc<Inner>,
    output: Arc<Output>,
    pending: Vec<Pending>,
    charge: Charge,
    finished: bool,
}

/// Small batches of one partition that wait to become a block.
#[derive(Debug, Default)]
struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl OutputWriter {
    pub(crate) fn new(store: Arc<Inner>, output: Arc<Output>) -> Self {
        let pending = (0..output.partitions()).map(|_| Pending::default()).collect();
        let charge = store.budget.charge(Share::Store, 0);
        Self { store, output, pending, charge, finished: false }
    }

    /// Whose output it is.
    pub fn attempt(&self) -> AttemptId {
        self.output.attempt
    }

    /// Adds rows to a partition. Waits for the disk when memory is short. Safe to drop half-way only together with the
    /// writer.
    pub async fn push(&mut self, partition: u32, batch: RecordBatch) -> Result<(), Error> {
        if partition as usize >= self.pending.len() {
            let count = self.pending.len();
            return Err(Error::internal(format!("partition {partition} of an output with {count} was written")));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.add(partition, batch)?;
        self.relieve().await
    }

    /// Makes the output readable.
    pub async fn finish(mut self) -> Result<OutputSummary, Error> {
        self.flush_all()?;
        self.relieve().await?;
        let (partitions, spilled_bytes) = self.output.finish()?;
        self.finished = true;
        Ok(OutputSummary { partitions, spilled_bytes })
    }

    fn add(&mut self, partition: u32, mut batch: RecordBatch) -> Result<(), Error> {
        let mut weight = footprint(&batch);
        if weight.is_wasteful() {
            batch = compact(&batch).map_err(broken)?;
            weight = footprint(&batch);
        }
        if batch.num_rows() >= BLOCK_ROWS || weight.used >= BLOCK_BYTES {
            self.flush(partition)?;
            return self.output.push(partition, batch, weight, self.store.tick());
        }
        let pending = &mut self.pending[partition as usize];
        pending.rows += batch.num_rows();
        pending.bytes += weight.pinned;
        pending.batches.push(batch);
        self.charge.resize(self.charge.bytes() + weight.pinned as u64);
        if pending.rows >= BLOCK_ROWS || pending.bytes >= BLOCK_BYTES {
            self.flush(partition)?;
        }
        Ok(())
    }

    /// Makes the gathered batches of a partition a block.
    fn flush(&mut self, partition: u32) -> Result<(), Error> {
        let Pending { batches, bytes, .. } = std::mem::take(&mut self.pending[partition as usize]);
        let blocks = match batches.as_slice() {
            [] => return Ok(()),
            [_] => batches,
            // Dictionaries of different batches may have too many values for one; then each stays by itself.
            [first, ..] => match concat_batches(first.schema_ref(), &batches) {
                Ok(block) => vec![block],
                Err(_) => batches,
            },
        };
        for block in blocks {
            let weight = footprint(&block);
            self.output.push(partition, block, weight, self.store.tick())?;
        }
        self.charge.resize(self.charge.bytes().saturating_sub(bytes as u64));
        Ok(())
    }

    fn flush_all(&mut self) -> Result<(), Error> {
        (0..self.pending.len() as u32).try_for_each(|partition| self.flush(partition))
    }

    /// Above the limit, sends the coldest outputs to disk; this one's too, gathered rows included.
    async fn relieve(&mut self) -> Result<(), Error> {
        if self.store.budget.above_limit() == 0 {
            return Ok(());
        }
        if self.charge.bytes() >= EARLY_BYTES {
            self.flush_all()?;
        }
        let over = |budget: &Budget| if budget.above_limit() > 0 { budget.above_high_water() } else { 0 };
        self.store.evict_while(over).await
    }
}

impl Drop for OutputWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.store.free(self.output.attempt);
        }
    }
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::internal(format!("a batch could not be compacted: {error}"))
}

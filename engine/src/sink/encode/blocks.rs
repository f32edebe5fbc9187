//! Files of blocks, such as Arrow's and Avro's: rows wait until there are enough for one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use windrow_common::Result;

use super::buffered::BufferedOutput;
use super::pending::Pending;
use super::{FileEncoder, arrow_error, store_error};
use crate::sink::output::StagedOutput;

/// What writes the blocks of one format.
pub(super) trait BlockWriter: Send {
    /// The format, for errors.
    const FORMAT: &'static str;

    /// Writes a block, which has rows.
    fn write(&mut self, block: &RecordBatch, path: &Path) -> Result<()>;

    /// Writes what stands behind the last block.
    fn finish(self, path: &Path) -> Result<BufferedOutput>;
}

/// One file of blocks.
pub(super) struct BlockEncoder<W> {
    writer: W,
    pending: Pending,
    out: Arc<AtomicU64>,
}

impl<W: BlockWriter> BlockEncoder<W> {
    /// A file for rows of this schema in `output`, whose first bytes `begin` writes.
    pub(super) fn begin(
        schema: &SchemaRef,
        output: Box<dyn StagedOutput>,
        begin: impl FnOnce(BufferedOutput) -> Result<W>,
    ) -> Result<Self> {
        let output = BufferedOutput::new(output);
        let out = output.counter();
        Ok(Self { writer: begin(output)?, pending: Pending::new(Arc::clone(schema)), out })
    }

    fn put(&mut self, block: Result<Option<RecordBatch>, ArrowError>, path: &Path) -> Result<()> {
        match block.map_err(|e| arrow_error(W::FORMAT, path, e))? {
            Some(block) if block.num_rows() > 0 => self.writer.write(&block, path),
            _ => Ok(()),
        }
    }
}

impl<W: BlockWriter> FileEncoder for BlockEncoder<W> {
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        let block = self.pending.push(batch.clone());
        self.put(block, path)
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        let block = self.pending.take();
        self.put(block, path)
    }

    fn memory(&self) -> usize {
        self.pending.bytes() + BufferedOutput::MEMORY
    }

    fn size(&self) -> u64 {
        self.out.load(Ordering::Relaxed) + self.pending.bytes() as u64
    }

    fn finish(mut self: Box<Self>, path: &Path) -> Result<u64> {
        self.flush(path)?;
        self.writer.finish(path)?.finish(|e| store_error(path, e))
    }
}

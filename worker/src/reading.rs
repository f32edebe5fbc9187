//! Reads partitions of one finished output, wherever their blocks are: from memory the very same buffers, from disk by
//! blocking threads, one block at a time. Looks where a block is only when it is its turn, so that a slow reader does
//! not keep in memory what could be spilled.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use futures::Stream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windrow_common::{Counted, Error};
use windrow_engine::exchange::block::footprint;

use crate::budget::{Budget, Charge, Share};
use crate::output::{Held, Output, Piece};
use crate::reads::OutputReads;

/// Batches with the partition they belong to, in order. Goes on when the output is freed meanwhile.
#[derive(Debug)]
pub struct OutputStream {
    output: Arc<Output>,
    budget: Budget,
    io: Handle,
    partition: u32,
    end: u32,
    block: usize,
    segment: usize,
    reading: Option<JoinHandle<Result<RecordBatch, Error>>>,
    /// Keeps the last batch counted until the next is asked for.
    last: Last,
    _counted: Counted,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for their drop")]
enum Last {
    None,
    Memory(Arc<Held>),
    Disk(Charge),
}

impl OutputStream {
    pub(crate) fn new(
        output: Arc<Output>,
        partitions: Range<u32>,
        budget: Budget,
        io: Handle,
        counted: Counted,
    ) -> Self {
        let Range { start, end } = partitions;
        let (block, segment, reading, last) = (0, 0, None, Last::None);
        Self { output, budget, io, partition: start, end, block, segment, reading, last, _counted: counted }
    }

    /// How clients' own reading of the output stands.
    pub(crate) fn reads(&self) -> &Arc<OutputReads> {
        &self.output.reads
    }

    /// Is cancelled when a reader should stop that does not outlive the job. With `strict` that is when the output is gone
    /// from the store: it may be undone, and what replaces it be other rows.
    pub(crate) fn over(&self, strict: bool) -> &CancellationToken {
        if strict { &self.output.freed } else { &self.output.forgotten }
    }

    /// The next batch from memory, or the read of one from disk that has been started, or the end.
    fn next_piece(&mut self) -> Option<Result<(u32, RecordBatch), Error>> {
        while self.partition < self.end {
            match self.output.piece(self.partition, self.block, self.segment) {
                Piece::Memory(held) => {
                    self.block += 1;
                    let batch = held.batch.clone();
                    self.last = Last::Memory(held);
                    return Some(Ok((self.partition, batch)));
                }
                Piece::Disk { file, schema, segment } => {
                    self.segment += 1;
                    self.reading = Some(self.io.spawn_blocking(move || file.read(&segment, &schema)));
                    return None;
                }
                Piece::NextBlock => {
                    self.block += 1;
                    self.segment = 0;
                }
                Piece::NextPartition => {
                    self.partition += 1;
                    self.block = 0;
                    self.segment = 0;
                }
            }
        }
        None
    }
}

impl Stream for OutputStream {
    type Item = Result<(u32, RecordBatch), Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.reading.is_none() {
            this.last = Last::None;
            if let Some(item) = this.next_piece() {
                return Poll::Ready(Some(item));
            }
        }
        let Some(reading) = &mut this.reading else { return Poll::Ready(None) };
        let read = std::task::ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let batch = match read {
            Ok(Ok(batch)) => batch,
            Ok(Err(error)) => {
                this.partition = this.end;
                return Poll::Ready(Some(Err(error)));
            }
            Err(error) => {
                this.partition = this.end;
                return Poll::Ready(Some(Err(Error::internal(format!("reading spilled data failed: {error}")))));
            }
        };
        this.last = Last::Disk(this.budget.charge(Share::Fetch, footprint(&batch).pinned as u64));
        Poll::Ready(Some(Ok((this.partition, batch))))
    }
}

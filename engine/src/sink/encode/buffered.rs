//! An output that takes small pieces and hands on large ones, and counts its bytes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windrow_common::Result;

use crate::sink::output::StagedOutput;

/// Bytes that are handed on at once.
const BUFFER_BYTES: usize = 64 << 10;

/// A staged file behind a buffer. Encoders own it; what it counts is seen from outside through [`Self::counter`].
pub(super) struct BufferedOutput {
    output: Box<dyn StagedOutput>,
    buffer: Vec<u8>,
    taken: Arc<AtomicU64>,
}

impl BufferedOutput {
    /// Memory that one takes.
    pub(super) const MEMORY: usize = BUFFER_BYTES;

    pub(super) fn new(output: Box<dyn StagedOutput>) -> Self {
        Self { output, buffer: Vec::with_capacity(BUFFER_BYTES), taken: Arc::default() }
    }

    /// How many bytes have been written to it so far.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }

    /// Ends the file and lets it last. Returns its size in bytes, or what the store says.
    pub(super) fn finish(mut self, failed: impl FnOnce(&io::Error) -> windrow_common::Error) -> Result<u64> {
        self.hand_on().map_err(|e| failed(&e))?;
        self.output.finish()
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Write for BufferedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.hand_on()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.output.write_all(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    /// Small pieces stay in the buffer: encoders flush after each batch, and nobody reads the file before its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

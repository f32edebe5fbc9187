//! Text on its way into a file, compressed as one stream of gzip or zstd, or not.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::write::GzEncoder;
use windrow_common::{Error, Result};

use super::buffered::BufferedOutput;
use super::store_error;
use crate::sink::format::Compression;
use crate::sink::output::StagedOutput;

/// Text that goes to the compressor at once.
const PIECE_BYTES: usize = 64 << 10;
/// Part of its size to which text is assumed to be compressed, before anything has come out.
const ASSUMED_RATIO: f64 = 0.25;
/// Memory of a gzip compressor.
const GZIP_MEMORY: usize = 320 << 10;

enum Stream {
    Plain(BufferedOutput),
    Gzip(Box<GzEncoder<BufferedOutput>>),
    Zstd(zstd::stream::write::Encoder<'static, BufferedOutput>),
}

/// A file of text.
pub(super) struct TextOutput {
    stream: Stream,
    piece: Vec<u8>,
    /// Memory that the stream takes.
    memory: usize,
    /// Bytes that have come out.
    out: Arc<AtomicU64>,
    /// Bytes of text that have gone in.
    fed: u64,
    /// How much had gone in, and had come out, when something came out the last time.
    last: (u64, u64),
}

impl TextOutput {
    pub(super) fn begin(compression: Compression, output: Box<dyn StagedOutput>, path: &Path) -> Result<Self> {
        let output = BufferedOutput::new(output);
        let out = output.counter();
        let (stream, memory) = match compression {
            Compression::None => (Stream::Plain(output), 0),
            Compression::Gzip(level) => {
                (Stream::Gzip(Box::new(GzEncoder::new(output, flate2::Compression::new(level)))), GZIP_MEMORY)
            }
            Compression::Zstd(level) => {
                let encoder = zstd::stream::write::Encoder::new(output, level).map_err(|e| store_error(path, &e))?;
                (Stream::Zstd(encoder), zstd_memory(level))
            }
            other => return Err(Error::internal(format!("text is not compressed with {other:?}"))),
        };
        let memory = memory + BufferedOutput::MEMORY;
        Ok(Self { stream, piece: Vec::with_capacity(PIECE_BYTES), memory, out, fed: 0, last: (0, 0) })
    }

    pub(super) fn memory(&self) -> usize {
        self.memory + self.piece.capacity()
    }

    /// The bytes that have come out, and a guess at what the compressor still holds.
    pub(super) fn size(&self) -> u64 {
        let out = self.out.load(Ordering::Relaxed);
        let (fed, had) = self.last;
        let waiting = self.fed - fed + self.piece.len() as u64;
        let ratio = match self.stream {
            Stream::Plain(_) => 1.0,
            _ if fed == 0 => ASSUMED_RATIO,
            _ => had as f64 / fed as f64,
        };
        out + (waiting as f64 * ratio).ceil() as u64
    }

    /// Hands on what waits, as far as the compressor does not keep it.
    pub(super) fn hand_on(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(output) => output.write_all(&self.piece)?,
            Stream::Gzip(encoder) => encoder.write_all(&self.piece)?,
            Stream::Zstd(encoder) => encoder.write_all(&self.piece)?,
        }
        self.fed += self.piece.len() as u64;
        self.piece.clear();
        let out = self.out.load(Ordering::Relaxed);
        if out > self.last.1 {
            self.last = (self.fed, out);
        }
        Ok(())
    }

    /// Ends the file and lets it last. Returns its size in bytes.
    pub(super) fn finish(mut self, path: &Path) -> Result<u64> {
        let failed = |e: &io::Error| store_error(path, e);
        self.hand_on().map_err(|e| failed(&e))?;
        let output = match self.stream {
            Stream::Plain(output) => output,
            Stream::Gzip(encoder) => encoder.finish().map_err(|e| failed(&e))?,
            Stream::Zstd(encoder) => encoder.finish().map_err(|e| failed(&e))?,
        };
        output.finish(failed)
    }
}

impl Write for TextOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// About what a zstd compressor takes: its window and tables, which grow with the level.
fn zstd_memory(level: i32) -> usize {
    let mib = match level {
        ..=2 => 2,
        3..=5 => 5,
        6..=9 => 16,
        10..=15 => 40,
        16..=18 => 80,
        19 => 96,
        20 => 192,
        21 => 384,
        _ => 768,
    };
    mib << 20
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl StagedOutput for Kept {
        fn finish(self: Box<Self>) -> Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }
    }

    #[test]
    fn sizes_are_about_what_the_file_gets() {
        for compression in [Compression::None, Compression::gzip(), Compression::default()] {
            let kept = Kept::default();
            let mut text = TextOutput::begin(compression, Box::new(kept.clone()), Path::new("x")).unwrap();
            text.write_all(b"a").unwrap();
            assert!(text.size() > 0, "{compression:?}: what waits counts");
            let line = |i: u64| format!("{},{},some words\n", i, i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (0..200_000).for_each(|i| text.write_all(line(i).as_bytes()).unwrap());
            let (guessed, memory) = (text.size(), text.memory());
            let size = text.finish(Path::new("x")).unwrap();
            assert_eq!(size, kept.0.lock().unwrap().len() as u64);
            assert!(guessed.abs_diff(size) < size / 5, "{compression:?}: {guessed} and {size}");
            assert!(memory > PIECE_BYTES);
        }
    }
}

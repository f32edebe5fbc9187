//! Bytes of a file in an object store: large ranged reads, a few in flight while what came is worked on.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use windrow_common::Error;

use crate::error::external;

/// Bytes of one read.
pub const PIECE: u64 = 8 << 20;
/// Bytes of the first read behind the end of a range.
const BEYOND: u64 = 64 << 10;
/// Reads in flight, for one file.
const IN_FLIGHT: usize = 2;

/// A file to read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it lies.
    pub store: Arc<dyn ObjectStore>,
    /// Which file, and how large it was when it was listed.
    pub meta: ObjectMeta,
    /// Its name as people write it.
    pub shown: Arc<str>,
}

impl Source {
    /// A file of which no more is known than its place in the store.
    pub fn new(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Self {
        let shown = format!("/{}", meta.location).into();
        Self { store: Arc::clone(store), meta: meta.clone(), shown }
    }

    /// Bytes of it.
    pub fn size(&self) -> u64 {
        self.meta.size
    }

    /// Exactly these bytes.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        read(&self.store, &self.meta.location, &self.shown, range).await
    }

    /// All bytes from `start` on in order, in pieces of at most the given size; behind `end`, where somebody else's bytes
    /// begin, in small pieces, for few of them are needed.
    pub fn stream(&self, start: u64, end: u64, piece: u64) -> BoxStream<'static, Result<Bytes>> {
        let source = self.clone();
        let reads = Pieces { next: start, end, size: self.size(), piece, beyond: BEYOND }.map(move |range| {
            let source = source.clone();
            async move {
                // A task of its own, so that it goes on while what came before is parsed.
                let task = SpawnedTask::spawn(async move { source.read(range).await });
                task.join_unwind().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
            }
        });
        stream::iter(reads).buffered(IN_FLIGHT).boxed()
    }

    /// What is wrong with the file, with its name.
    pub fn error(&self, text: impl std::fmt::Display) -> DataFusionError {
        external(Error::user(format!("{}: {text}", self.shown)))
    }

    /// An error of a reader, with the file's name, and of the kind that it is.
    pub fn named(&self, error: &DataFusionError) -> DataFusionError {
        let error = crate::error::classify(error);
        if error.message.contains(&*self.shown) { external(error) } else { external(error.context(&self.shown)) }
    }
}

/// The ranges to read one after the other.
struct Pieces {
    next: u64,
    end: u64,
    size: u64,
    piece: u64,
    beyond: u64,
}

impl Iterator for Pieces {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        if self.next >= self.size {
            return None;
        }
        let start = self.next;
        self.next = if start < self.end {
            start.saturating_add(self.piece).min(self.end)
        } else {
            let piece = self.beyond.min(self.piece);
            self.beyond = piece * 2;
            start.saturating_add(piece)
        };
        self.next = self.next.min(self.size);
        Some(start..self.next)
    }
}

async fn read(store: &Arc<dyn ObjectStore>, location: &Path, shown: &str, range: Range<u64>) -> Result<Bytes> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let wanted = range.end - range.start;
    let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..Default::default() };
    let bytes = store.get_opts(location, options).await?.bytes().await?;
    if bytes.len() as u64 != wanted {
        return Err(external(Error::io(format!(
            "{shown}: {} bytes came where {wanted} were asked for, from byte {} on; the file was cut short or changed",
            bytes.len(),
            range.start
        ))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once_and_are_small_behind_the_end() {
        let pieces = |next, end, size, piece| Pieces { next, end, size, piece, beyond: 4 }.collect::<Vec<_>>();
        assert_eq!(pieces(5, 25, 100, 16), [5..21, 21..25, 25..29, 29..37, 37..53, 53..69, 69..85, 85..100]);
        assert_eq!(pieces(0, u64::MAX, 20, 16), [0..16, 16..20]);
        assert!(pieces(20, u64::MAX, 20, 16).is_empty());
    }
}

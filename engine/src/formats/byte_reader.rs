//! Bytes of a file one after the other, as many at a time as a format's framing says, and never more than are there.

use bytes::{Bytes, BytesMut};
use datafusion::error::Result;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::fetch::{PIECE, Source};

/// Reads on from a place in a file.
pub struct ByteReader {
    source: Source,
    stream: BoxStream<'static, Result<Bytes>>,
    /// What came and was not taken.
    ahead: Bytes,
    position: u64,
}

impl ByteReader {
    /// From `start` on; behind `end` little is read ahead.
    pub fn new(source: &Source, start: u64, end: u64) -> Self {
        let stream = source.stream(start, end, PIECE);
        Self { source: source.clone(), stream, ahead: Bytes::new(), position: start }
    }

    /// Where in the file the next byte is.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that are left of the file.
    pub fn left(&self) -> u64 {
        self.source.size().saturating_sub(self.position)
    }

    /// The next bytes, without taking them: so many, or fewer at the file's end.
    pub async fn peek(&mut self, bytes: usize) -> Result<&[u8]> {
        self.fill(bytes).await?;
        Ok(&self.ahead[..bytes.min(self.ahead.len())])
    }

    /// Takes exactly so many bytes; an error that says what they should have been if the file has fewer.
    pub async fn take(&mut self, bytes: u64, what: &str) -> Result<Bytes> {
        if bytes > self.left() {
            return Err(self.source.error(format!(
                "{what} at byte {} should have {bytes} bytes and the file has only {} more; it is cut short or damaged",
                self.position,
                self.left()
            )));
        }
        self.fill(bytes as usize).await?;
        let taken = self.ahead.split_to(bytes as usize);
        self.position += bytes;
        Ok(taken)
    }

    async fn fill(&mut self, bytes: usize) -> Result<()> {
        if self.ahead.len() >= bytes {
            return Ok(());
        }
        let mut filled = BytesMut::from(self.ahead.as_ref());
        while filled.len() < bytes {
            let Some(piece) = self.stream.try_next().await? else { break };
            filled.extend_from_slice(&piece);
        }
        self.ahead = filled.freeze();
        Ok(())
    }
}

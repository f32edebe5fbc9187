//! The text of a file, from its bytes: decompressed and in UTF-8, in pieces.

use bytes::Bytes;
use datafusion::error::Result;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::formats::compression::{Compression, Decompressor};
use crate::formats::encoding::{self, Transcoder};
use crate::formats::fetch::Source;

/// A byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A file with text in it.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// The file.
    pub source: Source,
    /// How it is compressed.
    pub compression: Compression,
    /// How its letters are written.
    pub encoding: String,
}

impl TextFile {
    /// Bytes of the longest mark before a text.
    pub const LONGEST_MARK: u64 = MARK.len() as u64;

    /// Whether its bytes are its text.
    pub fn is_plain(&self) -> bool {
        self.compression == Compression::None && encoding::is_utf8(&self.encoding)
    }

    /// Its text from a byte on, no more than so many bytes of the file at once, and few of them behind `end`. Only plain
    /// files can be read from anywhere but their beginning.
    pub fn text(&self, from: u64, end: u64, piece: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let bytes = self.source.stream(from, end, piece);
        if self.is_plain() {
            return Ok(bytes);
        }
        let text = match self.compression {
            Compression::None => bytes,
            compression => self.decompressed(bytes, Decompressor::new(compression)?),
        };
        if encoding::is_utf8(&self.encoding) { Ok(text) } else { Ok(transcoded(text, Transcoder::new(&self.encoding))) }
    }

    fn decompressed(
        &self,
        bytes: BoxStream<'static, Result<Bytes>>,
        decoder: Decompressor,
    ) -> BoxStream<'static, Result<Bytes>> {
        let (source, name) = (self.source.clone(), self.compression.name());
        let step = move |(mut bytes, mut decoder): (BoxStream<'static, Result<Bytes>>, Decompressor)| {
            let source = source.clone();
            async move {
                loop {
                    match decoder.read() {
                        Ok(Some(text)) if text.is_empty() => return Ok(None),
                        Ok(Some(text)) => return Ok(Some((text, (bytes, decoder)))),
                        Ok(None) => decoder.put(bytes.try_next().await?),
                        Err(error) => {
                            return Err(source.error(format!("it is not whole, or not {name}: {error}")));
                        }
                    }
                }
            }
        };
        stream::try_unfold((bytes, decoder), step).boxed()
    }

    /// Bytes at the beginning of the text that are not part of it.
    pub fn mark(text: &[u8]) -> usize {
        if text.starts_with(MARK) { MARK.len() } else { 0 }
    }
}

fn transcoded(text: BoxStream<'static, Result<Bytes>>, transcoder: Transcoder) -> BoxStream<'static, Result<Bytes>> {
    let state = Some((text, transcoder));
    let step = |state: Option<(BoxStream<'static, Result<Bytes>>, Transcoder)>| async move {
        let Some((mut text, mut transcoder)) = state else { return Ok(None) };
        Ok(match text.try_next().await? {
            Some(bytes) => Some((transcoder.decode(&bytes, false), Some((text, transcoder)))),
            None => Some((transcoder.decode(&[], true), None)),
        })
    };
    stream::try_unfold(state, step).boxed()
}

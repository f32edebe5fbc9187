//! The blocks of an Avro file that begin in a range of it.

use std::ops::Range;

use bytes::Bytes;
use datafusion::error::Result;
use memchr::memmem;

use super::codec::MAX_BLOCK;
use super::header::{Header, MARK};
use super::shape::number;
use crate::formats::byte_reader::ByteReader;
use crate::formats::fetch::Source;

/// Bytes that are searched for a mark at once.
const WINDOW: usize = 1 << 20;
/// Bytes of a block's two numbers, at most.
const NUMBERS: usize = 20;

/// Reads blocks.
pub struct Blocks {
    source: Source,
    bytes: ByteReader,
    mark: [u8; MARK],
    end: u64,
}

/// A block, checked.
#[derive(Debug)]
pub struct Block {
    /// Where it begins.
    pub at: u64,
    /// How many records it has.
    pub records: usize,
    /// They.
    pub data: Bytes,
}

impl Blocks {
    /// The blocks that begin in the range.
    pub async fn new(source: &Source, header: &Header, range: Range<u64>) -> Result<Self> {
        let first = range.start <= header.length;
        // A block that begins with the range has its mark before.
        let start = if first { header.length } else { range.start - MARK as u64 };
        let bytes = ByteReader::new(source, start, range.end);
        let mut blocks = Self { source: source.clone(), bytes, mark: header.mark, end: range.end };
        if !first {
            blocks.find_mark().await?;
        }
        Ok(blocks)
    }

    async fn find_mark(&mut self) -> Result<()> {
        loop {
            let window = self.bytes.peek(WINDOW).await?;
            let length = window.len();
            match memmem::find(window, &self.mark) {
                Some(at) => {
                    self.bytes.take((at + MARK) as u64, "a block").await?;
                    return Ok(());
                }
                None if self.bytes.position() >= self.end || length < WINDOW => {
                    // No block begins in the range.
                    let left = self.bytes.left();
                    self.end = self.end.min(self.bytes.position());
                    self.bytes.take(left.min(length as u64), "a block").await?;
                    return Ok(());
                }
                None => {
                    self.bytes.take((length - MARK + 1) as u64, "a block").await?;
                }
            }
        }
    }

    /// The next block.
    pub async fn next(&mut self, header: &Header) -> Result<Option<Block>> {
        let at = self.bytes.position();
        if at >= self.end || self.bytes.left() == 0 {
            return Ok(None);
        }
        let wrong = |source: &Source, text: String| source.error(format!("the block at byte {at}: {text}"));
        let head = self.bytes.peek(NUMBERS).await?;
        let mut rest = head;
        let numbers = number(&mut rest).zip(number(&mut rest));
        let numbers = numbers.and_then(|(records, length)| {
            Some((usize::try_from(records).ok()?, usize::try_from(length).ok().filter(|length| *length <= MAX_BLOCK)?))
        });
        let read = head.len() - rest.len();
        let Some((records, length)) = numbers else {
            return Err(wrong(&self.source, "it claims an impossible number of records or bytes".into()));
        };
        self.bytes.take(read as u64, "a block").await?;
        let data = self.bytes.take(length as u64, "a block").await?;
        let mark = self.bytes.take(MARK as u64, "the mark behind a block").await?;
        if mark != self.mark.as_slice() {
            return Err(wrong(&self.source, "the mark behind it is not the file's; the file is damaged".into()));
        }
        let data = header.codec.decompress(data).map_err(|text| wrong(&self.source, text))?;
        header.shapes.check(&data, records).map_err(|text| wrong(&self.source, text))?;
        Ok(Some(Block { at, records, data }))
    }
}

//! The header of an Avro file: its schema, how its blocks are compressed, and the mark between them.

use arrow_avro::compression::CODEC_METADATA_KEY;
use arrow_avro::schema::SCHEMA_METADATA_KEY;
use datafusion::error::Result;

use super::codec::Codec;
use super::shape::{Shapes, number};
use crate::formats::fetch::Source;

/// At a file's beginning.
const MAGIC: &[u8; 4] = b"Obj\x01";
/// Bytes of a mark between blocks.
pub const MARK: usize = 16;
/// Bytes of a header that are read first; then twice as many, and so on.
const FIRST: u64 = 64 << 10;
/// Bytes of the longest header.
const MOST: u64 = 64 << 20;

/// What a header says.
#[derive(Clone, Debug)]
pub struct Header {
    /// The schema, as it is written.
    pub schema: Vec<u8>,
    /// Where records end.
    pub shapes: Shapes,
    /// The compression of blocks.
    pub codec: Codec,
    /// Behind every block, and behind the header.
    pub mark: [u8; MARK],
    /// Where the first block begins.
    pub length: u64,
}

/// Reads a file's header.
pub async fn read_header(source: &Source) -> Result<Header> {
    let mut length = FIRST.min(source.size());
    loop {
        let bytes = source.read(0..length).await?;
        match parse(&bytes).map_err(|wrong| source.error(wrong))? {
            Some(header) => return Ok(header),
            None if length == source.size() => return Err(source.error("its header is cut short or damaged")),
            None if length >= MOST => return Err(source.error(format!("its header is longer than {MOST} bytes"))),
            None => length = (length * 2).min(source.size()),
        }
    }
}

/// Parses a header; none if it does not end with these bytes.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, String> {
    if !bytes.starts_with(MAGIC) && !MAGIC.starts_with(bytes) || bytes.is_empty() {
        return Err("it is not an Avro file: it does not begin as one".into());
    }
    let mut rest = bytes.get(MAGIC.len()..).unwrap_or_default();
    let (mut schema, mut codec) = (None, Codec::Null);
    loop {
        let Some(entries) = long(&mut rest)? else { return Ok(None) };
        if entries == 0 {
            break;
        }
        // Bytes of the entries, for those who skip them.
        if entries < 0 && long(&mut rest)?.is_none() {
            return Ok(None);
        }
        for _ in 0..entries.unsigned_abs() {
            let (Some(key), Some(value)) = (text(&mut rest)?, text(&mut rest)?) else { return Ok(None) };
            if key == SCHEMA_METADATA_KEY.as_bytes() {
                schema = Some(value.to_vec());
            } else if key == CODEC_METADATA_KEY.as_bytes() {
                codec = Codec::by_name(value)?;
            }
        }
    }
    let Some(mark) = rest.first_chunk::<MARK>() else { return Ok(None) };
    let schema = schema.ok_or("its header has no schema")?;
    let shapes = Shapes::parse(&schema)?;
    Ok(Some(Header { schema, shapes, codec, mark: *mark, length: (bytes.len() - rest.len() + MARK) as u64 }))
}

/// A number; none if the bytes end before it does.
fn long(rest: &mut &[u8]) -> Result<Option<i64>, String> {
    let found = number(rest);
    if found.is_none() && rest.len() >= 10 { Err("a number in its header is damaged".into()) } else { Ok(found) }
}

/// A text; none if the bytes end before it does.
fn text<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let Some(length) = long(rest)? else { return Ok(None) };
    let length = u64::try_from(length).ok().filter(|length| *length <= MOST);
    let length = length.ok_or("its header claims a text of an impossible length")? as usize;
    let found = rest.get(..length);
    if found.is_some() {
        *rest = &rest[length..];
    }
    Ok(found)
}

/// A number as Avro writes it.
pub fn write_number(number: i64, into: &mut Vec<u8>) {
    let mut left = ((number << 1) ^ (number >> 63)) as u64;
    while left >= 0x80 {
        into.push(left as u8 | 0x80);
        left >>= 7;
    }
    into.push(left as u8);
}

impl Header {
    /// The header of the same file without compression.
    pub fn uncompressed(&self) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        write_number(1, &mut header);
        for text in [SCHEMA_METADATA_KEY.as_bytes(), &self.schema] {
            write_number(text.len() as i64, &mut header);
            header.extend_from_slice(text);
        }
        write_number(0, &mut header);
        header.extend_from_slice(&self.mark);
        header
    }
}

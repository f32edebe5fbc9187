//! The footer of an Arrow IPC file: the columns, and where the batches are.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow_ipc::{Block, MetadataVersion, root_as_footer};
use datafusion::error::Result;

use super::check::{MAX_BODY, MAX_METADATA, schema};
use crate::formats::fetch::Source;

/// At the beginning and the end of a file; a stream does not have it.
pub const MAGIC: &[u8; 6] = b"ARROW1";
/// The mark at a file's beginning, filled up.
const HEAD: u64 = 8;
/// The length of the footer and the mark.
const TAIL: u64 = 10;

/// What a footer says.
#[derive(Clone, Debug)]
pub struct Footer {
    /// The columns.
    pub schema: SchemaRef,
    /// The version of its messages.
    pub version: MetadataVersion,
    /// Where dictionaries are, in the order in which they are needed.
    pub dictionaries: Vec<Block>,
    /// Where batches are.
    pub batches: Vec<Block>,
}

/// Reads the footer of a file that begins with [`MAGIC`].
pub async fn read_footer(source: &Source) -> Result<Footer> {
    let size = source.size();
    let cut = || source.error("it begins as an Arrow file and does not end as one; it is cut short or damaged");
    if size < HEAD + TAIL {
        return Err(cut());
    }
    let tail = source.read(size - TAIL..size).await?;
    let ended = tail.split_first_chunk::<4>().filter(|(_, mark)| mark == MAGIC);
    let Some((length, _)) = ended else { return Err(cut()) };
    let length = i64::from(i32::from_le_bytes(*length));
    let end = size - TAIL;
    let fits = u64::try_from(length).ok().filter(|length| *length <= (end - HEAD).min(MAX_METADATA));
    let Some(length) = fits else {
        return Err(source.error(format!("it claims a footer of {length} bytes and has {size} in all")));
    };
    let start = end - length;
    let bytes = source.read(start..end).await?;
    parse(&bytes, start).map_err(|wrong| source.error(wrong))
}

/// Parses a footer that begins at byte `start` of its file.
pub fn parse(bytes: &[u8], start: u64) -> Result<Footer, String> {
    let footer = root_as_footer(bytes).map_err(|error| format!("its footer is damaged: {error}"))?;
    let schema = Arc::new(schema(footer.schema().ok_or("its footer has no schema")?)?);
    let dictionaries = footer.dictionaries().into_iter().flatten().copied();
    let batches = footer.recordBatches().into_iter().flatten().copied();
    let check = |block: Block| check_block(&block, start).map(|()| block);
    Ok(Footer {
        schema,
        version: footer.version(),
        dictionaries: dictionaries.map(check).collect::<Result<_, _>>()?,
        batches: batches.map(check).collect::<Result<_, _>>()?,
    })
}

fn check_block(block: &Block, start: u64) -> Result<(), String> {
    let length = u64::try_from(block.metaDataLength()).ok().zip(u64::try_from(block.bodyLength()).ok());
    let fits = length.zip(u64::try_from(block.offset()).ok()).is_some_and(|((metadata, body), offset)| {
        let end = offset.saturating_add(metadata).saturating_add(body);
        (8..=MAX_METADATA).contains(&metadata) && body <= MAX_BODY && offset >= HEAD && end <= start
    });
    if fits {
        return Ok(());
    }
    Err(format!(
        "its footer claims a batch of {} and {} bytes at byte {}, and the footer itself is at {start}",
        block.metaDataLength(),
        block.bodyLength(),
        block.offset()
    ))
}

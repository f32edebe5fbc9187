//! What a message claims of its body, compared with what is there, before arrow-ipc takes it at its word: it slices
//! buffers where it is told to and makes room for what is said to come out of decompression.

use arrow::datatypes::Schema;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::{MessageHeader, RecordBatch, root_as_message};

use crate::formats::guarded::guarded;

/// Bytes of a message's description, and of a footer.
pub const MAX_METADATA: u64 = 256 << 20;
/// Bytes of a message's body.
pub const MAX_BODY: u64 = 2 << 30;
/// Bytes that the buffers of one batch may have together once they are decompressed.
const MAX_DECOMPRESSED: i64 = 2 << 30;
/// Rows of a batch.
const MAX_ROWS: i64 = 1 << 31;
/// What comes before a message's length, unless the message is of an old version.
pub const CONTINUATION: [u8; 4] = [0xff; 4];
/// Stands in place of a length for a buffer that is not compressed after all.
const NOT_COMPRESSED: i64 = -1;

/// Bytes before the description: the mark and the length, or the length alone.
pub fn prefix(message: &[u8]) -> usize {
    if message.starts_with(&CONTINUATION) { 8 } else { 4 }
}

/// Checks a message: `metadata` begins with its length, `body` is all of its body.
pub fn check_message(metadata: &[u8], body: &[u8]) -> Result<(), String> {
    let description = metadata.get(prefix(metadata)..).ok_or("a message is shorter than its length")?;
    let message = root_as_message(description).map_err(|error| format!("a message is damaged: {error}"))?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().ok_or("a dictionary has no content")?.data()
        }
        _ => return Ok(()),
    };
    check_batch(&batch.ok_or("a batch has no content")?, body)
}

fn check_batch(batch: &RecordBatch<'_>, body: &[u8]) -> Result<(), String> {
    if !(0..=MAX_ROWS).contains(&batch.length()) {
        return Err(format!("a batch claims {} rows", batch.length()));
    }
    for node in batch.nodes().into_iter().flatten() {
        let nulls = 0..=node.length();
        if node.length() > MAX_ROWS || !nulls.contains(&node.null_count()) {
            return Err(format!("a column claims {} values and {} nulls", node.length(), node.null_count()));
        }
    }
    let compressed = batch.compression().is_some();
    let mut decompressed = 0_i64;
    for buffer in batch.buffers().into_iter().flatten() {
        let bounds = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let content = bounds.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?));
        let Some(content) = content else {
            let (offset, length) = (buffer.offset(), buffer.length());
            return Err(format!("a buffer claims {length} bytes at {offset} in a body of {}", body.len()));
        };
        if !compressed || content.is_empty() {
            continue;
        }
        let claim = content.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes));
        let claim = claim.filter(|claim| *claim >= NOT_COMPRESSED).ok_or("a compressed buffer has no length")?;
        decompressed = decompressed.saturating_add(claim.max(0));
        if decompressed > MAX_DECOMPRESSED {
            return Err(format!("a batch claims more than {MAX_DECOMPRESSED} bytes once it is decompressed"));
        }
    }
    Ok(())
}

/// The columns that a schema message or a footer describes.
pub fn schema(described: arrow_ipc::Schema<'_>) -> Result<Schema, String> {
    if described.fields().is_none() {
        return Err("its schema has no columns".into());
    }
    if described.endianness() != arrow_ipc::Endianness::Little {
        return Err("it is of a machine with another order of bytes (big endian), which is not read".into());
    }
    // A type that arrow-ipc does not know makes it panic.
    guarded(|| fb_to_schema(described))
}

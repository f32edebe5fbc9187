//! An Arrow IPC stream: messages one after the other, and an end mark. Without the mark nobody can tell a stream that is
//! whole from one that was cut off between two messages, so it must be there.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, MessageHeader, MetadataVersion, root_as_message};
use bytes::{Bytes, BytesMut};
use datafusion::error::Result;

use super::check::{CONTINUATION, MAX_BODY, MAX_METADATA, check_message, prefix, schema};
use crate::formats::byte_reader::ByteReader;
use crate::formats::fetch::Source;
use crate::formats::guarded::guarded;

/// A message, with what comes before it.
#[derive(Debug)]
pub struct Message {
    /// Where it begins.
    pub at: u64,
    /// What it is.
    pub header: MessageHeader,
    /// The version of its description.
    pub version: MetadataVersion,
    /// Its length, its description, its body.
    pub bytes: Bytes,
    /// How long length and description are.
    pub metadata: usize,
}

/// Reads messages.
pub struct Messages {
    source: Source,
    bytes: ByteReader,
}

impl Messages {
    /// From the beginning of a file.
    pub fn new(source: &Source) -> Self {
        Self { source: source.clone(), bytes: ByteReader::new(source, 0, u64::MAX) }
    }

    /// The next message; none at the end mark.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        let at = self.bytes.position();
        if self.bytes.left() == 0 {
            return Err(self.source.error("it is a stream without an end mark; it may have been cut off"));
        }
        let mut length = self.bytes.take(4, "the length of a message").await?;
        let mut all = BytesMut::from(length.as_ref());
        if length == CONTINUATION.as_slice() {
            length = self.bytes.take(4, "the length of a message").await?;
            all.extend_from_slice(&length);
        }
        let length = length.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        if length == 0 {
            return Ok(None);
        }
        if u64::from(length) > MAX_METADATA {
            return Err(self.source.error(format!("it is not an Arrow file or stream, or damaged at byte {at}")));
        }
        all.extend_from_slice(&self.bytes.take(u64::from(length), "the description of a message").await?);
        let metadata = all.len();
        let (header, version, body) = {
            let message = root_as_message(&all[prefix(&all)..])
                .map_err(|e| self.source.error(format!("the message at byte {at} is damaged: {e}")))?;
            (message.header_type(), message.version(), message.bodyLength())
        };
        let body = u64::try_from(body).ok().filter(|body| *body <= MAX_BODY);
        let body =
            body.ok_or_else(|| self.source.error(format!("the message at byte {at} claims an impossible length")))?;
        let body = self.bytes.take(body, "the body of a message").await?;
        let wrong = |wrong| self.source.error(format!("the message at byte {at}: {wrong}"));
        check_message(&all, &body).map_err(wrong)?;
        all.extend_from_slice(&body);
        Ok(Some(Message { at, header, version, bytes: all.freeze(), metadata }))
    }

    /// The first message, which has to describe the columns.
    pub async fn schema(&mut self) -> Result<(SchemaRef, MetadataVersion)> {
        let wrong = |text: &str| self.source.error(text);
        let none = wrong("it has no schema");
        let other = wrong("it does not begin with a schema");
        let message = self.next().await?.ok_or(none)?;
        let parsed = match root_as_message(&message.bytes[prefix(&message.bytes)..message.metadata]) {
            Ok(parsed) => parsed.header_as_schema().map(schema),
            Err(_) => None,
        };
        let parsed: Schema = parsed.ok_or(other)?.map_err(|wrong| self.source.error(wrong))?;
        Ok((Arc::new(parsed), message.version))
    }
}

/// A batch, if the message is one; dictionaries are kept by the decoder.
pub fn decode(decoder: &mut FileDecoder, message: &Message) -> Result<Option<RecordBatch>, String> {
    let body = message.bytes.len() - message.metadata;
    let block = Block::new(0, message.metadata as i32, body as i64);
    let buffer = Buffer::from(message.bytes.clone());
    let decoded = guarded(|| match message.header {
        MessageHeader::DictionaryBatch => decoder.read_dictionary(&block, &buffer).map(|()| None),
        _ => decoder.read_record_batch(&block, &buffer),
    })?;
    decoded.map_err(|error| error.to_string())
}

//! The unit that travels: one record batch as bytes, the same on the wire and on disk.
//!
//! A block is an Arrow IPC record batch message (flatbuffer header, then the buffers) without the schema, which both
//! ends know. Types with dictionaries need more than one message: their blocks have an empty header and a small complete
//! IPC stream as body. A checksum (CRC32C) covers header and body.
//!
//! Owned here: encoding, decoding, checksums and the splitting of large batches. Not here: where bytes go. What batches
//! weigh and how waste is cut away is `compact`; how types are compared across processes is `layout`.

pub mod compact;
mod layout;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow_ipc::reader::{RecordBatchDecoder, StreamReader};
use arrow_ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_ipc::{CompressionType, MessageHeader};
use bytes::Bytes;
use windrow_common::{Error, limits};

pub use compact::{Footprint, footprint};
pub use layout::layout;

/// Bytes before an IPC message: continuation marker and length of the header.
const IPC_PREFIX: usize = 8;

/// How the buffers of a block are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they lie in memory.
    #[default]
    None,
    /// LZ4 frames, buffer by buffer; those that do not shrink stay as they are.
    Lz4,
}

/// What is wrong with a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The batch has a type that Arrow IPC cannot carry, or is broken in itself.
    #[error("a batch could not be encoded as Arrow IPC: {0}")]
    Encode(ArrowError),
    /// One row, or one buffer that cannot be divided, is larger than a message may be.
    #[error("one block of {bytes} bytes exceeds the limit of {limit} bytes for a message (MAX_MESSAGE_BYTES)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not those that were written.
    #[error("checksum mismatch: CRC32C {found:08x}, expected {expected:08x}")]
    Checksum {
        /// As written.
        expected: u32,
        /// As found.
        found: u32,
    },
    /// The bytes are no block of these types.
    #[error("not a block of the expected types: {0}")]
    Malformed(String),
}

impl From<BlockError> for Error {
    fn from(error: BlockError) -> Self {
        let message = error.to_string();
        match error {
            BlockError::TooLarge { .. } => Error::new(windrow_common::ErrorKind::Limit, message),
            BlockError::Encode(_) | BlockError::Malformed(_) => Error::internal(message),
            BlockError::Checksum { .. } => Error::io(message),
        }
    }
}

/// One batch as bytes.
#[derive(Clone, Debug)]
pub struct Block {
    /// Rows of the batch.
    pub rows: u64,
    /// The flatbuffer of the IPC message; empty when the body is a whole IPC stream.
    pub header: Bytes,
    /// The buffers, each padded to 64 bytes.
    pub body: Bytes,
    /// CRC32C over header and body.
    pub crc: u32,
}

impl Block {
    /// Bytes of header and body.
    pub fn len(&self) -> usize {
        self.header.len() + self.body.len()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// CRC32C over a block's header and body.
pub fn checksum(header: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), body)
}

/// Encodes batches of one schema. Computes: not for an I/O runtime.
pub struct BlockEncoder {
    schema: SchemaRef,
    options: IpcWriteOptions,
    form: Form,
}

enum Form {
    /// Messages of one stream, whose schema message has already been taken out.
    Message(Box<StreamEncoder>),
    /// Each block a stream of its own.
    Stream,
}

impl BlockEncoder {
    /// An encoder for batches of this schema.
    pub fn new(schema: &SchemaRef, compression: Compression) -> Result<Self, BlockError> {
        let codec = match compression {
            Compression::None => None,
            Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
        };
        let options = IpcWriteOptions::default().try_with_compression(codec).map_err(BlockError::Encode)?;
        let form = if schema.fields().iter().any(|f| has_dictionary(f.data_type())) {
            Form::Stream
        } else {
            let mut encoder =
                StreamEncoder::try_new_with_options(schema, options.clone()).map_err(BlockError::Encode)?;
            encoder.encode(&RecordBatch::new_empty(Arc::clone(schema))).map_err(BlockError::Encode)?;
            Form::Message(Box::new(encoder))
        };
        Ok(Self { schema: Arc::clone(schema), options, form })
    }

    /// The schema given.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batch as one block. Parents of slices and unused string data are left behind.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Block, BlockError> {
        let batch = compact::for_encoding(batch).map_err(BlockError::Encode)?;
        let (header, body) = match &mut self.form {
            Form::Message(encoder) => split_message(&encoder.encode(&batch).map_err(BlockError::Encode)?)?,
            Form::Stream => (Bytes::new(), whole_stream(&self.schema, &self.options, &batch)?),
        };
        let bytes = header.len() + body.len();
        let limit = limits::MAX_MESSAGE_BYTES - MESSAGE_SLACK;
        if bytes > limit {
            return Err(BlockError::TooLarge { bytes, limit });
        }
        Ok(Block { rows: batch.num_rows() as u64, crc: checksum(&header, &body), header, body })
    }
}

/// Room for the other fields of a message that carries a block.
const MESSAGE_SLACK: usize = 1 << 10;

/// Divides an encapsulated IPC message, given as buffers in order, into its header and its body.
fn split_message(parts: &[Buffer]) -> Result<(Bytes, Bytes), BlockError> {
    let odd = || BlockError::Encode(ArrowError::IpcError("the encoder's message has an unknown form".to_owned()));
    let (prefix, rest) = parts.split_first().ok_or_else(odd)?;
    let (header, rest) = rest.split_first().ok_or_else(odd)?;
    let length: [u8; 4] =
        prefix.as_slice().get(4..IPC_PREFIX).and_then(|bytes| bytes.try_into().ok()).ok_or_else(odd)?;
    let mut padding = (u32::from_le_bytes(length) as usize).checked_sub(header.len()).ok_or_else(odd)?;
    let total: usize = rest.iter().map(Buffer::len).sum();
    let mut body = Vec::with_capacity(total.checked_sub(padding).ok_or_else(odd)?);
    for part in rest {
        let skip = padding.min(part.len());
        padding -= skip;
        body.extend_from_slice(&part.as_slice()[skip..]);
    }
    Ok((Bytes::copy_from_slice(header), Bytes::from(body)))
}

fn whole_stream(schema: &SchemaRef, options: &IpcWriteOptions, batch: &RecordBatch) -> Result<Bytes, BlockError> {
    let mut encoder = StreamEncoder::try_new_with_options(schema, options.clone()).map_err(BlockError::Encode)?;
    let mut parts = encoder.encode(batch).map_err(BlockError::Encode)?;
    parts.extend(encoder.finish().map_err(BlockError::Encode)?);
    let mut bytes = Vec::with_capacity(parts.iter().map(Buffer::len).sum());
    for part in parts {
        bytes.extend_from_slice(&part);
    }
    Ok(Bytes::from(bytes))
}

/// The batch of a block whose bytes lie anywhere: checks the sum, copies the body once, into aligned memory.
pub fn decode(schema: &SchemaRef, block: &Block) -> Result<RecordBatch, BlockError> {
    check(block.crc, &block.header, &block.body)?;
    let body = if block.header.is_empty() { Body::Stream(&block.body) } else { Body::Message(aligned(&block.body)) };
    decode_body(schema, block.rows, &block.header, body)
}

/// The batch of a block whose body has been read into aligned memory; the arrays point into it.
pub fn decode_in_place(
    schema: &SchemaRef,
    rows: u64,
    header: &[u8],
    body: Buffer,
    crc: u32,
) -> Result<RecordBatch, BlockError> {
    check(crc, header, &body)?;
    let body = if header.is_empty() { Body::Stream(&body) } else { Body::Message(body.clone()) };
    decode_body(schema, rows, header, body)
}

/// These bytes in memory aligned as Arrow wants it.
pub fn aligned(bytes: &[u8]) -> Buffer {
    let mut copy = MutableBuffer::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    copy.into()
}

enum Body<'a> {
    Message(Buffer),
    Stream(&'a [u8]),
}

fn check(expected: u32, header: &[u8], body: &[u8]) -> Result<(), BlockError> {
    let found = checksum(header, body);
    if found == expected { Ok(()) } else { Err(BlockError::Checksum { expected, found }) }
}

/// Arrow's reader asserts some of what a hostile peer could get wrong; an unwind is one more malformed block.
fn decode_body(schema: &SchemaRef, rows: u64, header: &[u8], body: Body<'_>) -> Result<RecordBatch, BlockError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| match body {
        Body::Message(body) => decode_message(schema, header, &body),
        Body::Stream(bytes) => decode_stream(bytes),
    }))
    .unwrap_or_else(|_| Err(ArrowError::IpcError("the reader gave up on it".to_owned())));
    let batch = decoded.map_err(|e| BlockError::Malformed(e.to_string()))?;
    if batch.num_rows() as u64 != rows {
        return Err(BlockError::Malformed(format!("{} rows instead of {rows}", batch.num_rows())));
    }
    conform(batch, schema)
}

fn decode_message(schema: &SchemaRef, header: &[u8], body: &Buffer) -> Result<RecordBatch, ArrowError> {
    let message = arrow_ipc::root_as_message(header).map_err(|e| ArrowError::IpcError(e.to_string()))?;
    if message.header_type() != MessageHeader::RecordBatch {
        return Err(ArrowError::IpcError(format!("a {:?} message", message.header_type())));
    }
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| ArrowError::IpcError("a message without a record batch".to_owned()))?;
    for buffer in batch.buffers().iter().flatten() {
        let end = buffer.offset().checked_add(buffer.length());
        if buffer.offset() < 0 || buffer.length() < 0 || end.is_none_or(|end| end as u64 > body.len() as u64) {
            return Err(ArrowError::IpcError("a buffer beyond the end of the body".to_owned()));
        }
    }
    let dictionaries = Default::default();
    RecordBatchDecoder::try_new(body, batch, Arc::clone(schema), &dictionaries, &message.version())?.read_record_batch()
}

fn decode_stream(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let batch = reader.next().ok_or_else(|| ArrowError::IpcError("an empty stream".to_owned()))??;
    match reader.next() {
        None => Ok(batch),
        Some(_) => Err(ArrowError::IpcError("more than one batch".to_owned())),
    }
}

/// The batches of a complete IPC stream, such as rides in a report, given the schema that the reader expects.
pub fn decode_inline(schema: &SchemaRef, stream: &[u8]) -> Result<Vec<RecordBatch>, BlockError> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut reader = StreamReader::try_new(Cursor::new(stream), None).map_err(malformed)?;
        let mut batches = Vec::new();
        for batch in reader.by_ref() {
            batches.push(conform(batch.map_err(malformed)?, schema)?);
        }
        Ok(batches)
    }))
    .unwrap_or_else(|_| Err(BlockError::Malformed("the reader gave up on it".to_owned())))
}

/// Batches as one complete IPC stream, such as rides in a report.
pub fn encode_inline(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, BlockError> {
    let mut encoder = StreamEncoder::try_new(schema).map_err(BlockError::Encode)?;
    let mut bytes = Vec::new();
    for batch in batches {
        let batch = compact::for_encoding(batch).map_err(BlockError::Encode)?;
        for part in encoder.encode(&batch).map_err(BlockError::Encode)? {
            bytes.extend_from_slice(&part);
        }
    }
    for part in encoder.finish().map_err(BlockError::Encode)? {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn malformed(error: ArrowError) -> BlockError {
    BlockError::Malformed(error.to_string())
}

/// The same columns under the reader's schema: names, metadata and nullability are the plan's, not the producer's.
pub fn conform(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, BlockError> {
    if Arc::ptr_eq(batch.schema_ref(), schema) || batch.schema_ref() == schema {
        return Ok(batch);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options).map_err(malformed)
}

/// The batch in runs of rows that take about `max_bytes` each; whole when it is not larger. Never copies.
pub fn split(batch: &RecordBatch, max_bytes: usize) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    let parts = footprint(batch).used.div_ceil(max_bytes.max(1)).clamp(1, rows.max(1));
    let step = rows.div_ceil(parts).max(1);
    (0..rows.max(1))
        .step_by(step)
        .map(move |start| if step >= rows { batch.clone() } else { batch.slice(start, step.min(rows - start)) })
}

fn has_dictionary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(_, _)) || compact::children(data_type).any(has_dictionary)
}

//! arrow-avro's reader, given blocks when it asks for them.

use std::io::{BufRead, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_avro::reader::{Reader, ReaderBuilder};
use bytes::{Buf, Bytes};

use super::blocks::Block;
use super::header::{Header, write_number};
use crate::formats::guarded::guarded;

/// What is to be read next.
#[derive(Clone, Debug, Default)]
struct Feed {
    shared: Arc<Mutex<Fed>>,
    current: Bytes,
}

#[derive(Debug, Default)]
struct Fed {
    bytes: Bytes,
    /// Blocks will come. Before, and at the end, there is nothing more to wait for.
    open: bool,
    asked: bool,
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.fill_buf()?.len().min(into.len());
        self.current.copy_to_slice(&mut into[..bytes]);
        Ok(bytes)
    }
}

impl BufRead for Feed {
    /// Says `WouldBlock` when there is nothing yet; the reader hands that on and keeps its rows.
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.current.is_empty() {
            let mut fed = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            self.current = std::mem::take(&mut fed.bytes);
            if self.current.is_empty() && fed.open {
                fed.asked = true;
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, bytes: usize) {
        self.current.advance(bytes);
    }
}

/// Makes batches of blocks.
pub struct BlockReader {
    reader: Reader<Feed>,
    feed: Arc<Mutex<Fed>>,
    mark: [u8; 16],
}

impl BlockReader {
    /// Reads the fields at these places; none: all fields.
    pub fn new(header: &Header, places: Option<Vec<usize>>, batch_size: usize) -> Result<Self, String> {
        let feed = Feed { current: header.uncompressed().into(), ..Feed::default() };
        let shared = Arc::clone(&feed.shared);
        let mut builder = ReaderBuilder::new().with_batch_size(batch_size.max(1));
        if let Some(places) = places {
            builder = builder.with_projection(places);
        }
        let reader = guarded(|| builder.build(feed))?.map_err(|error| format!("its schema: {error}"))?;
        // The header is looked for until there is nothing more.
        shared.lock().unwrap_or_else(PoisonError::into_inner).open = true;
        Ok(Self { reader, feed: shared, mark: header.mark })
    }

    /// The columns that it makes.
    pub fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// The same as a table has them.
    pub fn table_schema(&self) -> Schema {
        plain_schema(&self.reader.schema())
    }

    /// Gives it a block, or nothing at the end.
    pub fn put(&mut self, block: Option<Block>) {
        let mut fed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        fed.asked = false;
        let Some(block) = block else {
            fed.open = false;
            return;
        };
        let mut bytes = Vec::with_capacity(block.data.len() + 64);
        write_number(block.records as i64, &mut bytes);
        write_number(block.data.len() as i64, &mut bytes);
        bytes.extend_from_slice(&block.data);
        bytes.extend_from_slice(&self.mark);
        fed.bytes = bytes.into();
    }

    /// The next batch; none if it needs a block first, or at the end.
    pub fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        match guarded(|| self.reader.next())? {
            Some(Ok(batch)) => Ok(Some(batch)),
            None => Ok(None),
            Some(Err(error)) => {
                let asked = self.feed.lock().unwrap_or_else(PoisonError::into_inner).asked;
                if asked { Ok(None) } else { Err(text(&error)) }
            }
        }
    }
}

fn text(error: &ArrowError) -> String {
    format!("it cannot be read: {error}")
}

/// Without what Avro noted about the fields: names of types and documentation, which differ between files.
fn plain_schema(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(plain_field).collect::<Fields>())
}

fn plain_field(field: &Arc<Field>) -> Arc<Field> {
    Arc::new(Field::new(field.name(), plain(field.data_type()), field.is_nullable()))
}

fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

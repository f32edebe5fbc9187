//! Opening Arrow IPC: a file's batches that begin in a range, or all of a stream, in the columns that are wanted.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_ipc::Block;
use arrow_ipc::reader::FileDecoder;
use bytes::Bytes;
use datafusion::datasource::listing::FileRange;
use datafusion::error::{DataFusionError, Result};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::check::check_message;
use super::footer::{Footer, MAGIC, read_footer};
use super::stream::{Messages, decode};
use crate::formats::adapted::Adapted;
use crate::formats::fetch::{PIECE, Source};
use crate::formats::guarded::guarded;

/// Reads in flight, for one file.
const IN_FLIGHT: usize = 2;

/// Opens Arrow IPC files and streams of one table.
#[derive(Clone, Debug)]
pub struct IpcOpener {
    /// The columns wanted.
    pub wanted: SchemaRef,
}

async fn is_file(source: &Source) -> Result<bool> {
    if source.size() == 0 {
        return Err(source.error("it is empty, which no Arrow file or stream is"));
    }
    let head = source.read(0..source.size().min(MAGIC.len() as u64)).await?;
    if head.starts_with(b"FEA1") {
        return Err(source.error("it is of version 1 of Feather, which is not read; version 2 is"));
    }
    Ok(head == MAGIC.as_slice())
}

/// The columns of a file or stream.
pub async fn schema(source: &Source) -> Result<Schema> {
    let schema = if is_file(source).await? {
        read_footer(source).await?.schema
    } else {
        Messages::new(source).schema().await?.0
    };
    Ok(Arc::unwrap_or_clone(schema))
}

impl IpcOpener {
    /// The rows of a file, or of the batches that begin in a range of it.
    pub async fn open(
        self,
        source: Source,
        range: Option<FileRange>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let range = range.map_or(0..u64::MAX, |range| range.start.max(0) as u64..range.end.max(0) as u64);
        if is_file(&source).await? {
            let footer = read_footer(&source).await?;
            return self.file(source, footer, range).await;
        }
        // All of a stream belongs to whoever has its beginning.
        if range.start > 0 || range.is_empty() { Ok(stream::empty().boxed()) } else { self.stream(source).await }
    }

    async fn file(
        self,
        source: Source,
        footer: Footer,
        range: std::ops::Range<u64>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let adapted = Adapted::new(&footer.schema, &self.wanted).map_err(|error| source.named(&error))?;
        let decoder = FileDecoder::new(Arc::clone(&footer.schema), footer.version);
        let mut decoder = decoder.with_projection(adapted.projection().to_vec());
        let blocks: Vec<Block> =
            footer.batches.into_iter().filter(|block| range.contains(&(block.offset() as u64))).collect();
        if blocks.is_empty() {
            return Ok(stream::empty().boxed());
        }
        for block in &footer.dictionaries {
            let start = block.offset() as u64;
            let bytes = source.read(start..start + length(block)).await?;
            let wrong = |wrong: String| source.error(format!("the dictionary at byte {start}: {wrong}"));
            check(block, &bytes).map_err(wrong)?;
            let read = guarded(|| decoder.read_dictionary(block, &Buffer::from(bytes.clone())));
            read.map_err(wrong)?.map_err(|error| wrong(error.to_string()))?;
        }
        let reading = source.clone();
        let groups = stream::iter(groups(blocks)).map(move |group| read_group(reading.clone(), group));
        let batches = groups.buffered(IN_FLIGHT).map_ok(|blocks| stream::iter(blocks).map(Ok)).try_flatten();
        let rows = batches.and_then(move |(block, bytes)| {
            let wrong = |wrong| source.error(format!("the batch at byte {}: {wrong}", block.offset()));
            let batch = batch(&decoder, &block, &bytes).map_err(wrong);
            let batch = batch.and_then(|batch| batch.map(|batch| adapted.adapt(&batch)).transpose());
            futures::future::ready(batch)
        });
        Ok(rows.try_filter_map(|batch| futures::future::ready(Ok(batch))).boxed())
    }

    async fn stream(self, source: Source) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let mut messages = Messages::new(&source);
        let (schema, version) = messages.schema().await?;
        let adapted = Adapted::new(&schema, &self.wanted).map_err(|error| source.named(&error))?;
        let decoder = FileDecoder::new(schema, version).with_projection(adapted.projection().to_vec());
        let step = move |(mut messages, mut decoder): (Messages, FileDecoder)| {
            let (source, adapted) = (source.clone(), adapted.clone());
            async move {
                while let Some(message) = messages.next().await? {
                    let wrong = |wrong| source.error(format!("the message at byte {}: {wrong}", message.at));
                    let batch = decode(&mut decoder, &message).map_err(wrong)?;
                    if let Some(batch) = batch {
                        return Ok(Some((adapted.adapt(&batch)?, (messages, decoder))));
                    }
                }
                Ok::<_, DataFusionError>(None)
            }
        };
        Ok(stream::try_unfold((messages, decoder), step).boxed())
    }
}

fn length(block: &Block) -> u64 {
    block.metaDataLength() as u64 + block.bodyLength() as u64
}

fn check(block: &Block, bytes: &[u8]) -> Result<(), String> {
    let (metadata, body) = bytes.split_at(block.metaDataLength() as usize);
    check_message(metadata, body)
}

fn batch(decoder: &FileDecoder, block: &Block, bytes: &Bytes) -> Result<Option<RecordBatch>, String> {
    check(block, bytes)?;
    guarded(|| decoder.read_record_batch(block, &Buffer::from(bytes.clone())))?.map_err(|error| error.to_string())
}

/// Batches that lie one behind the other and are read at once.
fn groups(blocks: Vec<Block>) -> Vec<Vec<Block>> {
    let mut groups: Vec<Vec<Block>> = vec![];
    for block in blocks {
        let end = |block: &Block| block.offset() as u64 + length(block);
        match groups.last_mut() {
            Some(group)
                if group.last().is_some_and(|last| end(last) == block.offset() as u64)
                    && group.first().is_some_and(|first| end(&block) - first.offset() as u64 <= PIECE) =>
            {
                group.push(block);
            }
            _ => groups.push(vec![block]),
        }
    }
    groups
}

async fn read_group(source: Source, group: Vec<Block>) -> Result<Vec<(Block, Bytes)>> {
    let start = group.first().map_or(0, |block| block.offset() as u64);
    let end = group.last().map_or(0, |block| block.offset() as u64 + length(block));
    let bytes = source.read(start..end).await?;
    let slice = |block: Block| {
        let from = (block.offset() as u64 - start) as usize;
        (block, bytes.slice(from..from + length(&block) as usize))
    };
    Ok(group.into_iter().map(slice).collect())
}

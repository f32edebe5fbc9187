//! Opening an Avro file: the records of the blocks that begin in a range, in the columns that are wanted.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::listing::FileRange;
use datafusion::error::{DataFusionError, Result};
use futures::stream::{self, BoxStream, StreamExt};

use super::blocks::Blocks;
use super::header::{Header, read_header};
use super::reader::BlockReader;
use crate::formats::adapted::Adapted;
use crate::formats::fetch::Source;

/// Opens Avro files of one table.
#[derive(Clone, Debug)]
pub struct AvroOpener {
    /// The columns wanted.
    pub wanted: SchemaRef,
    /// Rows of a batch.
    pub batch_size: usize,
}

/// The columns of a file.
pub async fn schema(source: &Source) -> Result<Schema> {
    let header = read_header(source).await?;
    let reader = BlockReader::new(&header, None, 1).map_err(|wrong| source.error(wrong))?;
    Ok(reader.table_schema())
}

/// A file, or a range of it, that is being read.
struct Rows {
    source: Source,
    header: Header,
    blocks: Blocks,
    reader: BlockReader,
    adapted: Adapted,
    /// Where the block begins that was read last.
    at: u64,
    ended: bool,
}

impl AvroOpener {
    /// The rows of a file, or of the blocks that begin in a range of it.
    pub async fn open(
        self,
        source: Source,
        range: Option<FileRange>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let range = range.map_or(0..u64::MAX, |range| range.start.max(0) as u64..range.end.max(0) as u64);
        let header = read_header(&source).await?;
        if range.end <= header.length && range.end < source.size() {
            return Ok(stream::empty().boxed());
        }
        let wrong = |wrong: String| source.error(wrong);
        let file = BlockReader::new(&header, None, 1).map_err(wrong)?.schema();
        let adapted = Adapted::new(&file, &self.wanted).map_err(|error| source.named(&error))?;
        // Rows are counted by a column, even if none is wanted.
        let places = if adapted.projection().is_empty() { vec![0] } else { adapted.projection().to_vec() };
        let places = (places.len() < file.fields().len()).then_some(places);
        let reader = BlockReader::new(&header, places, self.batch_size).map_err(wrong)?;
        let blocks = Blocks::new(&source, &header, range).await?;
        let rows = Rows { source, header, blocks, reader, adapted, at: 0, ended: false };
        let step = |mut rows: Rows| async move {
            match rows.next().await? {
                Some(batch) => Ok(Some((batch, rows))),
                None => Ok::<_, DataFusionError>(None),
            }
        };
        Ok(stream::try_unfold(rows, step).boxed())
    }
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let wrong = |wrong| self.source.error(format!("the block at byte {}: {wrong}", self.at));
            if let Some(batch) = self.reader.next().map_err(wrong)? {
                return Ok(Some(self.adapted.adapt(&batch)?));
            }
            if self.ended {
                return Ok(None);
            }
            let block = self.blocks.next(&self.header).await?;
            self.ended = block.is_none();
            self.at = block.as_ref().map_or(self.at, |block| block.at);
            // One without records says nothing, and the reader would wait for what it says.
            if block.as_ref().is_none_or(|block| block.records > 0) {
                self.reader.put(block);
            }
        }
    }
}

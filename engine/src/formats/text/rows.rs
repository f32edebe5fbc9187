//! The rows of one range of one file as a stream: the text comes in, batches go out, bad records are told or counted.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::Count;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use windrow_common::Error;

use super::bad_row::{BadRow, RejectSink, Rejected};
use super::file::TextFile;
use super::line_number::line_of;
use super::range_start::agrees;
use super::reader::{Fault, Item, RangeEnd, Reading, RecordReader};
use crate::error::{classify, external};
use crate::formats::guarded::guarded;

/// Bytes of text that are parsed before their rows are handed out. It bounds the rows that wait: two bytes can be a row,
/// and a row have thousands of columns that the file does not have.
const PARSED_AT_ONCE: usize = 64 << 10;

/// Where the records go that are left out.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Counts them.
    pub count: Count,
    /// Takes them, for this location.
    pub sink: Option<(String, Arc<dyn RejectSink>)>,
}

/// One range that is being read.
pub struct TextRows {
    /// The file.
    pub file: TextFile,
    /// How it is read.
    pub reading: Reading,
    /// Makes batches.
    pub reader: RecordReader,
    /// The text from where the reader begins.
    pub text: BoxStream<'static, Result<Bytes>>,
    /// Text that came and was not parsed yet.
    pub unread: Bytes,
    /// Where the file's records begin.
    pub head: u64,
    /// The range's end, if other readers read on from there and it is still to be seen that they begin right.
    pub end: Option<u64>,
    /// For bad records.
    pub left_out: LeftOut,
}

impl TextRows {
    /// The rows.
    pub fn into_stream(self) -> BoxStream<'static, Result<RecordBatch>> {
        let step = |mut rows: Self| async move {
            match rows.next().await? {
                Some(batch) => Ok(Some((batch, rows))),
                None => Ok::<_, DataFusionError>(None),
            }
        };
        stream::try_unfold(self, step).boxed()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready()? {
                return Ok(Some(batch));
            }
            if self.read_on().await?.is_break() {
                return self.ready();
            }
        }
    }

    /// The next batch, if one is ready. The bad records before it are counted with it, and those behind it are not: so a
    /// scan that stops early by a LIMIT counts those that lie before the end of the last batch it took.
    fn ready(&mut self) -> Result<Option<RecordBatch>> {
        let mut bad = vec![];
        let batch = loop {
            match self.reader.item() {
                Some(Item::Bad(row)) => bad.push(row),
                Some(Item::Batch(batch)) => break Some(batch),
                None => break None,
            }
        };
        self.leave_out(bad)?;
        Ok(batch)
    }

    async fn read_on(&mut self) -> Result<ControlFlow<()>> {
        if let Some(truth) = self.reader.done() {
            if let Some(end) = self.end.take() {
                self.check_next(end, truth).await?;
            }
            return Ok(ControlFlow::Break(()));
        }
        let mut ended = false;
        if self.unread.is_empty() {
            let piece = self.text.try_next().await.map_err(|error| self.file.source.named(&error))?;
            ended = piece.is_none();
            self.unread = piece.unwrap_or_default();
        }
        let text = self.unread.split_to(self.unread.len().min(PARSED_AT_ONCE));
        let reader = &mut self.reader;
        match guarded(|| if ended { reader.finish() } else { reader.push(&text) }) {
            Ok(Ok(())) => Ok(ControlFlow::Continue(())),
            Ok(Err(Fault::Bad(row))) => Err(bad_row(&self.file, row).await),
            Ok(Err(Fault::Other(error))) => Err(self.file.source.named(&error.into())),
            Err(panic) => Err(self.file.source.error(panic)),
        }
    }

    async fn check_next(&mut self, end: u64, truth: RangeEnd) -> Result<()> {
        if agrees(&self.file, &self.reading, self.head, end, truth).await? {
            return Ok(());
        }
        Err(self.file.source.error(format!(
            "the quoting of records around byte {end} is broken, so that nobody can tell where records begin from there \
             on; read the file in one piece with OPTIONS (parallel 'false')"
        )))
    }

    fn leave_out(&self, bad: Vec<BadRow>) -> Result<()> {
        if bad.is_empty() {
            return Ok(());
        }
        self.left_out.count.add(bad.len());
        let Some((location, sink)) = &self.left_out.sink else { return Ok(()) };
        let file = &self.file.source.shown;
        let rejected = bad.into_iter().map(|row| Rejected {
            file: file.to_string(),
            offset: row.offset,
            reason: row.reason,
            text: String::from_utf8_lossy(&row.text).into_owned(),
        });
        sink.reject(location, rejected.collect()).map_err(external)
    }
}

async fn bad_row(file: &TextFile, row: BadRow) -> DataFusionError {
    let line = match line_of(file, row.offset).await {
        Ok(Some(line)) => format!(" (line {line})"),
        Ok(None) => String::new(),
        // The row is bad whatever became of the file since.
        Err(error) => format!(" (its line is not known: {})", classify(&error)),
    };
    external(Error::user(format!(
        "{}: the record at byte {}{line} cannot be read: {}. Bad records can be left out with OPTIONS (on_error \
         'skip')",
        file.source.shown, row.offset, row.reason
    )))
}

//! Opening a range of a text file: its header, where its first record is, and the parser for its format.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::reader::Format;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::{DataFusionError, Result};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::boundary::FIRST_WINDOW;
use super::dialect::Dialect;
use super::file::TextFile;
use super::parser::RowParser;
use super::projected::Projected;
use super::range_start::range_start;
use super::reader::{Reading, RecordReader};
use super::rows::{LeftOut, TextRows};
use crate::error::external;
use crate::formats::csv::header::{Head, places, read_head};
use crate::formats::csv::parser::{CsvParser, Layout, is_readable};
use crate::formats::fetch::{PIECE, Source};
use crate::formats::json::parser::JsonParser;
use crate::formats::options::{CsvOptions, FormatOptions, NO_QUOTE, TextOptions};

type Text = BoxStream<'static, Result<Bytes>>;

/// Opens text files of one table.
#[derive(Clone, Debug)]
pub struct TextOpener {
    /// The format.
    pub options: Arc<FormatOptions>,
    /// All columns that the files of the table have.
    pub columns: SchemaRef,
    /// Those that are wanted, by their place.
    pub wanted: Vec<usize>,
    /// Rows of a batch.
    pub batch_size: usize,
    /// For bad records.
    pub left_out: LeftOut,
}

/// How files of a text format are read; none of formats that are not text.
pub fn reading(options: &FormatOptions) -> Option<Reading> {
    let (dialect, text) = match options {
        FormatOptions::Csv(csv) => (csv.dialect(), &csv.text),
        FormatOptions::Json(json) => (Dialect::LINES, &json.text),
        FormatOptions::Arrow | FormatOptions::Avro | FormatOptions::Parquet => return None,
    };
    Some(Reading { dialect, max_record: text.max_record, skip: text.bad_rows.skip })
}

/// A file of a text format.
pub fn text_file(source: Source, options: &FormatOptions, text: &TextOptions) -> TextFile {
    let encoding = match options {
        FormatOptions::Csv(csv) => csv.encoding.clone(),
        _ => "UTF-8".into(),
    };
    TextFile { source, compression: text.compression, encoding }
}

/// A range of a file whose first record has been found.
struct Found {
    parser: Box<dyn RowParser>,
    /// Where the file's records begin.
    head: u64,
    start: u64,
    text: Text,
}

impl TextOpener {
    /// The rows of a file, or of the range of it that is meant.
    pub async fn open(
        mut self,
        source: Source,
        file: PartitionedFile,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let (Some(reading), Some(text)) = (reading(&self.options), self.options.text()) else {
            return Err(source.error("it is not of a text format"));
        };
        let text_file = text_file(source, &self.options, text);
        let kept =
            reading.skip.then(|| std::mem::replace(&mut self.wanted, (0..self.columns.fields().len()).collect()));
        let range = file.range.as_ref().map(|range| (range.start.max(0) as u64, range.end.max(0) as u64));
        if range.is_some_and(|(start, end)| start > 0 || end < text_file.source.size()) && !text_file.is_plain() {
            return Err(text_file.source.error("a part of it was to be read, and it can only be read whole"));
        }
        let (start, end) = range.unwrap_or((0, u64::MAX));
        let end = Some(end).filter(|end| *end < text_file.source.size());
        if end.is_some_and(|end| end <= start) {
            return Ok(stream::empty().boxed());
        }
        let stop = end.unwrap_or(u64::MAX);
        let found = match self.options.as_ref() {
            FormatOptions::Csv(csv) => self.csv(&text_file, &reading, csv, (start, stop)).await?,
            _ => self.json(&text_file, &reading, (start, stop)).await?,
        };
        let Some(Found { parser, head, start, text }) = found else { return Ok(stream::empty().boxed()) };
        let parser: Box<dyn RowParser> = match kept {
            Some(columns) => Box::new(Projected::new(parser, columns)),
            None => parser,
        };
        let reader = RecordReader::new(reading, parser, start, end);
        let unread = Bytes::new();
        let rows = TextRows { file: text_file, reading, reader, text, unread, head, end, left_out: self.left_out };
        Ok(rows.into_stream())
    }

    fn wanted(&self) -> Result<Schema> {
        Ok(self.columns.project(&self.wanted)?)
    }

    async fn csv(
        &self,
        file: &TextFile,
        reading: &Reading,
        csv: &CsvOptions,
        (start, stop): (u64, u64),
    ) -> Result<Option<Found>> {
        let format = csv.arrow_format().map_err(external)?;
        if !csv.header {
            let names: Vec<String> = self.columns.fields().iter().map(|field| field.name().clone()).collect();
            let parser = self.csv_parser(file, csv, format, &names, self.wanted.iter().copied().map(Some).collect())?;
            let (head, start, text) = without_header(file, reading, start, stop).await?;
            return Ok(Some(Found { parser, head, start, text }));
        }
        // Others read the header alone, from the beginning of a file that is somebody else's.
        let (first_stop, piece) = if start == 0 { (stop, PIECE) } else { (0, FIRST_WINDOW as u64) };
        let mut text = file.text(0, first_stop, piece)?;
        let Head { names, end, rest } = read_head(&file.source, &mut text, reading, &format).await?;
        let Some(names) = names else { return Ok(None) };
        let all = places(&names, &self.columns).map_err(|wrong| file.source.error(wrong))?;
        let wanted = self.wanted.iter().map(|column| all.get(*column).copied().flatten()).collect();
        let parser = self.csv_parser(file, csv, format, &names, wanted)?;
        if start == 0 {
            let text = stream::once(async move { Ok(rest) }).chain(text).boxed();
            return Ok(Some(Found { parser, head: end, start: end, text }));
        }
        let start = range_start(file, reading, end, start).await?;
        Ok(Some(Found { parser, head: end, start, text: file.text(start, stop, PIECE)? }))
    }

    fn csv_parser(
        &self,
        file: &TextFile,
        csv: &CsvOptions,
        format: Format,
        names: &[String],
        wanted: Vec<Option<usize>>,
    ) -> Result<Box<dyn RowParser>> {
        let columns: SchemaRef = Arc::new(self.wanted()?);
        for (column, place) in columns.fields().iter().zip(&wanted) {
            let name = column.name();
            if place.is_none() && !column.is_nullable() {
                return Err(file.source.error(format!("it has no column '{name}', which may not be null")));
            }
            if place.is_some() && !is_readable(column.data_type()) {
                return Err(file.source.error(format!(
                    "column '{name}' is of type {}, for which CSV has no text; make it VARCHAR and convert it in the query",
                    column.data_type()
                )));
            }
        }
        if names.is_empty() {
            return Err(file.source.error("no columns are known"));
        }
        let layout = Layout::new(names, &columns, &wanted, &csv.times);
        let forbidden = csv.quote.is_none().then_some(NO_QUOTE);
        let terminator = csv.terminator.unwrap_or(b'\n');
        let parser = CsvParser::new(format, terminator, forbidden, layout, self.batch_size);
        let mut parser = parser.map_err(|error| file.source.named(&error.into()))?;
        if csv.truncated_rows && csv.null_regex.is_some() {
            parser = parser.with_missing_as_null(csv.dialect());
        }
        Ok(Box::new(parser))
    }

    async fn json(&self, file: &TextFile, reading: &Reading, (start, stop): (u64, u64)) -> Result<Option<Found>> {
        let parser = JsonParser::new(Arc::new(self.wanted()?), self.batch_size);
        let parser = Box::new(parser.map_err(|error| file.source.named(&error.into()))?);
        let (head, start, text) = without_header(file, reading, start, stop).await?;
        Ok(Some(Found { parser, head, start, text }))
    }
}

/// Where the file's records begin, where those of a range do, and the text from there on.
async fn without_header(file: &TextFile, reading: &Reading, start: u64, stop: u64) -> Result<(u64, u64, Text)> {
    let mark = TextFile::LONGEST_MARK;
    if start > 0 || stop <= mark {
        // A range may begin or end inside of the mark; farther on it does not matter whether there is one.
        let head =
            if start > mark { 0 } else { TextFile::mark(&file.source.read(0..mark.min(file.source.size())).await?) };
        let head = head as u64;
        let start = if start <= head { head } else { range_start(file, reading, head, start).await? };
        return Ok((head, start, file.text(start, stop, PIECE)?));
    }
    let mut text = file.text(0, stop, PIECE)?;
    let first = text.try_next().await.map_err(|error: DataFusionError| file.source.named(&error))?.unwrap_or_default();
    let mark = TextFile::mark(&first);
    let rest = first.slice(mark..);
    Ok((mark as u64, mark as u64, stream::once(async move { Ok(rest) }).chain(text).boxed()))
}

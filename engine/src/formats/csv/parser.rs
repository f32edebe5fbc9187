//! Records of a CSV file to batches, by arrow-csv's decoder: only the columns that are wanted, found by the names in the
//! file's header.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::{Decoder, Format};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::padding::Padding;
use super::times::{self, pattern_of};
use crate::formats::text::bad_row::shown;
use crate::formats::text::dialect::Dialect;
use crate::formats::text::parser::RowParser;
use crate::sink::format::TimeFormats;

/// Fields that a decoder makes room for at once; it bounds the rows of a batch of very wide tables.
const MAX_FIELDS: usize = 1 << 20;

/// Whether there are fields of CSV that are values of this type.
pub fn is_readable(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Utf8 | T::Utf8View | T::Boolean | T::Null | T::Date32 | T::Date64 | T::Time32(_) | T::Time64(_) => true,
        T::Timestamp(..) => true,
        T::Dictionary(key, value) => key.is_integer() && **value == T::Utf8,
        other => other.is_numeric(),
    }
}

/// What a file's fields are, and which are wanted.
#[derive(Clone, Debug)]
pub struct Layout {
    /// All fields of a record; those that are not wanted are text.
    fields: SchemaRef,
    /// The fields that are wanted, in their order in the file.
    parsed: Vec<usize>,
    /// For each column wanted its place among `parsed`; none if the file does not have it.
    sources: Vec<Option<usize>>,
    /// The columns wanted.
    wanted: SchemaRef,
    /// Of columns whose fields are read as text first: the pattern of their dates and times.
    patterns: Vec<Option<String>>,
}

impl Layout {
    /// A file with fields of these names; `wanted` are columns and the places of their fields in a record.
    /// Dates and times are written as `times` says.
    pub fn new(names: &[String], wanted: &SchemaRef, places: &[Option<usize>], times: &TimeFormats) -> Self {
        let patterns = wanted.fields().iter().map(|field| pattern_of(times, field.data_type()).map(str::to_owned));
        let patterns: Vec<Option<String>> = patterns.collect();
        let mut fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let mut parsed: Vec<usize> = places.iter().flatten().copied().collect();
        parsed.sort_unstable();
        parsed.dedup();
        for ((column, place), pattern) in wanted.fields().iter().zip(places).zip(&patterns) {
            if let Some(place) = place {
                // Whether there may be nulls is checked when the batch is put together.
                let field = column.as_ref().clone().with_nullable(true);
                fields[*place] = if pattern.is_some() { field.with_data_type(DataType::Utf8) } else { field };
            }
        }
        let sources = places.iter().map(|place| place.and_then(|place| parsed.binary_search(&place).ok())).collect();
        Self { fields: Arc::new(Schema::new(fields)), parsed, sources, wanted: Arc::clone(wanted), patterns }
    }

    fn arrange(&self, parsed: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = parsed.num_rows();
        let column = |((source, field), pattern): ((&Option<usize>, &Arc<Field>), &Option<String>)| match source {
            Some(source) => match pattern {
                Some(pattern) => times::parse(parsed.column(*source), field.name(), field.data_type(), pattern),
                None => Ok(Arc::clone(parsed.column(*source))),
            },
            None => Ok(new_null_array(field.data_type(), rows)),
        };
        let columns = self.sources.iter().zip(self.wanted.fields()).zip(&self.patterns).map(column);
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.wanted), columns, &options)
    }
}

/// Parses CSV.
#[derive(Debug)]
pub struct CsvParser {
    format: Format,
    terminator: u8,
    /// Stands for a quote where there is none; the decoder must not get to see it.
    forbidden: Option<u8>,
    layout: Layout,
    /// Fills records up that end too early.
    padding: Option<Padding>,
    batch_size: usize,
    decoder: Decoder,
}

impl CsvParser {
    /// Parses records that end with the byte `terminator` and in which `forbidden` is not text.
    pub fn new(
        format: Format,
        terminator: u8,
        forbidden: Option<u8>,
        layout: Layout,
        batch_size: usize,
    ) -> Result<Self, ArrowError> {
        let most = (MAX_FIELDS / layout.fields.fields().len().max(1)).max(1);
        let batch_size = batch_size.clamp(1, most);
        let decoder = ready(&format, terminator, &layout.fields, &layout.parsed, batch_size)?;
        Ok(Self { format, terminator, forbidden, layout, padding: None, batch_size, decoder })
    }

    /// The same for records in which what is missing at the end is null and what is empty is not.
    #[must_use]
    pub fn with_missing_as_null(mut self, dialect: Dialect) -> Self {
        self.padding = Some(Padding { dialect, fields: self.layout.fields.fields().len() });
        self
    }

    /// The fields of a single record as text, if that is what is there.
    fn texts(&self, record: &[u8]) -> Result<RecordBatch, ArrowError> {
        let names = self.layout.fields.fields();
        let texts: Vec<Field> = names.iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
        let all: Vec<usize> = (0..texts.len()).collect();
        self.single(record, Arc::new(Schema::new(texts)), &all)
    }

    fn single(&self, record: &[u8], fields: SchemaRef, parsed: &[usize]) -> Result<RecordBatch, ArrowError> {
        let mut decoder = ready(&self.format, self.terminator, &fields, parsed, 1)?;
        let record = self.padding.map_or(Cow::Borrowed(record), |padding| padding.record(record).1);
        let read = decoder.decode(&record)?;
        if read < record.len() {
            decoder.decode(&[])?;
        }
        decoder.flush()?.ok_or_else(|| ArrowError::CsvError("there is no record".into()))
    }

    /// The first column whose value cannot be read, and the value.
    fn bad_field(&self, record: &[u8]) -> Option<String> {
        let texts = self.texts(record).ok()?;
        for place in &self.layout.parsed {
            let field = self.layout.fields.field(*place);
            if self.single(record, Arc::clone(&self.layout.fields), &[*place]).is_err() {
                let column = texts.column(*place);
                let values = column.as_any().downcast_ref::<arrow::array::StringArray>()?;
                let value = if arrow::array::Array::is_null(values, 0) { "" } else { values.value(0) };
                let (value, name) = (shown(value.as_bytes()), field.name());
                return Some(format!("{value} in column '{name}' is not of type {}", field.data_type()));
            }
        }
        None
    }

    /// The first column that is missing and may not be.
    fn missing(&self, record: &[u8]) -> Option<String> {
        let parsed = self.single(record, Arc::clone(&self.layout.fields), &self.layout.parsed).ok()?;
        let required = self.layout.wanted.fields().iter().zip(&self.layout.sources).find(|(field, source)| {
            let null = source.is_none_or(|source| parsed.column(source).null_count() > 0);
            !field.is_nullable() && null
        });
        required.map(|(field, _)| format!("column '{}' has no value and may not be null", field.name()))
    }
}

impl RowParser for CsvParser {
    fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        if self.forbidden.is_some_and(|byte| memchr::memchr(byte, bytes).is_some()) {
            return Err(ArrowError::CsvError("a byte is not text".into()));
        }
        let Some(padding) = self.padding else { return self.decoder.decode(bytes) };
        let mut taken = 0;
        while taken < bytes.len() && self.decoder.capacity() > 0 {
            let (length, record) = padding.record(&bytes[taken..]);
            if self.decoder.decode(&record)? < record.len() {
                return Err(ArrowError::CsvError("a record is not one".into()));
            }
            taken += length;
        }
        Ok(taken)
    }

    fn is_full(&self) -> bool {
        self.decoder.capacity() == 0
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.flush()?.map(|parsed| self.layout.arrange(&parsed)).transpose()
    }

    fn reset(&mut self, records: Option<usize>) -> Result<(), ArrowError> {
        let rows = records.unwrap_or(self.batch_size).clamp(1, self.batch_size);
        self.decoder = ready(&self.format, self.terminator, &self.layout.fields, &self.layout.parsed, rows)?;
        Ok(())
    }

    fn reason(&mut self, record: &[u8], error: &ArrowError) -> String {
        if let Err(invalid) = std::str::from_utf8(record) {
            let byte = record[invalid.valid_up_to()];
            return format!("its byte {} (0x{byte:02x}) is not valid text", invalid.valid_up_to());
        }
        let text = error.to_string();
        if text.contains("number of fields") {
            let expected = self.layout.fields.fields().len();
            let format = self.format.clone().with_header(true).with_truncated_rows(true);
            return match format.infer_schema(record, Some(0)) {
                Ok((fields, _)) => format!("it has {} fields and not {expected}", fields.fields().len()),
                Err(_) => format!("it does not have {expected} fields"),
            };
        }
        self.bad_field(record).or_else(|| self.missing(record)).unwrap_or(text)
    }
}

fn ready(
    format: &Format,
    terminator: u8,
    fields: &SchemaRef,
    parsed: &[usize],
    rows: usize,
) -> Result<Decoder, ArrowError> {
    let builder = ReaderBuilder::new(Arc::clone(fields)).with_format(format.clone());
    let mut decoder = builder.with_projection(parsed.to_vec()).with_batch_size(rows).build_decoder();
    // An empty line, which is no record: a byte order mark is taken for one at the very beginning only, and these records
    // may be from anywhere in the file.
    decoder.decode(&[terminator])?;
    Ok(decoder)
}

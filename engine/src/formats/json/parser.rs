//! Lines of JSON to batches, by arrow-json's decoder: each line an object, of which only the wanted members are built.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use memchr::{memchr, memchr2, memchr2_iter};

use super::integers::{read_as, typed};
use crate::formats::text::bad_row::shown;
use crate::formats::text::parser::RowParser;

/// Objects and lists inside each other. The decoder's own texts of errors are made by a function that calls itself.
pub const MAX_DEPTH: usize = 100;

/// Parses lines.
pub struct JsonParser {
    wanted: SchemaRef,
    batch_size: usize,
    rows: usize,
    decoder: Decoder,
}

impl JsonParser {
    /// Reads these members of each object.
    pub fn new(wanted: SchemaRef, batch_size: usize) -> Result<Self, ArrowError> {
        let batch_size = batch_size.max(1);
        let decoder = ready(&wanted, batch_size)?;
        Ok(Self { wanted, batch_size, rows: batch_size, decoder })
    }

    fn bad_member(&self, line: &[u8]) -> Option<String> {
        for field in self.wanted.fields() {
            let alone: SchemaRef = Arc::new(Schema::new(vec![Arc::clone(field)]));
            let mut decoder = ready(&alone, 1).ok()?;
            decoder.decode(line).ok()?;
            let read = decoder.flush().and_then(|batch| batch.map(|batch| arrange(&batch, &alone)).transpose());
            if let Err(error) = read {
                let cause = error.to_string();
                let cause = cause.trim_start_matches("Json error: ").trim_start_matches("Cast error: ");
                let cause = shown(cause.as_bytes());
                return Some(format!("'{}' cannot be read as {}: {cause}", field.name(), field.data_type()));
            }
        }
        None
    }
}

fn ready(wanted: &SchemaRef, rows: usize) -> Result<Decoder, ArrowError> {
    // Columns in which numbers and texts were seen are text; their numbers are taken as they are written.
    let read = |field: &FieldRef| field.as_ref().clone().with_data_type(read_as(field.data_type()));
    let read = Arc::new(Schema::new(wanted.fields().iter().map(read).collect::<Fields>()));
    ReaderBuilder::new(read).with_batch_size(rows).with_coerce_primitive(true).build_decoder()
}

/// What a decoder read in the columns that are wanted.
fn arrange(read: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = read.columns().iter().zip(wanted.fields());
    let columns = columns.map(|(column, field)| typed(column, field.data_type())).collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &rows)
}

impl RowParser for JsonParser {
    fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        let before = self.decoder.len();
        let (cut, objects) = lines(bytes, self.rows.saturating_sub(before))?;
        check_depth(&bytes[..cut])?;
        let read = self.decoder.decode(&bytes[..cut])?;
        if read < cut || self.decoder.has_partial_record() || self.decoder.len() - before != objects {
            return Err(not_one_object());
        }
        Ok(read)
    }

    fn is_full(&self) -> bool {
        self.decoder.len() >= self.rows
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.flush()?.map(|read| arrange(&read, &self.wanted)).transpose()
    }

    fn reset(&mut self, records: Option<usize>) -> Result<(), ArrowError> {
        self.rows = records.unwrap_or(self.batch_size).clamp(1, self.batch_size);
        self.decoder = ready(&self.wanted, self.rows)?;
        Ok(())
    }

    fn reason(&mut self, record: &[u8], error: &ArrowError) -> String {
        if let Err(invalid) = std::str::from_utf8(record) {
            return format!(
                "its byte {} (0x{:02x}) is not UTF-8",
                invalid.valid_up_to(),
                record[invalid.valid_up_to()]
            );
        }
        if let Err(deep) = check_depth(record) {
            return deep.to_string();
        }
        if record.trim_ascii_start().first() == Some(&b'[') {
            return "it is a list; each line has to be an object, and lists of objects are not read".into();
        }
        if let Err(invalid) = serde_json::from_slice::<serde_json::Value>(record) {
            let text = invalid.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            return format!("it is not an object of JSON on one line: {text}, at its byte {}", invalid.column());
        }
        self.bad_member(record).unwrap_or_else(|| error.to_string())
    }
}

fn not_one_object() -> ArrowError {
    ArrowError::JsonError("a line is not one whole object".into())
}

/// The end of so many objects, each on a line of its own, and how many there are up to there.
fn lines(bytes: &[u8], most: usize) -> Result<(usize, usize), ArrowError> {
    let (mut from, mut objects) = (0, 0);
    while from < bytes.len() && objects < most {
        let to = memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1);
        match bytes[from..to].iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => objects += 1,
            Some(_) => return Err(not_one_object()),
            None => {}
        }
        from = to;
    }
    Ok((from, objects))
}

/// Refuses lines in which objects and lists are nested deeper than [`MAX_DEPTH`].
pub fn check_depth(lines: &[u8]) -> Result<(), ArrowError> {
    if memchr2_iter(b'{', b'[', lines).nth(MAX_DEPTH).is_none() {
        return Ok(());
    }
    for line in lines.split(|byte| *byte == b'\n') {
        if memchr2_iter(b'{', b'[', line).nth(MAX_DEPTH).is_some() && depth(line) > MAX_DEPTH {
            return Err(ArrowError::JsonError(format!(
                "objects and lists are nested deeper than {MAX_DEPTH}, which is the limit"
            )));
        }
    }
    Ok(())
}

fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
    while let Some(&byte) = line.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at += string(&line[at..]),
            _ => {}
        }
    }
    deepest
}

/// The bytes up to and with the quote that ends a string.
fn string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', &text[at..]) {
        at += found + 1;
        if text[at - 1] == b'"' {
            return at;
        }
        at = (at + 1).min(text.len());
    }
    text.len()
}

/// Whether a file is a list and not lines of objects.
pub fn is_list(text: &[u8]) -> bool {
    text.trim_ascii_start().first() == Some(&b'[') && memchr(b'{', text).is_some()
}

//! CSV and TSV.
//!
//! Not by `arrow-csv`, whose writer makes the same of NULL and of an empty text. Here, as in PostgreSQL and DuckDB, NULL is
//! written without quotes, and a value that looks like NULL (by default the empty text) in quotes; who reads quotes as
//! nothing special loses no more than before.

use std::io::Write as _;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow_common::{Error, Result};

use super::text::TextOutput;
use super::{FileEncoder, arrow_error, store_error};
use crate::sink::format::{CsvSettings, TimeFormats};
use crate::sink::output::StagedOutput;

/// One file of values between delimiters.
pub(super) struct CsvEncoder {
    settings: CsvSettings,
    output: TextOutput,
    line: Vec<u8>,
    value: String,
}

impl CsvEncoder {
    pub(super) fn begin(
        settings: &CsvSettings,
        schema: &Schema,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        settings.check()?;
        let output = TextOutput::begin(settings.compression, output, path)?;
        let mut encoder = Self { settings: settings.clone(), output, line: Vec::new(), value: String::new() };
        if settings.header {
            for field in schema.fields() {
                put(&encoder.settings, &mut encoder.line, Some(field.name()));
            }
            encoder.end_line(schema.fields().len(), path)?;
        }
        Ok(encoder)
    }

    /// The last delimiter of the line becomes its end.
    fn end_line(&mut self, columns: usize, path: &Path) -> Result<()> {
        self.line.pop();
        if columns == 1 && self.line.is_empty() {
            // Readers pass over lines without anything.
            self.line.extend([self.settings.quote; 2]);
        }
        self.line.push(b'\n');
        self.output.write_all(&self.line).map_err(|e| store_error(path, &e))?;
        self.line.clear();
        Ok(())
    }
}

impl FileEncoder for CsvEncoder {
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        let settings = self.settings.clone();
        let options = format_options(&settings.times);
        // Columns of NULLs alone have nothing to be formatted.
        let mut columns: Vec<(&dyn Array, Option<ArrayFormatter<'_>>)> = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            let formatter = match column.data_type() {
                DataType::Null => None,
                _ => Some(ArrayFormatter::try_new(column, &options).map_err(|e| arrow_error("CSV", path, e))?),
            };
            columns.push((column, formatter));
        }
        for row in 0..batch.num_rows() {
            for (index, (column, formatter)) in columns.iter().enumerate() {
                let Some(formatter) = formatter.as_ref().filter(|_| column.is_valid(row)) else {
                    put(&settings, &mut self.line, None);
                    continue;
                };
                self.value.clear();
                formatter.value(row).write(&mut self.value).map_err(|e| {
                    let schema = batch.schema();
                    Error::user(format!("a value of column '{}' cannot be written: {e}", schema.field(index).name()))
                })?;
                put(&settings, &mut self.line, Some(&self.value));
            }
            self.end_line(columns.len(), path)?;
        }
        Ok(())
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        self.output.hand_on().map_err(|e| store_error(path, &e))
    }

    fn memory(&self) -> usize {
        self.output.memory() + self.line.capacity() + self.value.capacity()
    }

    fn size(&self) -> u64 {
        self.output.size()
    }

    fn finish(self: Box<Self>, path: &Path) -> Result<u64> {
        self.output.finish(path)
    }
}

/// How times are written.
pub(in crate::sink) fn format_options(times: &TimeFormats) -> FormatOptions<'_> {
    FormatOptions::new()
        .with_display_error(false)
        .with_date_format(times.date.as_deref())
        .with_datetime_format(times.datetime.as_deref())
        .with_timestamp_format(times.timestamp.as_deref())
        .with_timestamp_tz_format(times.timestamp_tz.as_deref())
        .with_time_format(times.time.as_deref())
}

/// Adds a value, or NULL, and a delimiter to a line.
fn put(settings: &CsvSettings, line: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => line.extend_from_slice(settings.null_value.as_bytes()),
        Some(value) if needs_quotes(settings, value) => quoted(settings, line, value),
        Some(value) => line.extend_from_slice(value.as_bytes()),
    }
    line.push(settings.delimiter);
}

fn needs_quotes(settings: &CsvSettings, value: &str) -> bool {
    let special = |b: u8| {
        b == settings.delimiter || b == settings.quote || Some(b) == settings.escape || matches!(b, b'\n' | b'\r')
    };
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_whitespace());
    let bytes = value.as_bytes();
    // A number that looks like NULL is none either.
    value == settings.null_value || bytes.iter().any(|b| special(*b)) || edge(bytes.first()) || edge(bytes.last())
}

fn quoted(settings: &CsvSettings, line: &mut Vec<u8>, value: &str) {
    line.push(settings.quote);
    for byte in value.bytes() {
        if byte == settings.quote {
            line.push(if settings.double_quote { settings.quote } else { settings.escape.unwrap_or(settings.quote) });
        } else if Some(byte) == settings.escape {
            line.push(byte);
        }
        line.push(byte);
    }
    line.push(settings.quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(settings: &CsvSettings, values: &[Option<&str>]) -> String {
        let mut line = Vec::new();
        values.iter().for_each(|value| put(settings, &mut line, *value));
        line.pop();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn values_are_quoted_when_they_would_be_misread() {
        let csv = CsvSettings::new(false);
        let values = [Some("a"), None, Some(""), Some("a,b"), Some("say \"x\""), Some("two\nlines"), Some(" edge")];
        assert_eq!(line(&csv, &values), "a,,\"\",\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\" edge\"");
        let tsv = CsvSettings::new(true);
        assert_eq!(line(&tsv, &[Some("a,b"), Some("a\tb"), Some("ü")]), "a,b\t\"a\tb\"\tü");
        let named = CsvSettings { null_value: "NA".into(), ..csv.clone() };
        assert_eq!(line(&named, &[None, Some("NA"), Some(""), Some("NAN")]), "NA,\"NA\",,NAN");
        let escaped = CsvSettings { escape: Some(b'\\'), double_quote: false, ..csv };
        assert_eq!(line(&escaped, &[Some("a\\b"), Some("say \"x\"")]), "\"a\\\\b\",\"say \\\"x\\\"\"");
    }
}

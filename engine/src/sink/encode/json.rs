//! JSON, an object on a line for each row.
//!
//! By `arrow-json`, but for two kinds of values that it changes in silence: numbers that JSON does not have become
//! `"NaN"`, `"Infinity"` and `"-Infinity"`, as Spark writes them and our readers read them, and no `null`; a time that
//! cannot be written is an error and no text that says so.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};
use arrow::json::writer::{LineDelimited, Writer, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow_common::{Error, Result};

use super::text::TextOutput;
use super::{FileEncoder, arrow_error, store_error};
use crate::sink::format::{JsonSettings, TimeFormats};
use crate::sink::output::StagedOutput;

/// One file of JSON objects.
pub(super) struct JsonEncoder {
    writer: Writer<TextOutput, LineDelimited>,
    values: Arc<Values>,
}

impl JsonEncoder {
    pub(super) fn begin(
        settings: &JsonSettings,
        schema: &Schema,
        output: Box<dyn StagedOutput>,
        path: &Path,
    ) -> Result<Self> {
        let output = TextOutput::begin(settings.compression, output, path)?;
        let values = Arc::new(Values::default());
        // Without `null`, the keys of a map that have no value would be lost.
        let has_maps = schema.fields().iter().any(|field| holds_map(field.data_type()));
        let builder = WriterBuilder::new().with_explicit_nulls(has_maps).with_encoder_factory(values.clone());
        Ok(Self { writer: with_times(builder, &settings.times).build(output), values })
    }
}

fn with_times(mut builder: WriterBuilder, times: &TimeFormats) -> WriterBuilder {
    if let Some(format) = &times.date {
        builder = builder.with_date_format(format.clone());
    }
    if let Some(format) = &times.datetime {
        builder = builder.with_datetime_format(format.clone());
    }
    if let Some(format) = &times.timestamp {
        builder = builder.with_timestamp_format(format.clone());
    }
    if let Some(format) = &times.timestamp_tz {
        builder = builder.with_timestamp_tz_format(format.clone());
    }
    if let Some(format) = &times.time {
        builder = builder.with_time_format(format.clone());
    }
    builder
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            holds_map(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(field.data_type())),
        _ => false,
    }
}

impl FileEncoder for JsonEncoder {
    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        self.writer.write(batch).map_err(|e| arrow_error("JSON", path, e))?;
        self.values.check()
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        self.writer.get_mut().hand_on().map_err(|e| store_error(path, &e))
    }

    fn memory(&self) -> usize {
        self.writer.get_ref().memory()
    }

    fn size(&self) -> u64 {
        self.writer.get_ref().size()
    }

    fn finish(mut self: Box<Self>, path: &Path) -> Result<u64> {
        self.writer.finish().map_err(|e| arrow_error("JSON", path, e))?;
        self.writer.into_inner().finish(path)
    }
}

/// The values that are written by us, and the first of them that could not be.
#[derive(Default)]
struct Values {
    failed: Arc<Mutex<Option<String>>>,
}

impl Values {
    fn check(&self) -> Result<()> {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(failed) => Err(Error::user(format!("these rows cannot be written as JSON: {failed}"))),
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values")
    }
}

impl EncoderFactory for Values {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float16 => {
                let values = array.as_primitive::<Float16Type>();
                Box::new(Floats(move |row| f64::from(values.value(row).to_f32()), single))
            }
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>();
                Box::new(Floats(move |row| f64::from(values.value(row)), single))
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>();
                Box::new(Floats(move |row| values.value(row), number::<f64>))
            }
            time if time.is_temporal() => {
                let format = FormatOptions::new()
                    .with_date_format(options.date_format())
                    .with_datetime_format(options.datetime_format())
                    .with_timestamp_format(options.timestamp_format())
                    .with_timestamp_tz_format(options.timestamp_tz_format())
                    .with_time_format(options.time_format());
                let formatter = ArrayFormatter::try_new(array, &format)?;
                let failed = Arc::clone(&self.failed);
                Box::new(Times { formatter, column: field.name(), failed, text: String::new() })
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Numbers with a point: how to find one, and how to write one that JSON has.
struct Floats<F, W>(F, W);

impl<F: Fn(usize) -> f64, W: Fn(f64, &mut Vec<u8>)> Encoder for Floats<F, W> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = (self.0)(row);
        match value {
            _ if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
            f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
            f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
            finite => (self.1)(finite, out),
        }
    }
}

/// The shortest digits that are read back as the same number.
fn number<T: serde::Serialize>(value: T, out: &mut Vec<u8>) {
    // Writing a number into memory cannot fail.
    if serde_json::to_writer(&mut *out, &value).is_err() {
        out.extend_from_slice(b"null");
    }
}

fn single(value: f64, out: &mut Vec<u8>) {
    number(value as f32, out);
}

/// Dates, times and spans of time, as text.
struct Times<'a> {
    formatter: ArrayFormatter<'a>,
    column: &'a str,
    failed: Arc<Mutex<Option<String>>>,
    text: String,
}

impl Encoder for Times<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        let written = self.formatter.value(row).write(&mut self.text);
        if let Err(error) = written {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| format!("column '{}': {error}", self.column));
        }
        number(&self.text, out);
    }
}

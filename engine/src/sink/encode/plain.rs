//! Columns as the engine has them, made into those that lie in the files.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use windrow_common::{Error, Result};

use crate::sink::format::{FormatName, holds, holds_long_dates, type_name};

/// How a column gets into the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    AsItIs,
    Cast,
    /// Cast, and looked at whether it is still the same.
    CastAndCompared,
}

/// Makes batches of one schema fit for a format's encoder.
pub(super) struct Plain {
    format: FormatName,
    stored: SchemaRef,
    ways: Vec<Way>,
}

impl Plain {
    pub(super) fn new(format: FormatName, given: &SchemaRef, stored: SchemaRef) -> Self {
        let way = |(given, stored): (&Arc<Field>, &Arc<Field>)| match given.data_type() {
            same if same == stored.data_type() => Way::AsItIs,
            other if lost_in(format, other).is_some() => Way::CastAndCompared,
            _ => Way::Cast,
        };
        let ways = given.fields().iter().zip(stored.fields()).map(way).collect();
        Self { format, stored, ways }
    }

    /// The same rows with the columns of the file.
    pub(super) fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.ways.iter().all(|way| *way == Way::AsItIs) && batch.schema_ref() == &self.stored {
            return Ok(batch.clone());
        }
        let columns = batch.columns().iter().zip(self.stored.fields()).zip(&self.ways);
        let columns = columns.map(|((column, field), way)| self.column(column, field, *way));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.stored), columns, &options)
            .map_err(|e| Error::internal(format!("rows do not have the columns of their file: {e}")))
    }

    fn column(&self, column: &ArrayRef, field: &Field, way: Way) -> Result<ArrayRef> {
        if way == Way::AsItIs {
            return Ok(Arc::clone(column));
        }
        let stored = cast(column, field.data_type()).map_err(|e| self.does_not_fit(column, field, &e.to_string()))?;
        if way == Way::CastAndCompared {
            let back = cast(&stored, column.data_type()).map_err(|e| Error::internal(e.to_string()))?;
            if &*back != column.as_ref() {
                let lost = lost_in(self.format, column.data_type()).unwrap_or("a part of it would be lost");
                return Err(self.does_not_fit(column, field, lost));
            }
        }
        Ok(stored)
    }

    fn does_not_fit(&self, column: &ArrayRef, field: &Field, why: &str) -> Error {
        let (format, name, data_type) = (self.format.text(), field.name(), type_name(column.data_type()));
        Error::user(format!("{format} cannot hold a value of column '{name}' ({data_type}): {why}"))
    }
}

/// Casts; a value that does not fit is an error and no NULL.
fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// What values of a type may have that this format does not: to be looked at in each of them.
fn lost_in(format: FormatName, data_type: &DataType) -> Option<&'static str> {
    let is_too_fine = |part: &DataType| part == &DataType::Time64(TimeUnit::Nanosecond);
    match format {
        FormatName::Avro if holds(data_type, &is_too_fine) => {
            Some("it has nanoseconds, which would be lost; cast it to microseconds")
        }
        FormatName::Parquet if holds_long_dates(data_type) => {
            Some("it is a date with a time of day, which Parquet does not have; cast it to TIMESTAMP, or to DATE")
        }
        _ => None,
    }
}

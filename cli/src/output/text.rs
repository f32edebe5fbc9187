//! Values as text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The same rows, columns of the chosen types as text.
pub fn as_text(batch: &RecordBatch, chosen: impl Fn(&DataType) -> bool) -> Result<RecordBatch, ArrowError> {
    if !batch.schema_ref().fields().iter().any(|field| chosen(field.data_type())) {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if chosen(field.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(text_column(column)?);
        } else {
            fields.push(field.clone());
            columns.push(column.clone());
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn text_column(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let value = |row: usize| (!column.is_null(row)).then(|| formatter.value(row).try_to_string()).transpose();
    let values = (0..column.len()).map(value).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(StringArray::from(values)))
}

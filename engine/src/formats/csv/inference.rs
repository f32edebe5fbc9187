//! The columns of a CSV file from its first records.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::error::Result;

use super::header::names;
use crate::error::external;
use crate::formats::options::CsvOptions;
use crate::formats::text::file::TextFile;
use crate::formats::text::reader::Reading;
use crate::formats::text::sample::sample;

/// The columns of a file; none if it has no records. A column of which nothing but nulls was seen is of type null.
pub async fn infer(file: &TextFile, reading: &Reading, options: &CsvOptions) -> Result<Schema> {
    let text = sample(file, reading, options.text.sample).await?;
    // Records of other lengths than the first are bad when they are read, if they are to be bad; not now.
    let format = options.arrow_format().map_err(external)?.with_truncated_rows(true);
    let wrong = |e: arrow::error::ArrowError| file.source.error(format!("its columns cannot be made out: {e}"));
    let (schema, _) = format
        .clone()
        .with_header(options.header)
        .infer_schema(text.as_ref(), Some(options.text.sample))
        .map_err(wrong)?;
    let schema = Schema::new(schema.fields().iter().map(roomy).collect::<Vec<_>>());
    if !options.header {
        return Ok(schema);
    }
    let names = if schema.fields().is_empty() { vec![] } else { names(&format, text.as_ref()).map_err(wrong)? };
    let field = |(name, field): (String, &std::sync::Arc<Field>)| field.as_ref().clone().with_name(name);
    Ok(Schema::new(names.into_iter().zip(schema.fields()).map(field).collect::<Vec<_>>()))
}

/// A field that takes the times which may follow: what a second or a millisecond does not hold of them would be cut off
/// without a word.
fn roomy(field: &std::sync::Arc<Field>) -> Field {
    let field = field.as_ref().clone();
    match field.data_type() {
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            field.with_data_type(data_type)
        }
        _ => field,
    }
}

/// A type that holds the values of both columns; text holds everything.
pub fn wider(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        _ => crate::formats::evolution::widest(one, other).unwrap_or(DataType::Utf8),
    }
}

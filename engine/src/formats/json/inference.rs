//! The columns of a file with JSON from its first lines.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema_from_iterator;
use datafusion::error::Result;
use serde_json::Value;

use super::parser::{check_depth, is_list};
use crate::formats::evolution::widest;
use crate::formats::options::JsonOptions;
use crate::formats::text::file::TextFile;
use crate::formats::text::reader::Reading;
use crate::formats::text::sample::sample;

/// The columns of a file; none if it has no objects. What was only ever null is of type null.
pub async fn infer(file: &TextFile, reading: &Reading, options: &JsonOptions) -> Result<Schema> {
    let text = sample(file, reading, options.text.sample).await?;
    if is_list(&text) {
        return Err(file.source.error("it is a list of objects; it has to have one object on each line instead"));
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let skip = options.text.bad_rows.skip;
    let values = lines.take(options.text.sample).enumerate().map(|(at, line)| value(at, line));
    // Lines that are bad are left out when they are read, too.
    let values = values.filter(|value| !skip || matches!(value, Ok(Value::Object(_))));
    infer_json_schema_from_iterator(values)
        .map_err(|error| file.source.error(format!("its columns cannot be made out: {error}")))
}

fn value(at: usize, line: &[u8]) -> Result<Value, ArrowError> {
    check_depth(line)?;
    let mut value = serde_json::from_slice(line)
        .map_err(|e| ArrowError::JsonError(format!("object {} is not JSON on one line: {e}", at + 1)))?;
    keep_digits(&mut value);
    Ok(value)
}

/// Numbers beyond the signed integers would be taken for floats, which lose digits; as text they have them all.
fn keep_digits(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_u64() && !number.is_i64() => *value = Value::String(number.to_string()),
        Value::Array(items) => items.iter_mut().for_each(keep_digits),
        Value::Object(members) => members.values_mut().for_each(keep_digits),
        _ => {}
    }
}

/// A type that holds the values of both columns; scalars of different kinds are text.
pub fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    match (one, other) {
        (DataType::Struct(one), DataType::Struct(other)) => members(one, other).map(DataType::Struct),
        (DataType::List(one), DataType::List(other)) => {
            let item = wider(one.data_type(), other.data_type())?;
            Some(DataType::List(Arc::new(Field::new_list_field(item, true))))
        }
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => Some(DataType::Float64),
        _ if one.is_nested() && !other.is_null() || other.is_nested() && !one.is_null() => None,
        _ => Some(widest(one, other).unwrap_or(DataType::Utf8)),
    }
}

fn members(one: &Fields, other: &Fields) -> Option<Fields> {
    let mut fields: Vec<Field> = one.iter().map(|field| field.as_ref().clone()).collect();
    for field in other {
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => *known = Field::new(field.name(), wider(known.data_type(), field.data_type())?, true),
            None => fields.push(field.as_ref().clone()),
        }
    }
    Some(fields.into())
}

/// Text in place of null, wherever in a type: nothing is known of it, and text is what can be anything.
pub fn without_nulls(data_type: &DataType) -> DataType {
    let inner = |field: &Arc<Field>| Arc::new(field.as_ref().clone().with_data_type(without_nulls(field.data_type())));
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(inner(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

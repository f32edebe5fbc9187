//! Columns of integers. arrow-json takes 1.5 for 1 in them and 1e-5 for 0, so their values are read as the text that they
//! are, and made integers here or found to be none.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StringArray, StructArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;

/// All whole numbers below are numbers of a double.
const EXACT: f64 = (1_u64 << 53) as f64;

/// The type by which arrow-json reads values of a type.
pub fn read_as(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(read_as(field.data_type())));
    match data_type {
        integer if integer.is_integer() => DataType::Utf8,
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

/// Values that were read by [`read_as`] in the type that they are to have.
pub fn typed(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if values.data_type() == data_type {
        return Ok(Arc::clone(values));
    }
    match data_type {
        DataType::List(item) => list::<i32>(values, item),
        DataType::LargeList(item) => list::<i64>(values, item),
        DataType::FixedSizeList(item, size) => {
            let list = values.as_fixed_size_list();
            let items = typed(list.values(), item.data_type())?;
            Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *size, items, list.nulls().cloned())?))
        }
        DataType::Map(entries, sorted) => {
            let map = values.as_map();
            let pairs: ArrayRef = Arc::new(map.entries().clone());
            let pairs = typed(&pairs, entries.data_type())?.as_struct().clone();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
        }
        DataType::Struct(fields) => {
            let members = values.as_struct();
            let columns = members.columns().iter().zip(fields).map(|(column, field)| typed(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, members.nulls().cloned())?))
        }
        _ => integers(values, data_type),
    }
}

fn list<O: OffsetSizeTrait>(values: &ArrayRef, item: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let list = values.as_list::<O>();
    let items = typed(list.values(), item.data_type())?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(Arc::clone(item), offsets, items, nulls)?))
}

fn integers(texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let Some(written) = texts.as_string_opt::<i32>() else {
        return Err(ArrowError::JsonError(format!("{} is not read as {data_type}", texts.data_type())));
    };
    cast_with_options(texts, data_type, &strict).or_else(|_| {
        let plain: StringArray = written.iter().map(|text| text.map(plain)).collect();
        cast_with_options(&plain, data_type, &strict)
    })
}

/// A whole number without the point and the exponent that it is written with (`1.0`, `1e3`); what is none as it is.
fn plain(text: &str) -> Cow<'_, str> {
    match text.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < EXACT => Cow::Owned((number as i64).to_string()),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_however_they_are_written_and_others_are_none() {
        let read = |text: &str, data_type: &DataType| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), None, Some(text)]));
            typed(&texts, data_type).map(|numbers| {
                let texts = cast_with_options(&numbers, &DataType::Utf8, &CastOptions::default()).unwrap();
                assert!(numbers.is_null(1));
                texts.as_string::<i32>().value(2).to_owned()
            })
        };
        for (text, number) in [
            ("-0", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("9223372036854775807", "9223372036854775807"),
            ("-1.0E1", "-10"),
        ] {
            assert_eq!(read(text, &DataType::Int64).unwrap(), number);
        }
        assert_eq!(read("18446744073709551615", &DataType::UInt64).unwrap(), "18446744073709551615");
        for text in ["1.5", "1e-5", "9223372036854775808", "9007199254740993.0", "1e99", "true", ""] {
            assert!(read(text, &DataType::Int64).is_err(), "{text}");
        }
        assert!(read("300", &DataType::Int8).is_err());
        assert!(read("-1", &DataType::UInt64).is_err());
    }
}

//! One schema for files that differ: columns that were added, left out, put in another order, or widened.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use windrow_common::{Error, Result};

/// The schema of a table over these files: all their columns by name, in the order in which they come, each of the
/// narrowest type that holds what all files have in it.
pub fn merge_schemas<'a>(files: impl IntoIterator<Item = (&'a str, &'a Schema)>) -> Result<Schema> {
    merge_by(files, &|one, other| widest(one, other))
}

/// The same with another idea of which type holds both of two.
pub fn merge_by<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a Schema)>,
    wider: &dyn Fn(&DataType, &DataType) -> Option<DataType>,
) -> Result<Schema> {
    // Each column with the file that its type is from, and the number of files that have it.
    let mut columns: Vec<(Field, &str, usize)> = vec![];
    let mut places = std::collections::BTreeMap::new();
    let mut metadata = None;
    let mut count = 0;
    for (file, schema) in files {
        count += 1;
        metadata.get_or_insert(&schema.metadata);
        for field in schema.fields() {
            let place = *places.entry(field.name().as_str()).or_insert(columns.len());
            let Some((column, from, seen)) = columns.get_mut(place) else {
                columns.push((field.as_ref().clone(), file, 1));
                continue;
            };
            *seen += 1;
            let merged = wider(column.data_type(), field.data_type()).ok_or_else(|| {
                Error::user(format!(
                    "column '{}' is {} in {from} and {} in {file}, and no type holds both; read the files apart, or \
                     name the columns and their types",
                    field.name(),
                    column.data_type(),
                    field.data_type()
                ))
            })?;
            if merged != *column.data_type() {
                *from = file;
            }
            let nullable = column.is_nullable() || field.is_nullable();
            if column.metadata() != field.metadata() {
                column.set_metadata(Default::default());
            }
            *column = column.clone().with_data_type(merged).with_nullable(nullable);
        }
    }
    let fields: Vec<Field> = columns
        .into_iter()
        .map(|(field, _, seen)| if seen < count { field.with_nullable(true) } else { field })
        .collect();
    Ok(Schema::new_with_metadata(fields, metadata.cloned().unwrap_or_default()))
}

/// The narrowest type that holds the values of both without loss, if there is one.
pub fn widest(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType as T;
    if one == other {
        return Some(one.clone());
    }
    match (one, other) {
        (T::Null, known) | (known, T::Null) => Some(known.clone()),
        (T::Dictionary(_, value), known) | (known, T::Dictionary(_, value)) => match known {
            T::Dictionary(_, other) => widest(value, other),
            plain => widest(value, plain),
        },
        _ => numbers(one, other)
            .or_else(|| times(one, other))
            .or_else(|| strings(one, other))
            .or_else(|| nested(one, other)),
    }
}

/// Bits of an integer, and whether it has a sign.
fn integer(data_type: &DataType) -> Option<(u8, bool)> {
    match data_type {
        DataType::Int8 => Some((8, true)),
        DataType::Int16 => Some((16, true)),
        DataType::Int32 => Some((32, true)),
        DataType::Int64 => Some((64, true)),
        DataType::UInt8 => Some((8, false)),
        DataType::UInt16 => Some((16, false)),
        DataType::UInt32 => Some((32, false)),
        DataType::UInt64 => Some((64, false)),
        _ => None,
    }
}

/// Digits of a decimal or an integer before the point, and behind it.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
        }
        _ => integer(data_type).map(|(bits, signed)| match (bits, signed) {
            (8, _) => (3, 0),
            (16, _) => (5, 0),
            (32, _) => (10, 0),
            (_, true) => (19, 0),
            (_, false) => (20, 0),
        }),
    }
}

fn decimal(one: &DataType, other: &DataType) -> Option<DataType> {
    let ((before, behind), (other_before, other_behind)) = (digits(one)?, digits(other)?);
    let scale = behind.max(other_behind);
    let precision = u8::try_from((before.max(other_before) + scale).max(1)).ok()?;
    let scale = i8::try_from(scale).ok()?;
    match precision {
        ..=38 => Some(DataType::Decimal128(precision, scale)),
        39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

fn numbers(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType as T;
    let float = |bits: u8| if bits <= 32 { T::Float32 } else { T::Float64 };
    let float_bits = |data_type: &DataType| match data_type {
        T::Float16 => Some(16),
        T::Float32 => Some(32),
        T::Float64 => Some(64),
        _ => None,
    };
    match (float_bits(one), float_bits(other)) {
        (Some(one), Some(other)) => return Some(float(one.max(other))),
        (Some(_), None) | (None, Some(_)) => {
            // All integers of 32 bits are numbers of a double.
            let bits = integer(one).or(integer(other))?.0;
            return (bits <= 32).then_some(T::Float64);
        }
        (None, None) => {}
    }
    let (Some((bits, signed)), Some((other_bits, other_signed))) = (integer(one), integer(other)) else {
        return decimal(one, other);
    };
    let needed = match (signed, other_signed) {
        (true, true) | (false, false) => bits.max(other_bits),
        (true, false) => bits.max(other_bits.saturating_mul(2)),
        (false, true) => other_bits.max(bits.saturating_mul(2)),
    };
    match (needed, signed || other_signed) {
        (8, true) => Some(T::Int8),
        (16, true) => Some(T::Int16),
        (32, true) => Some(T::Int32),
        (64, true) => Some(T::Int64),
        (8, false) => Some(T::UInt8),
        (16, false) => Some(T::UInt16),
        (32, false) => Some(T::UInt32),
        (64, false) => Some(T::UInt64),
        _ => decimal(one, other),
    }
}

fn times(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType as T;
    match (one, other) {
        (T::Timestamp(unit, zone), T::Timestamp(other_unit, other_zone)) => {
            // A moment is the same moment in every zone; a time without a zone is no moment.
            let zones = zone.is_some() == other_zone.is_some();
            zones.then(|| T::Timestamp(finer(*unit, *other_unit), zone.clone()))
        }
        (T::Date32, T::Timestamp(..)) => Some(other.clone()),
        (T::Timestamp(..), T::Date32) => Some(one.clone()),
        (T::Date32, T::Date64) | (T::Date64, T::Date32) => Some(T::Date64),
        (T::Time32(_), T::Time32(_)) => Some(T::Time32(TimeUnit::Millisecond)),
        (T::Time32(_), T::Time64(unit)) | (T::Time64(unit), T::Time32(_)) => Some(T::Time64(*unit)),
        (T::Time64(_), T::Time64(_)) => Some(T::Time64(TimeUnit::Nanosecond)),
        (T::Duration(unit), T::Duration(other)) => Some(T::Duration(finer(*unit, *other))),
        _ => None,
    }
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    one.max(other)
}

fn strings(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType as T;
    let text = |data_type: &DataType| matches!(data_type, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let bytes =
        |data_type: &DataType| matches!(data_type, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_));
    let either = |wanted: &DataType| one == wanted || other == wanted;
    if text(one) && text(other) {
        return Some(if either(&T::Utf8View) { T::Utf8View } else { T::LargeUtf8 });
    }
    if !bytes(one) || !bytes(other) {
        return None;
    }
    Some(if either(&T::BinaryView) {
        T::BinaryView
    } else if either(&T::LargeBinary) {
        T::LargeBinary
    } else {
        T::Binary
    })
}

fn nested(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType as T;
    let item = |one: &FieldRef, other: &FieldRef| {
        let merged = widest(one.data_type(), other.data_type())?;
        let nullable = one.is_nullable() || other.is_nullable();
        Some(Arc::new(one.as_ref().clone().with_data_type(merged).with_nullable(nullable)))
    };
    match (one, other) {
        (T::List(one), T::List(other)) => Some(T::List(item(one, other)?)),
        (T::LargeList(one), T::LargeList(other) | T::List(other)) | (T::List(one), T::LargeList(other)) => {
            Some(T::LargeList(item(one, other)?))
        }
        (T::FixedSizeList(one, size), T::FixedSizeList(other, same)) if size == same => {
            Some(T::FixedSizeList(item(one, other)?, *size))
        }
        (T::Map(one, sorted), T::Map(other, also)) => Some(T::Map(item(one, other)?, *sorted && *also)),
        (T::Struct(one), T::Struct(other)) => Some(T::Struct(members(one, other)?)),
        _ => None,
    }
}

fn members(one: &Fields, other: &Fields) -> Option<Fields> {
    let mut fields: Vec<Field> = vec![];
    for field in one {
        fields.push(match other.find(field.name()) {
            Some((_, same)) => {
                let merged = widest(field.data_type(), same.data_type())?;
                let nullable = field.is_nullable() || same.is_nullable();
                field.as_ref().clone().with_data_type(merged).with_nullable(nullable)
            }
            None => field.as_ref().clone().with_nullable(true),
        });
    }
    let added = other.iter().filter(|field| one.find(field.name()).is_none());
    fields.extend(added.map(|field| field.as_ref().clone().with_nullable(true)));
    Some(fields.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_without_loss_or_not_at_all() {
        use DataType as T;
        let zone = || Some(Arc::from("UTC"));
        for (one, other, merged) in [
            (T::Int32, T::Int64, Some(T::Int64)),
            (T::UInt32, T::Int8, Some(T::Int64)),
            (T::UInt64, T::Int8, Some(T::Decimal128(20, 0))),
            (T::Float32, T::Float64, Some(T::Float64)),
            (T::Int32, T::Float32, Some(T::Float64)),
            (T::Int64, T::Float64, None),
            (T::Decimal128(10, 2), T::Decimal128(12, 5), Some(T::Decimal128(13, 5))),
            (T::Decimal128(10, 2), T::Int64, Some(T::Decimal128(21, 2))),
            (T::Decimal128(38, 0), T::Decimal128(38, 38), Some(T::Decimal256(76, 38))),
            (T::Date32, T::Timestamp(TimeUnit::Second, None), Some(T::Timestamp(TimeUnit::Second, None))),
            (
                T::Timestamp(TimeUnit::Second, None),
                T::Timestamp(TimeUnit::Microsecond, None),
                Some(T::Timestamp(TimeUnit::Microsecond, None)),
            ),
            (T::Timestamp(TimeUnit::Second, None), T::Timestamp(TimeUnit::Second, zone()), None),
            (T::Utf8, T::Utf8View, Some(T::Utf8View)),
            (T::Utf8, T::LargeUtf8, Some(T::LargeUtf8)),
            (T::Dictionary(Box::new(T::Int32), Box::new(T::Utf8)), T::Utf8, Some(T::Utf8)),
            (T::Utf8, T::Int64, None),
            (T::Boolean, T::Int8, None),
            (T::Null, T::Boolean, Some(T::Boolean)),
        ] {
            assert_eq!(widest(&one, &other), merged, "{one} and {other}");
            if !matches!(one, T::Timestamp(..)) {
                assert_eq!(widest(&other, &one), merged, "{other} and {one}");
            }
        }
    }

    #[test]
    fn a_table_has_all_columns_of_its_files() {
        let field = Field::new;
        let first = Schema::new(vec![field("a", DataType::Int32, false), field("b", DataType::Utf8, false)]);
        let second = Schema::new(vec![field("c", DataType::Date32, false), field("a", DataType::Int64, false)]);
        let merged = merge_schemas([("one", &first), ("two", &second)]).unwrap();
        let expected = vec![
            field("a", DataType::Int64, false),
            field("b", DataType::Utf8, true),
            field("c", DataType::Date32, true),
        ];
        assert_eq!(merged, Schema::new(expected));
        let third = Schema::new(vec![field("a", DataType::Boolean, false)]);
        let error = merge_schemas([("one", &first), ("two", &second), ("three", &third)]).unwrap_err();
        assert!(error.message.contains("'a' is Int64 in two and Boolean in three"), "{}", error.message);
    }
}

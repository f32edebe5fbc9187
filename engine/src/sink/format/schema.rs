//! What each format can hold, and as what: looked at before any task runs, so that nothing is found out after an hour.
//!
//! Types that a format lacks are changed only where nothing is lost and every reader understands the result: views and
//! dictionaries become plain columns, Parquet gets the dates and Avro the integers and times that it has. Everything else
//! is refused, with the column and what to do about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;
use windrow_common::{Error, ErrorKind, Result};

use super::{BloomFilters, Format, FormatName};
use crate::exchange::outward::outward_schema;

/// The name of the zone that Avro's timestamps have: they are moments, whatever the zone they were seen from.
const AVRO_ZONE: &str = "+00:00";

impl Format {
    /// Refuses columns that this format cannot hold as they are.
    pub fn check_schema(&self, schema: &Schema) -> Result<()> {
        if schema.fields().is_empty() {
            return Err(Error::user("there are no columns to write; select at least one"));
        }
        if let Format::Parquet(settings) = self
            && let BloomFilters::Columns(columns) = &settings.bloom_filters
            && let Some(unknown) = columns.iter().find(|column| schema.index_of(column).is_err())
        {
            return Err(Error::user(format!(
                "option 'bloom_filter' names '{unknown}', which is no column of the rows"
            )));
        }
        let name = self.name();
        if matches!(name, FormatName::Json | FormatName::Avro) {
            refuse_same_names(name, "", schema.fields())?;
        }
        schema.fields().iter().try_for_each(|field| match name {
            FormatName::Parquet => check_parquet(field),
            FormatName::Csv | FormatName::Tsv => check_csv(name, field),
            FormatName::Json => check_json(field.name(), field.data_type()),
            FormatName::Arrow | FormatName::ArrowStream => Ok(()),
            FormatName::Avro => check_avro(field.name(), field.name(), field.data_type()),
        })
    }

    /// The columns as they lie in the files.
    pub fn stored_schema(&self, schema: &SchemaRef) -> SchemaRef {
        match self {
            Format::Parquet(_) => parquet_schema(schema),
            Format::Csv(_) | Format::Json(_) | Format::Arrow(_) => outward_schema(schema),
            // Without metadata: some of it would be taken for instructions.
            Format::Avro(_) => Arc::new(Schema::new(avro_fields(outward_schema(schema).fields()))),
        }
    }
}

fn refused(format: FormatName, column: &str, data_type: &DataType, advice: &str) -> Error {
    let (format, data_type) = (format.text(), type_name(data_type));
    Error::new(ErrorKind::Unsupported, format!("{format} cannot hold column '{column}' ({data_type}); {advice}"))
}

/// A type as errors name it: of nested ones only the outermost.
pub(in crate::sink) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "a list".into(),
        DataType::ListView(_) | DataType::LargeListView(_) => "a list".into(),
        DataType::Struct(_) => "a struct".into(),
        DataType::Map(..) => "a map".into(),
        DataType::Union(..) => "a union".into(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        other => other.to_string(),
    }
}

const NO_UNIONS: &str = "pick its parts with union_extract";
const AS_TEXT: &str = "cast it to VARCHAR";

fn check_parquet(field: &FieldRef) -> Result<()> {
    refuse_in_parquet(field.name(), field.data_type())?;
    let alone = Schema::new(vec![Arc::clone(field)]);
    ArrowSchemaConverter::new().convert(&alone).map(drop).map_err(|e| {
        refused(FormatName::Parquet, field.name(), field.data_type(), &format!("{e}; cast it, or leave it out"))
    })
}

/// What the converter of schemas takes, or panics at, and the writer of columns does not take.
fn refuse_in_parquet(column: &str, data_type: &DataType) -> Result<()> {
    let no = |advice| Err(refused(FormatName::Parquet, column, data_type, advice));
    match data_type {
        DataType::Union(..) => no(NO_UNIONS),
        DataType::Interval(IntervalUnit::MonthDayNano) => no(AS_TEXT),
        DataType::Struct(fields) if fields.is_empty() => no("it has no fields; leave it out"),
        other => inner(other).into_iter().try_for_each(|field| refuse_in_parquet(column, field.data_type())),
    }
}

fn check_csv(name: FormatName, field: &Field) -> Result<()> {
    let data_type = field.data_type();
    let plain = match data_type {
        DataType::Dictionary(_, values) => values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    };
    let no = |advice: &str| Err(refused(name, field.name(), data_type, advice));
    let column = field.name();
    match plain {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            no(&format!("write encode({column}, 'hex')"))
        }
        DataType::Struct(_) => no(&format!("select its parts ({column}['field']), or write JSON, Avro or Parquet")),
        DataType::Map(..) => no("select values of it, or write JSON, Avro or Parquet"),
        DataType::Union(..) => no(NO_UNIONS),
        DataType::Duration(_) => no("cast it to BIGINT"),
        nested if nested.is_nested() => {
            no(&format!("write array_to_string({column}, ' '), or JSON, Avro or Parquet instead"))
        }
        _ => Ok(()),
    }
}

fn check_json(column: &str, data_type: &DataType) -> Result<()> {
    let no = |advice| Err(refused(FormatName::Json, column, data_type, advice));
    match data_type {
        DataType::Union(..) => no(NO_UNIONS),
        DataType::Map(entries, _) if !has_text_keys(entries) => no("names in JSON are text; cast the map's keys"),
        DataType::Struct(fields) => {
            refuse_same_names(FormatName::Json, column, fields)?;
            fields.iter().try_for_each(|field| check_json(column, field.data_type()))
        }
        other => inner(other).into_iter().try_for_each(|field| check_json(column, field.data_type())),
    }
}

fn check_avro(column: &str, name: &str, data_type: &DataType) -> Result<()> {
    let no = |advice: &str| Err(refused(FormatName::Avro, column, data_type, advice));
    let mut signs = name.chars();
    let starts = signs.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !starts || !signs.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("avro cannot name a column '{name}': only letters, digits and _ are allowed; rename it with AS"),
        ));
    }
    match data_type {
        DataType::Null => no("it has no type; cast it, for example to VARCHAR"),
        DataType::Union(..) => no(NO_UNIONS),
        DataType::Interval(_) => no(AS_TEXT),
        DataType::Duration(_) => no("cast it to BIGINT"),
        DataType::Map(entries, _) if !has_text_keys(entries) => no("names in Avro are text; cast the map's keys"),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale < 0 || i16::from(*scale) > i16::from(*precision) =>
        {
            no("cast it to a decimal whose scale is between 0 and its precision")
        }
        DataType::Struct(fields) if fields.is_empty() => no("it has no fields; leave it out"),
        DataType::Struct(fields) => {
            refuse_same_names(FormatName::Avro, column, fields)?;
            fields.iter().try_for_each(|field| check_avro(column, field.name(), field.data_type()))
        }
        // Names of what is inside are not written down, except those of structs.
        other => inner(other).into_iter().try_for_each(|field| match other {
            DataType::Map(..) => match field.data_type() {
                DataType::Struct(entry) => entry.iter().try_for_each(|f| check_avro(column, "_", f.data_type())),
                _ => Ok(()),
            },
            _ => check_avro(column, "_", field.data_type()),
        }),
    }
}

/// The fields that a type is made of.
fn inner(data_type: &DataType) -> Vec<FieldRef> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => vec![Arc::clone(item)],
        DataType::ListView(item) | DataType::LargeListView(item) => vec![Arc::clone(item)],
        DataType::Map(entries, _) => vec![Arc::clone(entries)],
        DataType::RunEndEncoded(_, values) => vec![Arc::clone(values)],
        DataType::Dictionary(_, values) => vec![Arc::new(Field::new("values", values.as_ref().clone(), true))],
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        _ => vec![],
    }
}

fn has_text_keys(entries: &Field) -> bool {
    let DataType::Struct(fields) = entries.data_type() else { return false };
    let Some(key) = fields.first() else { return false };
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match key.data_type() {
        DataType::Dictionary(_, values) => is_text(values),
        other => is_text(other),
    }
}

/// Two values of one name in one object: readers keep the one or the other.
fn refuse_same_names(format: FormatName, column: &str, fields: &Fields) -> Result<()> {
    let mut seen = BTreeSet::new();
    let Some(twice) = fields.iter().find(|field| !seen.insert(field.name())) else { return Ok(()) };
    let place = if column.is_empty() { String::new() } else { format!(" in column '{column}'") };
    let (format, name) = (format.text(), twice.name());
    Err(Error::user(format!("{format} cannot hold two values called '{name}'{place}; give one another name with AS")))
}

/// The same columns, but for dates in milliseconds and times in seconds: Parquet has dates in days only, and times in
/// milliseconds or finer, and would take others for numbers.
fn parquet_schema(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| is_number_in_parquet(field.data_type())) {
        return Arc::clone(schema);
    }
    let fields: Fields = schema.fields().iter().map(parquet_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn parquet_field(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(parquet_type(field.data_type())))
}

fn parquet_type(data_type: &DataType) -> DataType {
    match data_type {
        other if !is_number_in_parquet(other) => other.clone(),
        DataType::Date64 => DataType::Date32,
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::List(item) => DataType::List(parquet_field(item)),
        DataType::LargeList(item) => DataType::LargeList(parquet_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(parquet_field(item), *size),
        DataType::ListView(item) => DataType::ListView(parquet_field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(parquet_field(item)),
        DataType::Map(entries, sorted) => DataType::Map(parquet_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(parquet_field).collect()),
        DataType::Dictionary(keys, values) => DataType::Dictionary(keys.clone(), Box::new(parquet_type(values))),
        DataType::RunEndEncoded(_, values) => parquet_type(values.data_type()),
        other => other.clone(),
    }
}

/// Whether a type has dates or times that Parquet has no name for.
fn is_number_in_parquet(data_type: &DataType) -> bool {
    use DataType::{Date64, Time32, Timestamp};
    holds(data_type, &|part| matches!(part, Date64 | Time32(TimeUnit::Second) | Timestamp(TimeUnit::Second, _)))
}

/// Whether a type has dates in milliseconds.
pub(in crate::sink) fn holds_long_dates(data_type: &DataType) -> bool {
    holds(data_type, &|part| part == &DataType::Date64)
}

/// Whether a type, or a part of it, is such a one.
pub(in crate::sink) fn holds(data_type: &DataType, such: &dyn Fn(&DataType) -> bool) -> bool {
    such(data_type) || inner(data_type).iter().any(|field| holds(field.data_type(), such))
}

fn avro_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| Arc::new(avro_field(field))).collect()
}

fn avro_field(field: &Field) -> Field {
    Field::new(field.name(), avro_type(field.data_type()), field.is_nullable())
}

/// The type with which Avro's values are read back.
fn avro_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::LargeUtf8 => DataType::Utf8,
        DataType::LargeBinary => DataType::Binary,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Time32(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(unit, zone) => {
            let unit = if *unit == TimeUnit::Second { TimeUnit::Millisecond } else { *unit };
            DataType::Timestamp(unit, zone.as_ref().map(|_| AVRO_ZONE.into()))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(avro_field(item)))
        }
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(avro_field(entries)), *sorted),
        DataType::Struct(fields) => DataType::Struct(avro_fields(fields)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, data_type: DataType) -> Schema {
        Schema::new(vec![Field::new(name, data_type, true)])
    }

    fn list(data_type: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", data_type, true)))
    }

    #[test]
    fn what_a_format_cannot_hold_is_refused_by_the_columns_name() {
        let interval = || DataType::Interval(IntervalUnit::MonthDayNano);
        let record = |name: &str| DataType::Struct(vec![Field::new(name, DataType::Int32, true)].into());
        let keys = Field::new("key", DataType::Int32, false);
        let entries = DataType::Struct(vec![keys, Field::new("value", DataType::Int32, true)].into());
        let map = DataType::Map(Arc::new(Field::new("entries", entries, false)), false);
        for (format, name, data_type, says) in [
            (FormatName::Csv, "tags", list(DataType::Utf8), "array_to_string(tags"),
            (FormatName::Tsv, "person", record("a"), "person['field']"),
            (FormatName::Csv, "raw", DataType::Binary, "encode(raw, 'hex')"),
            (FormatName::Csv, "m", map.clone(), "JSON"),
            (FormatName::Json, "m", map.clone(), "keys"),
            (FormatName::Avro, "m", map.clone(), "keys"),
            (FormatName::Avro, "n", DataType::Null, "VARCHAR"),
            (FormatName::Avro, "i", list(interval()), "VARCHAR"),
            (FormatName::Avro, "d", DataType::Decimal128(10, -2), "decimal"),
            (FormatName::Avro, "a b", DataType::Int32, "rename"),
            (FormatName::Avro, "s", record("a b"), "'a b'"),
            (FormatName::Parquet, "i", interval(), "VARCHAR"),
            (FormatName::Parquet, "s", list(DataType::Struct(Fields::empty())), "no fields"),
        ] {
            let error = Format::of(format).check_schema(&one(name, data_type)).unwrap_err().message;
            assert!(error.contains(&format!("'{name}'")) || name == "s", "{error}");
            assert!(error.contains(says), "{error}");
        }
        for format in FormatName::ALL {
            Format::of(format).check_schema(&one("x", DataType::Int64)).unwrap();
        }
        for format in [FormatName::Json, FormatName::Avro, FormatName::Arrow, FormatName::Parquet] {
            Format::of(format).check_schema(&one("x", list(record("y")))).unwrap();
        }
        let twice = Schema::new(vec![Field::new("x", DataType::Int64, true), Field::new("x", DataType::Utf8, true)]);
        assert!(Format::of(FormatName::Json).check_schema(&twice).unwrap_err().message.contains("two values"));
    }

    #[test]
    fn parquet_stores_dates_and_times_as_such_wherever_they_are() {
        let parquet = |data_type: DataType| {
            let schema = Arc::new(one("x", data_type));
            Format::of(FormatName::Parquet).stored_schema(&schema).field(0).data_type().clone()
        };
        assert_eq!(parquet(DataType::Date64), DataType::Date32);
        assert_eq!(parquet(list(list(DataType::Date64))), list(list(DataType::Date32)));
        let milliseconds = DataType::Time32(TimeUnit::Millisecond);
        assert_eq!(parquet(DataType::Time32(TimeUnit::Second)), milliseconds);
        assert_eq!(parquet(list(DataType::Time32(TimeUnit::Second))), list(milliseconds));
        let moment = |unit| DataType::Timestamp(unit, Some("Europe/Berlin".into()));
        assert_eq!(parquet(moment(TimeUnit::Second)), moment(TimeUnit::Millisecond));
        let record =
            |day| DataType::Struct(vec![Field::new("n", DataType::Int8, true), Field::new("d", day, false)].into());
        assert_eq!(parquet(record(DataType::Date64)), record(DataType::Date32));
        let moment = DataType::Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(parquet(moment.clone()), moment);
    }

    #[test]
    fn avro_stores_what_it_has_names_for() {
        let zone = DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()));
        let fields = vec![Field::new("t", zone, true), Field::new("l", list(DataType::UInt8), false)];
        let stored = Format::of(FormatName::Avro).stored_schema(&Arc::new(Schema::new(fields)));
        let moment = DataType::Timestamp(TimeUnit::Millisecond, Some(AVRO_ZONE.into()));
        assert_eq!(stored.field(0).data_type(), &moment);
        assert_eq!(stored.field(1).data_type(), &list(DataType::Int32));
    }
}

//! Dates and times that are not written as ISO 8601 has them, read by patterns as `strftime` has them.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use chrono::format::{self, Item, Parsed, StrftimeItems};
use chrono::{FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};

use crate::formats::text::bad_row::shown;
use crate::sink::format::TimeFormats;

/// The pattern of a column's values; none if they are as ISO 8601 has them.
pub fn pattern_of<'a>(times: &'a TimeFormats, data_type: &DataType) -> Option<&'a str> {
    let pattern = match data_type {
        DataType::Date32 => &times.date,
        DataType::Date64 => &times.datetime,
        DataType::Timestamp(_, None) => &times.timestamp,
        DataType::Timestamp(_, Some(_)) => &times.timestamp_tz,
        DataType::Time32(_) | DataType::Time64(_) => &times.time,
        _ => &None,
    };
    pattern.as_deref()
}

/// Whether a text is a pattern.
pub fn is_pattern(text: &str) -> bool {
    !text.is_empty() && StrftimeItems::new(text).all(|item| item != Item::Error)
}

/// The values of a column that was read as text. What its type cannot hold to the last digit is an error.
pub fn parse(texts: &ArrayRef, name: &str, data_type: &DataType, pattern: &str) -> Result<ArrayRef, ArrowError> {
    let zone = match data_type {
        DataType::Timestamp(_, Some(zone)) => Some(zone.parse::<Tz>()?),
        _ => None,
    };
    let number = |text: &str| {
        number(text, data_type, zone, pattern).ok_or_else(|| {
            let value = shown(text.as_bytes());
            ArrowError::ParseError(format!(
                "{value} in column '{name}' is not of type {data_type} as '{pattern}' has it"
            ))
        })
    };
    let Some(texts) = texts.as_string_opt::<i32>() else {
        return Err(ArrowError::ParseError(format!("column '{name}' was not read as text")));
    };
    let numbers = texts.iter().map(|text| text.map(number).transpose());
    let numbers: ArrayRef = Arc::new(numbers.collect::<Result<Int64Array, _>>()?);
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let numbers = match data_type {
        DataType::Date32 | DataType::Time32(_) => cast_with_options(&numbers, &DataType::Int32, &strict)?,
        _ => numbers,
    };
    cast_with_options(&numbers, data_type, &strict)
}

/// What stands for a value in an array of its type.
fn number(text: &str, data_type: &DataType, zone: Option<Tz>, pattern: &str) -> Option<i64> {
    match data_type {
        DataType::Date32 => {
            let (clock, _) = clock(text, pattern)?;
            let days = clock.date().signed_duration_since(NaiveDate::default()).num_days();
            (clock.time() == NaiveTime::MIN).then_some(days)
        }
        DataType::Date64 => units(moment(text, pattern, None)?, TimeUnit::Millisecond),
        DataType::Timestamp(unit, _) => units(moment(text, pattern, zone)?, *unit),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let time = NaiveTime::parse_from_str(text, pattern).ok()?;
            // In a leap second there are more nanoseconds than these columns have.
            let whole = time.nanosecond() < 1_000_000_000;
            whole.then(|| units(NaiveDate::default().and_time(time), *unit)).flatten()
        }
        _ => None,
    }
}

/// What a clock shows, and its offset in seconds if the text says it.
fn clock(text: &str, pattern: &str) -> Option<(NaiveDateTime, Option<i32>)> {
    let mut parsed = Parsed::new();
    format::parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    // Seconds since 1970 are those of a moment, wherever it is.
    let offset = parsed.offset().or(parsed.timestamp().map(|_| 0));
    let mut clock = parsed.to_naive_datetime_with_offset(offset.unwrap_or(0));
    if clock.is_err() {
        // A pattern may leave out the minutes, or all of the time.
        if parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() {
            parsed.set_hour(0).ok()?;
        }
        clock = parsed.to_naive_datetime_with_offset(offset.unwrap_or(0));
    }
    Some((clock.ok()?, offset))
}

/// A moment by its own offset, or else by the column's zone, where the clock shows it once.
fn moment(text: &str, pattern: &str, zone: Option<Tz>) -> Option<NaiveDateTime> {
    let (clock, offset) = clock(text, pattern)?;
    match (offset, zone) {
        (Some(offset), _) => clock.checked_sub_offset(FixedOffset::east_opt(offset)?),
        (None, Some(zone)) => Some(zone.from_local_datetime(&clock).single()?.naive_utc()),
        (None, None) => Some(clock),
    }
}

fn units(moment: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    let (moment, nanoseconds) = (moment.and_utc(), moment.nanosecond());
    let (number, size) = match unit {
        TimeUnit::Second => (moment.timestamp(), 1_000_000_000),
        TimeUnit::Millisecond => (moment.timestamp_millis(), 1_000_000),
        TimeUnit::Microsecond => (moment.timestamp_micros(), 1_000),
        TimeUnit::Nanosecond => (moment.timestamp_nanos_opt()?, 1),
    };
    (nanoseconds % size == 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, StringArray};
    use arrow::util::display::array_value_to_string;

    use super::*;

    #[test]
    fn times_are_read_by_their_patterns_or_are_none() {
        use DataType as T;
        let zone = || Some(Arc::from("Europe/Berlin"));
        for (data_type, pattern, good, value, bad) in [
            (T::Date32, "%d.%m.%Y", "31.01.1969", "1969-01-31", "1969-01-31"),
            (T::Date32, "%d.%m.%Y", "29.02.2024", "2024-02-29", "30.02.2024"),
            (T::Date32, "%d.%m.%Y %H", "29.02.2024 00", "2024-02-29", "29.02.2024 10"),
            (T::Timestamp(TimeUnit::Second, None), "%Y-%m-%d %H", "2024-02-29 10", "2024-02-29T10:00:00", "2024-02-29"),
            (T::Timestamp(TimeUnit::Second, None), "%Y-%m-%d %I", "2024-02-29 10", "", "2024-02-29 10"),
            (T::Timestamp(TimeUnit::Second, zone()), "%s", "86400", "1970-01-02T01:00:00+01:00", "x"),
            (T::Date64, "%Y/%m/%d %H:%M", "2024/01/31 10:05", "2024-01-31T10:05:00", "2024/01/31"),
            (T::Timestamp(TimeUnit::Second, None), "%d.%m.%Y", "01.02.2024", "2024-02-01T00:00:00", "1.2."),
            (
                T::Timestamp(TimeUnit::Millisecond, None),
                "%Y%m%d %H%M%S%.f",
                "20240131 100500.25",
                "2024-01-31T10:05:00.250",
                "20240131 100500.0001",
            ),
            (
                T::Timestamp(TimeUnit::Second, zone()),
                "%Y-%m-%d %H:%M %z",
                "2024-01-31 10:05 +0000",
                "2024-01-31T11:05:00+01:00",
                "2024-01-31 10:05",
            ),
            (
                T::Timestamp(TimeUnit::Second, zone()),
                "%Y-%m-%d %H:%M",
                "2024-07-31 10:05",
                "2024-07-31T10:05:00+02:00",
                // Twice in that night.
                "2024-10-27 02:30",
            ),
            (T::Time64(TimeUnit::Microsecond), "%Hh%M", "10h05", "10:05:00", "25h00"),
            (T::Time32(TimeUnit::Second), "%H.%M.%S", "10.05.07", "10:05:07", ""),
        ] {
            let read = |text: &str| {
                let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some(text)]));
                parse(&texts, "t", &data_type, pattern)
            };
            // A text without value is one that nobody can read either: ten o'clock of which half of the day?
            if !value.is_empty() {
                let values = read(good).unwrap();
                assert_eq!(values.data_type(), &data_type);
                assert!(values.is_null(0));
                assert_eq!(array_value_to_string(&values, 1).unwrap(), value, "{data_type}");
            }
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("column 't'") && error.contains(pattern), "{data_type}: {error}");
        }
        assert!(is_pattern("%Y") && !is_pattern("%Q") && !is_pattern(""));
    }
}

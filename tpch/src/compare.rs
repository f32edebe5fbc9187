//! Whether two answers have the same rows, in any order, floating-point numbers within a tolerance.
//!
//! The order of rows is not compared: what `ORDER BY` leaves open differs from run to run. Everything else is: the
//! names of the columns, the number of rows, NULLs, and each value as it prints.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow_common::{Error, Result};

/// How far two floating-point numbers may lie apart, relative to the larger one: sums in another order differ by this.
pub const TOLERANCE: f64 = 1e-9;

/// Rows with the same exact values among which the best partner is searched for one by one.
const SEARCHED_GROUP: usize = 256;

/// How two answers differ; prints as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference(String);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Compares two answers as multisets of rows. `Ok(None)`: they are the same. An error: a value could not be printed.
///
/// An answer without batches has no column names to compare; it equals any answer without rows.
pub fn compare(expected: &[RecordBatch], actual: &[RecordBatch]) -> Result<Option<Difference>> {
    if let (Some(left), Some(right)) = (expected.first(), actual.first()) {
        let names = |batch: &RecordBatch| batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        if names(left) != names(right) {
            let text = format!("the columns are {:?}, expected {:?}", names(right), names(left));
            return Ok(Some(Difference(text)));
        }
    }
    let failed = |error: ArrowError| Error::internal(format!("cannot compare rows: {error}"));
    let (expected, actual) = (sorted_rows(expected).map_err(failed)?, sorted_rows(actual).map_err(failed)?);
    if expected.len() != actual.len() {
        return Ok(Some(Difference(format!("{} rows, expected {}", actual.len(), expected.len()))));
    }
    Ok(first_difference(&expected, &actual))
}

/// A row: what must be equal, and what must be close.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    exact: Vec<Option<String>>,
    floats: Vec<Option<f64>>,
}

impl Row {
    fn is_close(&self, other: &Row) -> bool {
        let close = |pair: (&Option<f64>, &Option<f64>)| match pair {
            (Some(a), Some(b)) => {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.exact == other.exact && self.floats.iter().zip(&other.floats).all(close)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.exact.iter().map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned()));
        let floats = self.floats.iter().map(|value| value.map_or_else(|| "NULL".to_owned(), |v| v.to_string()));
        write!(f, "({})", exact.chain(floats).collect::<Vec<_>>().join(", "))
    }
}

fn sorted_rows(batches: &[RecordBatch]) -> Result<Vec<Row>, ArrowError> {
    let mut rows = Vec::new();
    for batch in batches {
        let (floats, exact): (Vec<&ArrayRef>, Vec<&ArrayRef>) =
            batch.columns().iter().partition(|column| column.data_type().is_floating());
        let floats = floats.into_iter().map(|c| cast(c, &DataType::Float64)).collect::<Result<Vec<_>, _>>()?;
        let options = FormatOptions::default();
        let printers = exact
            .iter()
            .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        for index in 0..batch.num_rows() {
            let print = |(column, printer): &(&&ArrayRef, ArrayFormatter<'_>)| {
                let value = (!column.is_null(index)).then(|| printer.value(index).try_to_string());
                value.transpose()
            };
            let number =
                |column: &ArrayRef| column.is_valid(index).then(|| column.as_primitive::<Float64Type>().value(index));
            rows.push(Row {
                exact: printers.iter().map(print).collect::<Result<Vec<_>, _>>()?,
                floats: floats.iter().map(number).collect(),
            });
        }
    }
    rows.sort_by(|a, b| a.exact.cmp(&b.exact).then_with(|| compare_floats(&a.floats, &b.floats)));
    Ok(rows)
}

fn compare_floats(a: &[Option<f64>], b: &[Option<f64>]) -> std::cmp::Ordering {
    let key = |value: &Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    let pairs = a.iter().zip(b).map(|(a, b)| a.is_some().cmp(&b.is_some()).then(key(a).total_cmp(&key(b))));
    pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

/// Both are sorted and of the same length. Rows whose exact values are equal form groups; within a small group every
/// row looks for a partner, for numbers that are close may have been sorted differently.
fn first_difference(expected: &[Row], actual: &[Row]) -> Option<Difference> {
    let mut start = 0;
    while start < expected.len() {
        let group = expected[start..].iter().take_while(|row| row.exact == expected[start].exact).count();
        let mut left: Vec<&Row> = actual[start..start + group].iter().collect();
        for row in &expected[start..start + group] {
            let reach = if group <= SEARCHED_GROUP { left.len() } else { 1 };
            match left[..reach].iter().position(|candidate| row.is_close(candidate)) {
                Some(found) => drop(left.remove(found)),
                None => {
                    let text = format!("row {row} is missing; in its place is {}", left[0]);
                    return Some(Difference(text));
                }
            }
        }
        start += group;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Float64Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn batch(keys: Vec<Option<i64>>, names: Vec<&str>, sums: Vec<Option<f64>>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("k", Arc::new(Int64Array::from(keys)) as ArrayRef, true),
            ("name", Arc::new(StringArray::from(names)), true),
            ("sum", Arc::new(Float64Array::from(sums)), true),
        ])
        .unwrap()
    }

    fn differs(expected: &[RecordBatch], actual: &[RecordBatch]) -> bool {
        compare(expected, actual).unwrap().is_some()
    }

    #[test]
    fn order_batches_and_last_bits_do_not_matter() {
        let whole = batch(vec![Some(1), None, Some(2)], vec!["a", "b", "c"], vec![Some(1e9), None, Some(0.3)]);
        let apart = [
            batch(vec![Some(2)], vec!["c"], vec![Some(0.1 + 0.2)]),
            batch(vec![None, Some(1)], vec!["b", "a"], vec![None, Some(1e9 + 0.1)]),
        ];
        assert_eq!(compare(&[whole], &apart).unwrap(), None);
    }

    #[test]
    fn numbers_that_sort_differently_but_lie_close_find_each_other() {
        let a = batch(vec![Some(1); 2], vec!["x"; 2], vec![Some(1.0), Some(1.0 + 1e-12)]);
        let b = batch(vec![Some(1); 2], vec!["x"; 2], vec![Some(1.0 + 2e-12), Some(1.0 - 1e-12)]);
        assert_eq!(compare(&[a], &[b]).unwrap(), None);
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let base = || batch(vec![Some(1), Some(2)], vec!["a", "b"], vec![Some(1.0), None]);
        assert!(differs(&[base()], &[batch(vec![Some(1)], vec!["a"], vec![Some(1.0)])]), "a row less");
        assert!(differs(&[base()], &[base(), base()]), "all rows twice");
        assert!(differs(&[base()], &[batch(vec![Some(1), None], vec!["a", "b"], vec![Some(1.0), None])]), "NULL");
        assert!(differs(&[base()], &[batch(vec![Some(1), Some(2)], vec!["a", "B"], vec![Some(1.0), None])]), "text");
        let off = batch(vec![Some(1), Some(2)], vec!["a", "b"], vec![Some(1.000001), None]);
        assert!(differs(&[base()], &[off]), "a number");
        let zero = batch(vec![Some(1), Some(2)], vec!["a", "b"], vec![Some(1.0), Some(0.0)]);
        assert!(differs(&[base()], &[zero]), "zero for NULL");
        assert!(differs(&[], &[base()]), "rows for none");
        let twice = || batch(vec![Some(1); 2], vec!["a"; 2], vec![Some(1.0), Some(2.0)]);
        let same = batch(vec![Some(1); 2], vec!["a"; 2], vec![Some(1.0), Some(1.0)]);
        assert!(differs(&[twice()], &[same]), "one row twice in place of another");
    }

    #[test]
    fn the_word_null_is_not_a_null_and_names_count() {
        let of = |name: &str, array: ArrayRef| RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap();
        let word = of("x", Arc::new(StringArray::from(vec!["NULL"])));
        let null = of("x", Arc::new(StringArray::from(vec![None::<&str>])));
        assert!(differs(&[word], &[null]));
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(differs(&[of("x", one.clone())], &[of("y", one)]));
    }

    #[test]
    fn strings_are_compared_whatever_their_layout_and_decimals_exactly() {
        let of = |array: ArrayRef| RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
        let plain = of(Arc::new(StringArray::from(vec!["a"])));
        let view = of(Arc::new(StringViewArray::from(vec!["a"])));
        assert!(!differs(&[plain], &[view]));
        let decimal = |n| of(Arc::new(Decimal128Array::from(vec![n]).with_precision_and_scale(38, 2).unwrap()));
        assert!(differs(&[decimal(10_000_000_000_000)], &[decimal(10_000_000_000_001)]));
    }
}

//! Hive partitions: columns whose values stand in the names of directories, `year=2024/month=07/`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use windrow_common::Error;

use crate::error::external;

/// What stands for NULL in the name of a directory.
pub const NULL_DIRECTORY: &str = "__HIVE_DEFAULT_PARTITION__";

/// A column whose values stand in the names of directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

impl PartitionColumn {
    /// As part of a table's schema.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), true)
    }
}

/// The names and texts of the partitions that a relative path lies in; NULL is none.
pub fn partitions_of(relative: &str) -> Vec<(String, Option<String>)> {
    let directories = relative.rsplit_once('/').map_or("", |(directories, _)| directories);
    directories.split('/').filter_map(partition_of).collect()
}

/// The partition that one directory is.
pub fn partition_of(directory: &str) -> Option<(String, Option<String>)> {
    let (name, value) = directory.split_once('=').filter(|(name, _)| !name.is_empty())?;
    let value = (value != NULL_DIRECTORY).then(|| unescaped(value));
    Some((unescaped(name), value))
}

/// Whether all directories of a relative path are partitions.
pub fn lies_in_partitions_only(relative: &str) -> bool {
    let directories = relative.rsplit_once('/').map_or("", |(directories, _)| directories);
    directories.is_empty() || directories.split('/').all(|directory| partition_of(directory).is_some())
}

fn unescaped(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), |text| text.into_owned())
}

/// Takes the types of partition columns from values that were seen: whole numbers, dates, or else texts.
#[derive(Debug, Default)]
pub struct Inference {
    columns: Vec<(String, Seen)>,
}

#[derive(Debug)]
struct Seen {
    integers: bool,
    dates: bool,
    any: bool,
}

impl Inference {
    /// Looks at a file's path. An error if its partition columns are not those of the files before.
    pub fn see(&mut self, relative: &str, first: bool) -> windrow_common::Result<()> {
        let partitions = partitions_of(relative);
        let names = || partitions.iter().map(|(name, _)| name.as_str());
        if first {
            self.columns =
                names().map(|name| (name.to_owned(), Seen { integers: true, dates: true, any: false })).collect();
        }
        if !names().eq(self.columns.iter().map(|(name, _)| name.as_str())) {
            let expected: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
            let found: Vec<&str> = names().collect();
            return Err(Error::user(format!(
                "'{relative}' lies in partitions by ({}), others by ({}); name the files of one kind with a pattern",
                found.join(", "),
                expected.join(", ")
            )));
        }
        for ((_, seen), (_, value)) in self.columns.iter_mut().zip(&partitions) {
            let Some(value) = value else { continue };
            seen.any = true;
            seen.integers &= value.parse::<i64>().is_ok();
            seen.dates &= is_date(value);
        }
        Ok(())
    }

    /// The columns.
    pub fn columns(self) -> Vec<PartitionColumn> {
        let type_of = |seen: &Seen| match seen {
            Seen { any: false, .. } => DataType::Utf8,
            Seen { integers: true, .. } => DataType::Int64,
            Seen { dates: true, .. } => DataType::Date32,
            Seen { .. } => DataType::Utf8,
        };
        self.columns.into_iter().map(|(name, seen)| PartitionColumn { data_type: type_of(&seen), name }).collect()
    }
}

fn is_date(text: &str) -> bool {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|date| date.format("%Y-%m-%d").to_string() == text)
}

/// The values of the partition columns for a file.
pub fn values_of(columns: &[PartitionColumn], relative: &str, file: &str) -> Result<Vec<ScalarValue>> {
    if columns.is_empty() {
        return Ok(vec![]);
    }
    let partitions = partitions_of(relative);
    let value = |column: &PartitionColumn| {
        let Some((_, text)) = partitions.iter().find(|(name, _)| *name == column.name) else {
            let message = format!("{file} lies in no directory {}=…, by which the table is partitioned", column.name);
            return Err(external(Error::user(message)));
        };
        parsed(column, text.as_deref()).map_err(|_| {
            let (name, data_type, text) = (&column.name, &column.data_type, text.as_deref().unwrap_or_default());
            external(Error::user(format!("{file}: '{text}' cannot be a value of partition column {name} {data_type}")))
        })
    };
    columns.iter().map(value).collect()
}

fn parsed(column: &PartitionColumn, text: Option<&str>) -> Result<ScalarValue> {
    match text {
        None => ScalarValue::try_from(&column.data_type),
        Some(text) => ScalarValue::try_from_string(text.to_owned(), &column.data_type),
    }
}

/// Conditions on the values of partition columns.
#[derive(Debug)]
pub struct Pruning {
    schema: SchemaRef,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
}

impl Pruning {
    /// Of all filters those that only the partition columns decide.
    pub fn new(columns: &[PartitionColumn], filters: &[&Expr], props: &ExecutionProps) -> Result<Self> {
        let schema = Arc::new(Schema::new(columns.iter().map(PartitionColumn::field).collect::<Vec<_>>()));
        let by_name = DFSchema::try_from(Arc::clone(&schema))?;
        let conditions = filters
            .iter()
            .map(|filter| {
                let bare = crate::files::table::without_qualifiers((*filter).clone())?;
                create_physical_expr(&bare, &by_name, props, &Default::default())
            })
            .collect::<Result<_>>()?;
        Ok(Self { schema, conditions })
    }

    /// Whether there is nothing to prune by.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// For each row of values, whether a file with them is wanted.
    pub fn wanted(&self, rows: &[Vec<ScalarValue>]) -> Result<Vec<bool>> {
        let mut wanted = vec![true; rows.len()];
        if self.conditions.is_empty() || rows.is_empty() {
            return Ok(wanted);
        }
        let arrays = (0..self.schema.fields().len())
            .map(|column| ScalarValue::iter_to_array(rows.iter().map(|row| row[column].clone())))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        for condition in &self.conditions {
            match condition.evaluate(&batch)? {
                ColumnarValue::Array(array) => {
                    let array: &BooleanArray = as_boolean_array(&array)?;
                    wanted.iter_mut().zip(array).for_each(|(wanted, holds)| *wanted &= holds == Some(true));
                }
                ColumnarValue::Scalar(ScalarValue::Boolean(holds)) => {
                    wanted.iter_mut().for_each(|wanted| *wanted &= holds == Some(true));
                }
                ColumnarValue::Scalar(_) => {}
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn inferred(paths: &[&str]) -> Vec<(String, DataType)> {
        let mut inference = Inference::default();
        for (index, path) in paths.iter().enumerate() {
            inference.see(path, index == 0).unwrap();
        }
        inference.columns().into_iter().map(|c| (c.name, c.data_type)).collect()
    }

    #[test]
    fn types_fit_all_values() {
        let of = |name: &str, data_type| vec![(name.to_owned(), data_type)];
        assert_eq!(inferred(&["y=2024/a", "y=07/a", "y=__HIVE_DEFAULT_PARTITION__/a"]), of("y", DataType::Int64));
        assert_eq!(inferred(&["d=2024-01-31/a", "d=2024-02-01/b"]), of("d", DataType::Date32));
        assert_eq!(inferred(&["d=2024-01-31/a", "d=2024-1-1/b"]), of("d", DataType::Utf8));
        assert_eq!(inferred(&["d=2024/a", "d=x/b"]), of("d", DataType::Utf8));
        assert_eq!(inferred(&["n=__HIVE_DEFAULT_PARTITION__/a"]), of("n", DataType::Utf8));
        assert!(Inference::default().see("a=1/x", true).is_ok());
        let mut mixed = Inference::default();
        mixed.see("a=1/x", true).unwrap();
        assert!(mixed.see("b=1/x", false).unwrap_err().message.contains("(b), others by (a)"));
    }

    #[test]
    fn names_are_decoded_and_null_is_null() {
        let columns = [PartitionColumn { name: "a b".into(), data_type: DataType::Utf8 }];
        let value = |path| values_of(&columns, path, path).unwrap()[0].clone();
        assert_eq!(value("a%20b=10%3A30%2F/x"), ScalarValue::Utf8(Some("10:30/".into())));
        assert_eq!(value("a b=__HIVE_DEFAULT_PARTITION__/x"), ScalarValue::Utf8(None));
        assert!(values_of(&columns, "c=1/x", "c=1/x").unwrap_err().to_string().contains("lies in no directory a b="));
        let numbers = [PartitionColumn { name: "n".into(), data_type: DataType::Int32 }];
        let error = values_of(&numbers, "n=x1/f", "/t/n=x1/f").unwrap_err().to_string();
        assert!(error.contains("/t/n=x1/f: 'x1' cannot be a value"), "{error}");
    }

    #[test]
    fn conditions_prune() {
        let columns = [
            PartitionColumn { name: "y".into(), data_type: DataType::Int64 },
            PartitionColumn { name: "s".into(), data_type: DataType::Utf8 },
        ];
        let filters = [col("y").gt(lit(2_i64)), col("t.s").eq(lit("a"))];
        let filters: Vec<&Expr> = filters.iter().collect();
        let pruning = Pruning::new(&columns, &filters, &ExecutionProps::new()).unwrap();
        let row = |y: Option<i64>, s: &str| vec![ScalarValue::Int64(y), ScalarValue::Utf8(Some(s.into()))];
        let rows = [row(Some(3), "a"), row(Some(2), "a"), row(None, "a"), row(Some(9), "b")];
        assert_eq!(pruning.wanted(&rows).unwrap(), [true, false, false, false]);
    }
}

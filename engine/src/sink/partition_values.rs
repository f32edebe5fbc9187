//! The columns by which a write is partitioned: which they are, which directory a row goes to, and the names of these
//! directories, as Hive and Spark write and read them: `year=2024/city=S%C3%A3o`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow_common::{Error, ErrorKind, Result};

use super::format::type_name;
use super::is_hidden;

/// The value of NULL, and, as in Spark, of the empty text: a directory must have a name.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Bytes of a directory's name that file systems take.
const MAX_NAME_BYTES: usize = 255;

/// The partition columns of some rows.
#[derive(Clone, Debug)]
pub struct PartitionColumns {
    names: Vec<String>,
    /// Where they are among the columns of the rows.
    indices: Vec<usize>,
    /// Where the others are.
    others: Vec<usize>,
    /// The others.
    stored: SchemaRef,
}

/// The rows of a batch that go to one directory.
#[derive(Debug)]
pub(super) struct Group {
    /// The directory: `year=2024/month=1`.
    pub(super) directory: String,
    /// Which rows, in their order.
    pub(super) rows: Vec<u32>,
}

impl PartitionColumns {
    /// Looks the columns up in the schema of the rows, and refuses those that make no names of directories.
    pub fn try_new(schema: &SchemaRef, names: &[String]) -> Result<Self> {
        let mut indices = Vec::with_capacity(names.len());
        for name in names {
            let index = find(schema, name)?;
            if indices.contains(&index) {
                return Err(Error::user(format!("PARTITIONED BY names the column '{name}' twice")));
            }
            if is_hidden(&format!("{name}="), true) {
                return Err(Error::user(format!(
                    "rows cannot be partitioned by the column '{name}': directories whose names begin with a dot are \
                     hidden; rename it with AS"
                )));
            }
            check_type(name, schema.field(index).data_type())?;
            indices.push(index);
        }
        let others: Vec<usize> = (0..schema.fields().len()).filter(|index| !indices.contains(index)).collect();
        if others.is_empty() {
            return Err(Error::user(
                "PARTITIONED BY names all columns, so that nothing is left for the files; leave one out",
            ));
        }
        let stored = Arc::new(schema.project(&others).map_err(|e| Error::internal(e.to_string()))?);
        Ok(Self { names: names.to_vec(), indices, others, stored })
    }

    /// The columns that are in the files.
    pub fn stored_schema(&self) -> &SchemaRef {
        &self.stored
    }

    /// Where the partition columns are among the columns of the rows.
    pub(super) fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The rows by their directories, in the order in which these come.
    pub(super) fn divide(&self, batch: &RecordBatch) -> Result<Vec<Group>, ArrowError> {
        let columns = self.indices.iter().map(|index| text_or_plain(batch.column(*index)));
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
        let mut groups: Vec<Group> = Vec::new();
        let mut by_values = BTreeMap::new();
        let mut by_directory: BTreeMap<String, usize> = BTreeMap::new();
        let mut last = None;
        for (number, row) in (0_u32..).zip(rows.iter()) {
            let group = match last {
                Some((values, group)) if values == row => group,
                _ => match by_values.get(&row) {
                    Some(group) => *group,
                    None => {
                        let directory = self.directory(&columns, number as usize)?;
                        // NULL and the empty text are different values with one directory.
                        let group = *by_directory.entry(directory.clone()).or_insert_with(|| {
                            groups.push(Group { directory, rows: Vec::new() });
                            groups.len() - 1
                        });
                        by_values.insert(row, group);
                        group
                    }
                },
            };
            groups[group].rows.push(number);
            last = Some((row, group));
        }
        Ok(groups)
    }

    /// These rows of a batch, with the columns that are in the files.
    pub(super) fn stored(&self, batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, ArrowError> {
        pick(&batch.project(&self.others)?, rows)
    }

    fn directory(&self, columns: &[ArrayRef], row: usize) -> Result<String, ArrowError> {
        let mut path = String::new();
        for (name, column) in self.names.iter().zip(columns) {
            if !path.is_empty() {
                path.push('/');
            }
            let begin = path.len();
            escape(name, &mut path);
            path.push('=');
            let formatter = ArrayFormatter::try_new(column.as_ref(), &FormatOptions::new().with_display_error(false))?;
            let value = if column.is_null(row) { String::new() } else { formatter.value(row).try_to_string()? };
            match value.as_str() {
                "" => path.push_str(NO_VALUE),
                // A text that is no NULL and only looks like one.
                NO_VALUE => path.push_str(&NO_VALUE.replacen('_', "%5F", 1)),
                other => escape(other, &mut path),
            }
            if path.len() - begin > MAX_NAME_BYTES {
                return Err(ArrowError::ExternalError(Box::new(too_long(name, &value))));
            }
        }
        Ok(path)
    }
}

fn too_long(name: &str, value: &str) -> Error {
    let begin: String = value.chars().take(40).collect();
    Error::user(format!(
        "the value '{begin}…' of the column '{name}' makes a name of a directory of more than {MAX_NAME_BYTES} bytes; \
         partition by a shorter text, such as a part or a hash of it"
    ))
}

/// These rows of a batch.
pub(super) fn pick(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, ArrowError> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    take_record_batch(batch, &UInt32Array::from(rows.to_vec()))
}

fn find(schema: &Schema, name: &str) -> Result<usize> {
    let mut found = (0..schema.fields().len()).filter(|index| schema.field(*index).name() == name);
    let columns = || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
    match (found.next(), found.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => Err(Error::user(format!(
            "PARTITIONED BY names '{name}', and there are two columns of this name; rename one with AS"
        ))),
        (None, _) => Err(Error::new(
            ErrorKind::NotFound,
            format!("PARTITIONED BY names '{name}', which is no column of the rows; these are {}", columns()),
        )),
    }
}

fn check_type(name: &str, data_type: &DataType) -> Result<()> {
    let no = |advice: &str| {
        let data_type = type_name(data_type);
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("rows cannot be partitioned by the column '{name}' ({data_type}); {advice}"),
        ))
    };
    match data_type {
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(()),
        DataType::Dictionary(_, values) => check_type(name, values),
        DataType::RunEndEncoded(_, values) => check_type(name, values.data_type()),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            no("equal numbers may be written differently; cast it to a DECIMAL or an integer")
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => {
            Ok(())
        }
        number if number.is_integer() || number.is_decimal() => Ok(()),
        nested if nested.is_nested() => no("partition by a part of it that is a single value"),
        _ => no("cast it to VARCHAR"),
    }
}

/// The column without dictionaries and runs.
fn text_or_plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values),
        DataType::RunEndEncoded(_, values) => cast(column, values.data_type()),
        _ => Ok(Arc::clone(column)),
    }
}

/// Adds a text as a part of a path: signs that file systems, URLs or `name=value` need are written by their number.
fn escape(text: &str, path: &mut String) {
    for sign in text.chars() {
        let special = sign.is_ascii_control()
            || matches!(sign, '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '\\' | '{' | '[' | ']' | '^');
        if special {
            path.push_str(&format!("%{:02X}", u32::from(sign)));
        } else {
            path.push(sign);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Date32Array, DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn batch() -> RecordBatch {
        let dictionary: DictionaryArray<Int32Type> = [Some("x"), None, Some("x"), Some("y")].into_iter().collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("text", Arc::new(StringArray::from(vec![Some("a/b=c%"), Some(""), None, Some("São")]))),
            ("day", Arc::new(Date32Array::from(vec![0, 19_723, 0, 0]))),
            ("flag", Arc::new(BooleanArray::from(vec![true, true, true, false]))),
            ("kind", Arc::new(dictionary)),
        ])
        .unwrap()
    }

    fn directories(by: &[&str]) -> Vec<(String, Vec<u32>)> {
        let batch = batch();
        let columns = PartitionColumns::try_new(&batch.schema(), &names(by)).unwrap();
        columns.divide(&batch).unwrap().into_iter().map(|group| (group.directory, group.rows)).collect()
    }

    #[test]
    fn directories_are_named_as_hive_names_them() {
        let expected = [("a%2Fb%3Dc%25", vec![0]), (NO_VALUE, vec![1, 2]), ("São", vec![3])];
        let expected: Vec<_> = expected.into_iter().map(|(value, rows)| (format!("text={value}"), rows)).collect();
        assert_eq!(directories(&["text"]), expected);
        let two = directories(&["day", "flag"]);
        let expected =
            [("1970-01-01", true, vec![0, 2]), ("2024-01-01", true, vec![1]), ("1970-01-01", false, vec![3])];
        let expected: Vec<_> =
            expected.into_iter().map(|(day, flag, rows)| (format!("day={day}/flag={flag}"), rows)).collect();
        assert_eq!(two, expected);
        assert_eq!(directories(&["kind"])[1], (format!("kind={NO_VALUE}"), vec![1]));
        let mut escaped = String::new();
        escape("a:b\n\u{1}{c}~ ü.", &mut escaped);
        assert_eq!(escaped, "a%3Ab%0A%01%7Bc}~ ü.");
    }

    #[test]
    fn values_that_make_no_name_are_refused_as_such() {
        let divided = |text: String| {
            let columns: [(&str, ArrayRef); 2] =
                [("id", Arc::new(Int64Array::from(vec![1]))), ("text", Arc::new(StringArray::from(vec![text])))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            PartitionColumns::try_new(&batch.schema(), &names(&["text"])).unwrap().divide(&batch)
        };
        assert_eq!(divided("x".repeat(250)).unwrap()[0].directory.len(), 255);
        let error = crate::error::classify(&divided("x".repeat(251)).unwrap_err().into());
        assert_eq!(error.kind, ErrorKind::User);
        assert!(error.message.contains("255 bytes") && error.message.contains("'text'"), "{error}");
    }

    #[test]
    fn the_files_have_the_other_columns() {
        let batch = batch();
        let columns = PartitionColumns::try_new(&batch.schema(), &names(&["text", "flag"])).unwrap();
        let stored = columns.stored(&batch, &[1, 3]).unwrap();
        assert_eq!(&stored.schema(), columns.stored_schema());
        let found: Vec<_> = stored.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(found, ["id", "day", "kind"]);
        assert_eq!(stored.column(0).as_ref(), &Int64Array::from(vec![2, 4]) as &dyn Array);
    }

    #[test]
    fn what_makes_no_directory_is_refused() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
            Field::new("l", list, true),
            Field::new("b", DataType::Binary, true),
            Field::new(".dot", DataType::Int64, true),
            Field::new("_line", DataType::Int64, true),
        ]));
        let says = |by: &[&str]| PartitionColumns::try_new(&schema, &names(by)).unwrap_err().message;
        assert!(says(&["nope"]).contains("id, f, l, b, .dot"));
        assert!(says(&["id", "id"]).contains("twice"));
        assert!(says(&["f"]).contains("DECIMAL"));
        assert!(says(&["l"]).contains("a list"));
        assert!(says(&["b"]).contains("VARCHAR"));
        assert!(says(&[".dot"]).contains("hidden"), "readers would not see the rows");
        PartitionColumns::try_new(&schema, &names(&["_line"])).unwrap();
        let only = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        assert!(PartitionColumns::try_new(&only, &names(&["id"])).unwrap_err().message.contains("all columns"));
    }
}

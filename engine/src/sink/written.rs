//! What a task says of the files it wrote: one row for each file, and back.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use serde::{Deserialize, Serialize};
use windrow_common::{Error, Result};

/// One complete staged file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Its name once published, relative to [`super::SinkSpec::root`]; the same in every attempt of its task.
    pub name: String,
    /// Where it lies until then, relative to [`super::SinkSpec::root`].
    pub staged: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("staged", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("rows", DataType::UInt64, false),
        Field::new("bytes", DataType::UInt64, false),
    ]))
});

/// The schema of the rows that [`super::WriteExec`] yields: `staged`, `name`, `rows`, `bytes`.
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// The files as rows.
pub(super) fn batch_of(files: &[WrittenFile]) -> Result<RecordBatch, arrow::error::ArrowError> {
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.staged))),
            Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.name))),
            Arc::new(UInt64Array::from_iter_values(files.iter().map(|f| f.rows))),
            Arc::new(UInt64Array::from_iter_values(files.iter().map(|f| f.bytes))),
        ],
    )
}

/// The files named by the rows of one or many tasks, in the order of their final names.
pub fn rows_of(batches: &[RecordBatch]) -> Result<Vec<WrittenFile>> {
    let mut files = Vec::new();
    for batch in batches {
        let wrong = || Error::internal(format!("these are not rows of written files: {}", batch.schema()));
        let text = |i: usize| batch.column(i).as_string_opt::<i32>().ok_or_else(wrong);
        let number = |i: usize| batch.column(i).as_primitive_opt::<UInt64Type>().ok_or_else(wrong);
        if batch.num_columns() != 4 || batch.columns().iter().any(|c| c.null_count() > 0) {
            return Err(wrong());
        }
        let (staged, name, rows, bytes) = (text(0)?, text(1)?, number(2)?, number(3)?);
        files.extend((0..batch.num_rows()).map(|i| WrittenFile {
            name: name.value(i).to_owned(),
            staged: staged.value(i).to_owned(),
            rows: rows.value(i),
            bytes: bytes.value(i),
        }));
    }
    files.sort();
    Ok(files)
}

//! What a task says of the files it wrote: one row for each file, and back.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use serde::{Deserialize, Serialize};
use windrow_common::{Error, Result};

/// One complete staged file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Its name once published, relative to the write's place. In a file system it is the same in every attempt of its
    /// task; on an object store no two attempts share a name.
    pub name: String,
    /// Where it lies until then, relative to the write's place; on an object store, what tells of its upload.
    pub staged: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The upload that becomes the file; none in a file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// Which file it is in its file system, whatever it is called: of a single file, for which there is no log that says
    /// whether it has been published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
}

/// A complete upload that nobody sees before it is completed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Upload {
    /// The store's id of it; empty where uploads have none.
    pub id: String,
    /// The store's ids of its parts, in order.
    pub parts: Vec<String>,
    /// Bytes that were sent in them.
    pub bytes: u64,
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("staged", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("rows", DataType::UInt64, false),
        Field::new("bytes", DataType::UInt64, false),
        // As JSON: nobody but the commit looks into it.
        Field::new("upload", DataType::Utf8, true),
        Field::new("inode", DataType::UInt64, true),
    ]))
});

/// The schema of the rows that [`super::WriteExec`] yields: `staged`, `name`, `rows`, `bytes`, `upload`,
/// `inode`.
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// The files as rows.
pub(super) fn batch_of(files: &[WrittenFile]) -> Result<RecordBatch> {
    let cannot = |e: String| Error::internal(format!("the written files cannot be told: {e}"));
    let upload = |file: &WrittenFile| file.upload.as_ref().map(serde_json::to_string).transpose();
    let uploads = files.iter().map(upload).collect::<Result<Vec<_>, _>>().map_err(|e| cannot(e.to_string()))?;
    let batch = RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.staged))),
            Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.name))),
            Arc::new(UInt64Array::from_iter_values(files.iter().map(|f| f.rows))),
            Arc::new(UInt64Array::from_iter_values(files.iter().map(|f| f.bytes))),
            Arc::new(StringArray::from_iter(uploads)),
            Arc::new(UInt64Array::from_iter(files.iter().map(|f| f.inode))),
        ],
    );
    batch.map_err(|e| cannot(e.to_string()))
}

/// The files named by the rows of one or many tasks, in the order of their final names.
pub fn rows_of(batches: &[RecordBatch]) -> Result<Vec<WrittenFile>> {
    let mut files = Vec::new();
    for batch in batches {
        let wrong = || Error::internal(format!("these are not rows of written files: {}", batch.schema()));
        let text = |i: usize| batch.column(i).as_string_opt::<i32>().ok_or_else(wrong);
        let number = |i: usize| batch.column(i).as_primitive_opt::<UInt64Type>().ok_or_else(wrong);
        if batch.num_columns() != 6 || batch.columns()[..4].iter().any(|c| c.null_count() > 0) {
            return Err(wrong());
        }
        let (staged, name, rows, bytes, uploads) = (text(0)?, text(1)?, number(2)?, number(3)?, text(4)?);
        let inodes = number(5)?;
        for i in 0..batch.num_rows() {
            let upload = uploads.is_valid(i).then(|| serde_json::from_str(uploads.value(i)));
            files.push(WrittenFile {
                name: name.value(i).to_owned(),
                staged: staged.value(i).to_owned(),
                rows: rows.value(i),
                bytes: bytes.value(i),
                upload: upload.transpose().map_err(|_| wrong())?,
                inode: inodes.is_valid(i).then(|| inodes.value(i)),
            });
        }
    }
    files.sort();
    Ok(files)
}

//! Numbers from 0 on in files of Parquet, each file for a task of its own to read.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

/// Writes so many files with so many numbers `n` each into a directory.
pub fn write(directory: &Path, files: i64, each: i64) {
    for file in 0..files {
        let numbers = Int64Array::from_iter_values(file * each..(file + 1) * each);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap();
        let target = std::fs::File::create(directory.join(format!("{file:02}.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new(target, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

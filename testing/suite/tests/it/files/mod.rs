//! Tables over files: what a path means, partitions in the names of directories, files that differ, and files that change.

mod paths;
mod pinned;
mod rejects;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use windrow::Session;
use windrow_common::Error;

/// Writes a Parquet file of these columns.
fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A Parquet file with the one column `a`.
fn numbers(path: &Path, values: &[i64]) {
    parquet(path, vec![("a", Arc::new(arrow::array::Int64Array::from(values.to_vec())) as ArrayRef)]);
}

/// The rows of a statement as text, in the order in which they came.
async fn rows(session: &Session, sql: &str) -> Vec<String> {
    let (rows, _) = session.execute(sql).await.expect(sql).collect().await.expect(sql);
    texts(&rows)
}

/// The rows as text, columns divided by `|`.
pub fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = vec![];
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values =
                batch.columns().iter().map(|column| arrow::util::display::array_value_to_string(column, row).unwrap());
            lines.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// How a statement fails.
async fn failure(session: &Session, sql: &str) -> Error {
    match session.execute(sql).await {
        Ok(execution) => execution.collect().await.expect_err(sql),
        Err(error) => error,
    }
}

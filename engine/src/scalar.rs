//! The value of a scalar exchange: the single row that its producer put into the report, as an Arrow IPC stream.

use std::io::Cursor;

use arrow_ipc::reader::StreamReader;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use windrow_common::{Error, Result};

/// The value that an inline output stands for: its only row's only column, or NULL if it has no row.
pub fn scalar_value(bytes: &[u8]) -> Result<ScalarValue> {
    let failed = |e: arrow::error::ArrowError| Error::internal(format!("an inline result is damaged: {e}"));
    let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(failed)?;
    let schema = reader.schema();
    let [field] = schema.fields().as_ref() else {
        return Err(Error::internal(format!("a scalar subquery gave {} columns", schema.fields().len())));
    };
    let mut value = None;
    for batch in reader {
        let batch = batch.map_err(failed)?;
        for row in 0..batch.num_rows() {
            if value.is_some() {
                return Err(too_many_rows());
            }
            value = Some(ScalarValue::try_from_array(batch.column(0), row).map_err(|e| crate::error::classify(&e))?);
        }
    }
    match value {
        Some(value) => Ok(value),
        None => ScalarValue::try_from(field.data_type()).map_err(|e| crate::error::classify(&e)),
    }
}

/// A scalar subquery gave more than one row.
pub fn too_many_rows() -> Error {
    Error::user("a subquery used as an expression returned more than one row; add LIMIT 1 or an aggregate to it")
}

/// The schema of an inline output.
pub fn inline_schema(bytes: &[u8]) -> Result<SchemaRef> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None)
        .map_err(|e| Error::internal(format!("an inline result is damaged: {e}")))?;
    Ok(reader.schema())
}

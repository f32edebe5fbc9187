//! Formats by their names and by the names of files.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::execution::session_state::SessionState;
use windrow_common::{Error, ErrorKind, Result};

use super::splits::Cuts;
use crate::error::classify;

/// The format that a file's name tells, with its compression: `("CSV", "gz")`.
pub fn of_path(path: &str) -> Option<(&'static str, &'static str)> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let (plain, compression) = match name.rsplit_once('.') {
        Some((plain, "gz")) => (plain, "gz"),
        _ => (name.as_str(), ""),
    };
    let format = match plain.rsplit_once('.')?.1 {
        "parquet" => "PARQUET",
        "csv" => "CSV",
        "json" => "JSON",
        "arrow" => "ARROW",
        "avro" => "AVRO",
        _ => return None,
    };
    Some((format, compression))
}

/// Whether a format that STORED AS names is the one that the names of files tell.
pub fn means(stored_as: &str, told: &str) -> bool {
    stored_as.eq_ignore_ascii_case(told)
}

/// A format with its options.
pub fn made(state: &SessionState, name: &str, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
    let factory = state.get_file_format_factory(name).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("STORED AS {name} does not exist; there are PARQUET, CSV, JSON"))
    })?;
    factory.create(state, options).map_err(|e| classify(&e))
}

/// Whether the files themselves say what their columns are.
pub fn says_its_schema(format: &Arc<dyn FileFormat>) -> bool {
    !format.is::<CsvFormat>() && !format.is::<JsonFormat>()
}

/// How files of the format may be cut, where that does not depend on the file.
pub fn cuts(format: &Arc<dyn FileFormat>) -> Cuts {
    let plain = format.compression_type().is_none_or(|compression| !compression.is_compressed());
    let text = format.is::<CsvFormat>() || format.is::<JsonFormat>();
    if plain && text { Cuts::Anywhere } else { Cuts::Whole }
}

/// Whether it is Parquet, whose files are cut between row groups.
pub fn is_parquet(format: &Arc<dyn FileFormat>) -> bool {
    format.is::<ParquetFormat>()
}

/// The columns of files that differ.
pub fn merged(schemas: &[(String, SchemaRef)]) -> Result<SchemaRef> {
    let merged = Schema::try_merge(schemas.iter().map(|(_, schema)| schema.as_ref().clone()));
    merged.map(Arc::new).map_err(|e| Error::user(e.to_string()))
}

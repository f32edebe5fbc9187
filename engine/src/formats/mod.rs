//! The formats of files, and reading them. What an operator names by `STORED AS x OPTIONS (…)`, or a file by its name,
//! becomes [`FormatOptions`]; of these a [`Format`] is made, by which DataFusion plans, and a [`FormatSource`], which reads
//! and travels to the workers with all of its options (`codec`). Parquet alone is read by DataFusion's source.
//!
//! ```text
//! file_format ─► options ─► format ─► scan ─► text (csv, json) │ ipc │ avro
//!                                      └─ fetch: ranged reads of what the store has
//! ```
//!
//! Every reader here is given bytes by others. What they claim of lengths and counts is compared with what is there before
//! anything is allocated for it; an error names the file.

mod adapted;
mod avro;
pub mod by_path;
mod byte_reader;
pub mod compression;
mod csv;
mod encoding;
pub mod evolution;
mod fetch;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod guarded;
mod ipc;
mod json;
mod option_names;
pub mod options;
mod parquet;
mod scan;
mod text;
mod thrift;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::datasource::file_format::FileFormat;
use windrow_common::Result;

pub use by_path::by_path;
pub use evolution::merge_schemas;
pub use format::Format;
pub use options::FormatOptions;
pub use parquet::Parquet;
pub use scan::{FormatSource, ROWS_REJECTED};
pub use text::bad_row::{RejectSink, Rejected, Rejects, RejectsInMemory};

/// The format that `STORED AS name OPTIONS (…)` means: CSV, TSV, JSON (NDJSON, JSONL), PARQUET, ARROW (ARROWS) or AVRO.
/// Names of options are taken in any case, with or without DataFusion's prefix `format.`; unknown ones are refused.
pub fn file_format(name: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn FileFormat>> {
    Ok(match FormatOptions::parse(name, options)? {
        FormatOptions::Parquet => Arc::new(Parquet::default()),
        options => Arc::new(Format(Arc::new(options))),
    })
}

/// What names of the files of a format end with, with their compression: `.csv.gz`.
pub fn file_extension(options: &FormatOptions) -> String {
    format!(".{}", options.extension())
}

//! Between the formats of tables, which DataFusion reads, and those of [`crate::sink`], which we write: how rows that are
//! added to a table are written, and how a table over written files is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::GetExt;
use datafusion::datasource::file_format::arrow::ArrowFormatFactory;
use datafusion::datasource::file_format::csv::{CsvFormat, CsvFormatFactory};
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory};
use datafusion::execution::SessionState;
use windrow_common::{Error, ErrorKind, Result};

use crate::exchange::outward::outward_schema;
use crate::files::FilesTable;
use crate::sink::format::TimeFormats;
use crate::sink::{Compression, Format, FormatName, SinkOptions, SinkSpec};
use crate::stores::Location;

/// Where the rows of a table lie, and as what.
#[derive(Debug)]
pub(super) struct WrittenTable {
    /// Its one directory or file.
    pub(super) location: Location,
    /// The format of its files.
    pub(super) format: Format,
    /// The columns that make its directories.
    pub(super) partition_by: Vec<String>,
    /// Which files are its rows.
    pub(super) reads: Reads,
}

/// Which files below its directory a table reads beside those of its format there and in its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reads {
    /// Files of any name.
    pub(super) any_name: bool,
    /// Files in directories that are no partitions.
    pub(super) subdirectories: bool,
}

/// Options that say how files are read and nothing of how they are written.
const READING_ONLY: [&str; 10] = [
    "schema_infer_max_rec",
    "schema_infer_max_records",
    "sample_size",
    "newlines_in_values",
    "truncated_rows",
    "allow_missing_columns",
    "null_padding",
    "on_error",
    "rejects",
    "encoding",
];

/// How rows are written into a table. Refused is a table whose readers would not see them.
pub(super) fn written_table(name: &str, provider: &Arc<dyn TableProvider>, header: bool) -> Result<WrittenTable> {
    let cannot = |why: String| Error::new(ErrorKind::Unsupported, format!("{name} cannot be written to; {why}"));
    let Some(table) = provider.downcast_ref::<FilesTable>() else {
        return Err(cannot("tables over a directory of files can".into()));
    };
    let [location] = table.locations.as_slice() else {
        return Err(cannot("it lies in several places, and tables over one directory can".into()));
    };
    if location.is_pattern() {
        return Err(cannot(format!("it is the pattern '{location}', and tables over a directory can")));
    }
    // Names in stores are taken as they stand, and those that are written as URLs have them.
    if !location.is_local() && location.path().as_ref().contains('%') {
        return Err(cannot(format!("'{location}' has a '%', and names with one are not written in stores")));
    }
    let format = written_format(&table.format_name, &table.options, header)
        .map_err(|error| Error::new(error.kind, format!("{name} cannot be written to; {}", error.message)))?;
    let file = format!("part.{}", format.extension());
    if !table.names.include(&file) {
        return Err(cannot(format!("it does not read files of names like '{file}', as new ones would be called")));
    }
    Ok(WrittenTable {
        location: location.clone(),
        format,
        partition_by: table.partition_columns.iter().map(|column| column.name.clone()).collect(),
        reads: Reads { any_name: table.names.include("no-format"), subdirectories: table.subdirectories },
    })
}

/// The format in which rows are written that a table of this format with these options will read. `header` is what the
/// session says of CSV files whose table says nothing.
fn written_format(name: &str, options: &BTreeMap<String, String>, header: bool) -> Result<Format> {
    let mut format = Format::of(FormatName::of_statement(name)?);
    if let Format::Csv(csv) = &mut format {
        csv.header = header;
    }
    let mut said: Vec<(String, String)> = vec![];
    for (key, value) in options {
        let key = key.to_ascii_lowercase();
        let key = key.strip_prefix("format.").unwrap_or(&key);
        let value = value.as_str();
        match key {
            "encoding" if !matches!(value.to_ascii_lowercase().as_str(), "utf-8" | "utf8") => {
                return Err(unsupported("its files are not UTF-8, and those that are written would be"));
            }
            "comment" => return Err(unsupported("it has comments, and values could be taken for some")),
            "terminator" | "lineterminator" => {
                return Err(unsupported(
                    "its lines end with a sign of their own; those that are written end with '\\n'",
                ));
            }
            "null_regex" if !options.keys().any(|other| other.ends_with("null_value")) => {
                said.push(("null_value".to_owned(), null_of(value)?));
            }
            "null_regex" => {}
            "compression" => said.push((key.to_owned(), compression_of(value)?.to_owned())),
            _ if READING_ONLY.contains(&key) => {}
            // Parquet's readers have many options, and what they read does not depend on how it is written.
            _ if format.name() == FormatName::Parquet => {}
            _ => said.push((key.to_owned(), value.to_owned())),
        }
    }
    let said = said.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(SinkOptions::parse(format, said)?.format)
}

fn unsupported(text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}

fn compression_of(said: &str) -> Result<&'static str> {
    match said.to_ascii_lowercase().as_str() {
        "" | "none" | "uncompressed" => Ok("none"),
        "gz" | "gzip" => Ok("gzip"),
        "zst" | "zstd" => Ok("zstd"),
        _ => Err(unsupported("its files are compressed with bzip2 or xz; gzip and zstd can be written")),
    }
}

/// The one text that a pattern for NULL means.
fn null_of(pattern: &str) -> Result<String> {
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    // What `reading_options` has put before signs that mean something in a pattern.
    let text = inner.replace('\\', "");
    if pattern_of(&text) == format!("^{inner}$") || is_plain(inner) {
        return Ok(text);
    }
    Err(unsupported("its option 'null_regex' may mean several texts; say which one with 'null_value'"))
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '/'))
}

/// The pattern that fits this text alone.
fn pattern_of(text: &str) -> String {
    let escaped: String =
        text.chars().flat_map(|c| (!is_plain(&c.to_string())).then_some('\\').into_iter().chain([c])).collect();
    format!("^{escaped}$")
}

/// The format, as `STORED AS` of CREATE EXTERNAL TABLE names it, that reads files of this one.
pub(super) fn reader_of(format: &Format) -> &'static str {
    match format {
        Format::Parquet(_) => "PARQUET",
        Format::Csv(csv) if csv.tsv => "TSV",
        Format::Csv(_) => "CSV",
        Format::Json(_) => "JSON",
        Format::Arrow(arrow) if arrow.stream => "ARROWS",
        Format::Arrow(_) => "ARROW",
        Format::Avro(_) => "AVRO",
    }
}

/// The options of CREATE EXTERNAL TABLE with which files of this format are read as they were written.
pub(super) fn reading_options(format: &Format) -> Vec<(String, String)> {
    let mut options: Vec<(&str, String)> = Vec::new();
    if format.is_compressed_outside() {
        let name = if matches!(format.compression(), Compression::Gzip(_)) { "gzip" } else { "zstd" };
        options.push(("compression", name.to_owned()));
    }
    if let Format::Csv(csv) = format {
        let sign = |byte: u8| char::from(byte).to_string();
        options.push(("has_header", csv.header.to_string()));
        options.push(("delimiter", sign(csv.delimiter)));
        options.push(("quote", sign(csv.quote)));
        options.extend(csv.escape.map(|escape| ("escape", sign(escape))));
        if !csv.null_value.is_empty() {
            options.push(("null_value", csv.null_value.clone()));
        }
        let TimeFormats { date, datetime, timestamp, timestamp_tz, time } = &csv.times;
        for (name, pattern) in [
            ("date_format", date),
            ("datetime_format", datetime),
            ("timestamp_format", timestamp),
            ("timestamp_tz_format", timestamp_tz),
            ("time_format", time),
        ] {
            options.extend(pattern.clone().map(|pattern| (name, pattern)));
        }
    }
    options.into_iter().map(|(name, value)| (format!("format.{name}"), value)).collect()
}

/// Refuses a format of a new table whose files would not be read as they were written.
pub(super) fn check_readable(format: &Format) -> Result<()> {
    match format {
        Format::Json(json) if json.times != TimeFormats::default() => Err(unsupported(
            "a table of JSON cannot have formats of dates and times of its own, for they are not read back; COPY can \
             write them, and tables of CSV can have them",
        )),
        _ => Ok(()),
    }
}

/// The columns that a table over written files must be told, because the files do not know them: text has no types, and
/// directories have names only.
pub(super) fn declared_columns(columns: Option<&SchemaRef>, spec: &SinkSpec) -> Option<SchemaRef> {
    let needed = spec.format.name().is_text() || !spec.partition_by.is_empty();
    columns.filter(|_| needed).map(|columns| {
        let columns = outward_schema(columns);
        let stored = spec.format.stored_schema(&columns);
        // What makes the directories is not in the files, and keeps its type.
        let makes_directories = |field: &FieldRef| spec.partition_by.contains(field.name());
        let fields = columns.fields().iter().zip(stored.fields());
        let fields = fields.map(|(given, stored)| if makes_directories(given) { given } else { stored });
        Arc::new(Schema::new_with_metadata(fields.cloned().collect::<Fields>(), stored.metadata().clone()))
    })
}

/// Makes the formats known that `COPY … STORED AS` names and DataFusion does not.
pub(super) fn register(state: &mut SessionState) {
    let named: [Named; 2] = [
        Named { name: FormatName::Tsv, inner: Arc::new(CsvFormatFactory::new()) },
        Named { name: FormatName::ArrowStream, inner: Arc::new(ArrowFormatFactory::new()) },
    ];
    for format in named {
        if state.get_file_format_factory(format.name.text()).is_none()
            && let Err(error) = state.register_file_format(Arc::new(format), false)
        {
            tracing::warn!(%error, "a format is not known to sessions");
        }
    }
}

/// A format of DataFusion under another name.
#[derive(Debug)]
struct Named {
    name: FormatName,
    inner: Arc<dyn FileFormatFactory>,
}

impl GetExt for Named {
    fn get_ext(&self) -> String {
        self.name.text().to_owned()
    }
}

impl FileFormatFactory for Named {
    fn create(
        &self,
        state: &dyn Session,
        options: &HashMap<String, String>,
    ) -> datafusion::error::Result<Arc<dyn FileFormat>> {
        let mut options = options.clone();
        if self.name == FormatName::Tsv {
            options.entry("format.delimiter".to_owned()).or_insert_with(|| "\t".to_owned());
        }
        self.inner.create(state, &options)
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        match self.name {
            FormatName::Tsv => Arc::new(CsvFormat::default().with_delimiter(b'\t')),
            _ => self.inner.default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::format::CsvSettings;

    #[test]
    fn what_a_table_is_told_is_what_it_is_written_with() {
        let csv = CsvSettings {
            header: false,
            delimiter: b';',
            escape: Some(b'\\'),
            double_quote: false,
            null_value: "N.A.".into(),
            compression: Compression::gzip(),
            times: TimeFormats { date: Some("%d.%m.%Y".into()), ..TimeFormats::default() },
            ..CsvSettings::new(false)
        };
        let format = Format::Csv(csv);
        let options = reading_options(&format).into_iter().collect();
        assert_eq!(written_format("CSV", &options, true).unwrap(), format);
    }

    #[test]
    fn what_makes_directories_keeps_its_type() {
        use datafusion::arrow::datatypes::{DataType, Field};
        let fields = ["day", "other"].map(|name| Field::new(name, DataType::Date64, true));
        let columns: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
        let spec = SinkSpec { partition_by: vec!["day".into()], ..SinkSpec::for_test("/x") };
        let declared = declared_columns(Some(&columns), &spec).unwrap();
        let types: Vec<_> = declared.fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, [DataType::Date64, DataType::Date32]);
    }

    #[test]
    fn null_is_a_text_or_nothing_is_written() {
        for (pattern, text) in [("^NA$", "NA"), ("NULL", "NULL"), ("^N\\.A\\.$", "N.A."), ("^$", "")] {
            assert_eq!(null_of(pattern).unwrap(), text, "{pattern}");
        }
        assert!(null_of("^(NA|NULL)$").is_err());
    }
}

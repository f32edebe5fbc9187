//! Between the formats of tables, which DataFusion reads, and those of [`crate::sink`], which we write: how rows that are
//! added to a table are written, and how a table over written files is read.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::GetExt;
use datafusion::common::config::{CsvOptions, TableParquetOptions};
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::datasource::file_format::arrow::{ArrowFormat, ArrowFormatFactory};
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::csv::{CsvFormat, CsvFormatFactory};
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory};
use datafusion::datasource::listing::ListingTable;
use datafusion::execution::SessionState;
use windrow_common::{Error, ErrorKind, Result};

use crate::exchange::outward::outward_schema;
use crate::sink::format::{BloomFilters, CsvSettings, ParquetSettings, Statistics, TimeFormats};
use crate::sink::{Compression, Format, FormatName, SinkSpec};

/// Where the rows of a table lie, and as what.
#[derive(Debug)]
pub(super) struct WrittenTable {
    /// Its one directory or file.
    pub(super) location: String,
    /// The format of its files.
    pub(super) format: Format,
    /// The columns that make its directories.
    pub(super) partition_by: Vec<String>,
}

/// How rows are written into a table. Refused is a table whose readers would not see them.
pub(super) fn written_table(name: &str, provider: &Arc<dyn TableProvider>, header: bool) -> Result<WrittenTable> {
    let cannot = |why: String| Error::new(ErrorKind::Unsupported, format!("{name} cannot be written to; {why}"));
    let Some(table) = provider.downcast_ref::<ListingTable>() else {
        return Err(cannot("tables over a directory of files can".into()));
    };
    let [path] = table.table_paths().as_slice() else {
        return Err(cannot("it lies in several places, and tables over one directory can".into()));
    };
    let options = table.options();
    let pattern = path.get_glob().as_ref();
    let extension = pattern.map_or(options.file_extension.as_str(), |pattern| pattern.as_str().trim_start_matches('*'));
    let format = sink_format_of(options.format.as_ref(), extension.trim_start_matches('.'), header)
        .map_err(|error| Error::new(error.kind, format!("{name} cannot be written to; {}", error.message)))?;
    let file = format!("part.{}", format.extension());
    let is_read = pattern.is_none_or(|pattern| pattern.matches(&file));
    if !is_read || (path.is_collection() && !file.ends_with(&options.file_extension)) {
        return Err(cannot(format!("it reads files like '{extension}', and new ones would be called '{file}'")));
    }
    Ok(WrittenTable {
        location: path.as_str().to_owned(),
        format,
        partition_by: options.table_partition_cols.iter().map(|(column, _)| column.clone()).collect(),
    })
}

/// The format in which rows are written that a table in `format` will read. `extension` is that of its files, as far as
/// it is known; `header` is what the session says of CSV files whose table says nothing.
pub(super) fn sink_format_of(format: &dyn FileFormat, extension: &str, header: bool) -> Result<Format> {
    let named = FormatName::of_file(&format!("x.{extension}"));
    if let Some(parquet) = format.downcast_ref::<ParquetFormat>() {
        return parquet_of(parquet.options()).map(Format::Parquet);
    }
    if let Some(csv) = format.downcast_ref::<CsvFormat>() {
        return csv_of(csv.options(), named == Some(FormatName::Tsv), header).map(Format::Csv);
    }
    if let Some(json) = format.downcast_ref::<JsonFormat>() {
        let options = json.options();
        if !options.newline_delimited {
            return Err(unsupported("its files are JSON arrays; only JSON with an object on each line is written"));
        }
        let mut format = Format::of(FormatName::Json);
        format.set_compression(compression_of(options.compression, options.compression_level)?);
        return Ok(format);
    }
    if format.is::<ArrowFormat>() {
        let stream = named == Some(FormatName::ArrowStream);
        return Ok(Format::of(if stream { FormatName::ArrowStream } else { FormatName::Arrow }));
    }
    if format.is::<AvroFormat>() {
        return Ok(Format::of(FormatName::Avro));
    }
    Err(unsupported("tables of Parquet, CSV, JSON, Arrow and Avro files can"))
}

fn unsupported(text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}

fn parquet_of(table: &TableParquetOptions) -> Result<ParquetSettings> {
    let (global, usual) = (&table.global, TableParquetOptions::default().global);
    let mut parquet = ParquetSettings {
        row_group_rows: global.max_row_group_size.max(1) as u64,
        dictionary: global.dictionary_enabled.unwrap_or(true),
        ..ParquetSettings::default()
    };
    // What nobody has said is ours to choose.
    if let Some(said) = global.compression.as_ref().filter(|said| Some(*said) != usual.compression.as_ref()) {
        parquet.compression = Compression::parse(FormatName::Parquet, said)?;
    }
    match global.statistics_enabled.as_deref() {
        Some("none") => parquet.statistics = Statistics::None,
        Some("chunk") => parquet.statistics = Statistics::Chunk,
        _ => {}
    }
    if global.bloom_filter_on_write {
        parquet.bloom_filters = BloomFilters::All;
    }
    Ok(parquet)
}

fn csv_of(table: &CsvOptions, tsv: bool, header: bool) -> Result<CsvSettings> {
    if table.terminator.is_some_and(|sign| sign != b'\n') {
        return Err(unsupported("its lines end with a sign of their own; those that are written end with '\\n'"));
    }
    if table.comment.is_some() {
        return Err(unsupported("it has comments, and values could be taken for some"));
    }
    let csv = CsvSettings {
        compression: compression_of(table.compression, table.compression_level)?,
        header: table.has_header.unwrap_or(header),
        delimiter: table.delimiter,
        quote: table.quote,
        escape: table.escape,
        double_quote: table.double_quote.unwrap_or(table.escape.is_none()),
        null_value: null_of(table)?,
        times: TimeFormats {
            date: table.date_format.clone(),
            datetime: table.datetime_format.clone(),
            timestamp: table.timestamp_format.clone(),
            timestamp_tz: table.timestamp_tz_format.clone(),
            time: table.time_format.clone(),
        },
        ..CsvSettings::new(tsv)
    };
    csv.check()?;
    Ok(csv)
}

/// What a table reads as NULL, if it is one text.
fn null_of(table: &CsvOptions) -> Result<String> {
    match (&table.null_value, &table.null_regex) {
        (Some(text), _) => Ok(text.clone()),
        (None, None) => Ok(String::new()),
        (None, Some(pattern)) => {
            let inner = pattern.strip_prefix('^').unwrap_or(pattern);
            let inner = inner.strip_suffix('$').unwrap_or(inner);
            // What `reading_options` has put before signs that mean something in a pattern.
            let text = inner.replace('\\', "");
            if pattern_of(&text) == format!("^{inner}$") || is_plain(inner) {
                return Ok(text);
            }
            Err(unsupported("its option 'null_regex' may mean several texts; say which one with 'null_value'"))
        }
    }
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

fn compression_of(variant: CompressionTypeVariant, level: Option<u32>) -> Result<Compression> {
    match (variant, level) {
        (CompressionTypeVariant::UNCOMPRESSED, _) => Ok(Compression::None),
        (CompressionTypeVariant::GZIP, None) => Ok(Compression::gzip()),
        (CompressionTypeVariant::GZIP, Some(level)) => Ok(Compression::Gzip(level.min(9))),
        (CompressionTypeVariant::ZSTD, None) => Ok(Compression::default()),
        (CompressionTypeVariant::ZSTD, Some(level)) => Ok(Compression::Zstd(level.clamp(1, 22) as i32)),
        (CompressionTypeVariant::BZIP2 | CompressionTypeVariant::XZ, _) => {
            Err(unsupported("its files are compressed with bzip2 or xz; gzip and zstd can be written"))
        }
    }
}

/// The format, as `STORED AS` of CREATE EXTERNAL TABLE names it, that reads files of this one.
pub(super) fn reader_of(format: &Format) -> &'static str {
    match format {
        Format::Parquet(_) => "PARQUET",
        Format::Csv(_) => "CSV",
        Format::Json(_) => "JSON",
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
        options.push(("double_quote", csv.double_quote.to_string()));
        options.push(("newlines_in_values", "true".to_owned()));
        options.extend(csv.escape.map(|escape| ("escape", sign(escape))));
        if !csv.null_value.is_empty() {
            options.push(("null_value", csv.null_value.clone()));
            options.push(("null_regex", pattern_of(&csv.null_value)));
        }
        let times = &csv.times;
        let formats = [
            ("date_format", &times.date),
            ("datetime_format", &times.datetime),
            ("timestamp_format", &times.timestamp),
            ("timestamp_tz_format", &times.timestamp_tz),
            ("time_format", &times.time),
        ];
        options.extend(formats.into_iter().filter_map(|(name, format)| Some((name, format.clone()?))));
    }
    options.into_iter().map(|(name, value)| (format!("format.{name}"), value)).collect()
}

/// The columns that a table over written files must be told, because the files do not know them: text has no types, and
/// directories have names only.
pub(super) fn declared_columns(columns: Option<&SchemaRef>, spec: &SinkSpec) -> Option<SchemaRef> {
    let needed = spec.format.name().is_text() || !spec.partition_by.is_empty();
    columns.filter(|_| needed).map(|columns| spec.format.stored_schema(&outward_schema(columns)))
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

    #[test]
    fn what_a_table_is_told_is_what_it_is_written_with() {
        let csv = CsvSettings {
            header: false,
            delimiter: b';',
            escape: Some(b'\\'),
            double_quote: false,
            null_value: "N.A.".into(),
            compression: Compression::gzip(),
            ..CsvSettings::new(false)
        };
        let format = Format::Csv(csv);
        let mut options = CsvOptions::default();
        for (name, value) in reading_options(&format) {
            let name = name.strip_prefix("format.").unwrap();
            datafusion::common::config::ConfigField::set(&mut options, name, &value).unwrap();
        }
        assert_eq!(sink_format_of(&CsvFormat::default().with_options(options), "csv.gz", true).unwrap(), format);
    }

    #[test]
    fn null_is_a_text_or_nothing_is_written() {
        let with = |pattern: &str| CsvOptions { null_regex: Some(pattern.into()), ..CsvOptions::default() };
        for (pattern, text) in [("^NA$", "NA"), ("NULL", "NULL"), ("^N\\.A\\.$", "N.A."), ("^$", "")] {
            assert_eq!(null_of(&with(pattern)).unwrap(), text, "{pattern}");
        }
        assert!(null_of(&with("^(NA|NULL)$")).is_err());
    }
}

//! The options of a write: `COPY … OPTIONS (mode 'append', compression 'zstd(3)', …)`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Date64Array, Time32SecondArray, TimestampMicrosecondArray, TimestampSecondArray,
};
use arrow::util::display::ArrayFormatter;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use windrow_common::{ByteSize, Error, Result, SinkMode};

use super::encode::format_options;
use super::format::{
    BloomFilters, Compression, CsvSettings, Format, FormatName, PageVersion, ParquetSettings, Statistics, TimeFormats,
};
use super::spec::DEFAULT_TARGET_FILE_BYTES;

/// Which formats an option is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    All,
    Parquet,
    Csv,
    Text,
}

impl For {
    fn has(self, format: FormatName) -> bool {
        match self {
            For::All => true,
            For::Parquet => format == FormatName::Parquet,
            For::Csv => matches!(format, FormatName::Csv | FormatName::Tsv),
            For::Text => format.is_text(),
        }
    }
}

const MODES: &str = "'append', 'overwrite' or 'error_if_exists'";
const BOOLEAN: &str = "true or false";
const CHARACTER: &str = "one ASCII character";
const PATTERN: &str = "a pattern as strftime has it, like '%Y-%m-%d'";

/// Every option, what for, and an example; the one of `compression` depends on the format.
const OPTIONS: [(&str, For, &str); 20] = [
    ("mode", For::All, MODES),
    ("target_file_size", For::All, "'512MiB'"),
    ("compression", For::All, ""),
    ("gather_partitions", For::All, BOOLEAN),
    ("row_group_rows", For::Parquet, "1048576"),
    ("dictionary", For::Parquet, BOOLEAN),
    ("statistics", For::Parquet, "'page', 'chunk' or 'none'"),
    ("bloom_filter", For::Parquet, "names of columns, 'all' or 'none'"),
    ("writer_version", For::Parquet, "'1.0' or '2.0'"),
    ("header", For::Csv, BOOLEAN),
    ("delimiter", For::Csv, CHARACTER),
    ("quote", For::Csv, CHARACTER),
    ("escape", For::Csv, CHARACTER),
    ("double_quote", For::Csv, BOOLEAN),
    ("null_value", For::Csv, "'NULL'"),
    ("date_format", For::Text, PATTERN),
    ("datetime_format", For::Text, PATTERN),
    ("timestamp_format", For::Text, PATTERN),
    ("timestamp_tz_format", For::Text, PATTERN),
    ("time_format", For::Text, PATTERN),
];
/// Other names that DataFusion and others have for some of them.
const ALIASES: [(&str, &str); 14] = [
    ("max_row_group_size", "row_group_rows"),
    ("target_file_bytes", "target_file_size"),
    ("write_mode", "mode"),
    ("has_header", "header"),
    ("delim", "delimiter"),
    ("sep", "delimiter"),
    ("nullstr", "null_value"),
    ("null", "null_value"),
    ("dictionary_enabled", "dictionary"),
    ("statistics_enabled", "statistics"),
    ("bloom_filter_on_write", "bloom_filter"),
    ("bloom_filter_enabled", "bloom_filter"),
    ("parquet_version", "writer_version"),
    ("dateformat", "date_format"),
];

/// What a statement asked for beyond its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkOptions {
    /// What becomes of what is there; none: what the kind of statement does by itself.
    pub mode: Option<SinkMode>,
    /// The files' format.
    pub format: Format,
    /// Bytes after which a task begins a new file.
    pub target_file_bytes: u64,
    /// Whether rows of one directory of a partitioned write come together in one task first.
    pub gathers_partitions: bool,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self::of(Format::default())
    }
}

impl SinkOptions {
    /// A format, and nothing else said.
    pub fn of(format: Format) -> Self {
        Self { mode: None, format, target_file_bytes: DEFAULT_TARGET_FILE_BYTES, gathers_partitions: true }
    }

    /// Reads options that change `format`. Names are taken in any case, with or without DataFusion's prefix `format.`;
    /// of the same option said twice in different ways, none.
    pub fn parse<'a>(format: Format, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut parsed = Self::of(format);
        let mut said: Vec<(&str, &str)> = Vec::new();
        for (key, value) in options {
            let name = canonical(key, parsed.format.name())?;
            if let Some((_, other)) = said.iter().find(|(known, _)| *known == name) {
                return Err(Error::user(format!("options '{other}' and '{key}' are the same; say one of them")));
            }
            said.push((name, key));
            parsed.set(name, value)?;
        }
        if let Format::Csv(csv) = &mut parsed.format {
            let says_double_quote = said.iter().any(|(name, _)| *name == "double_quote");
            // Who names an escape wants it before quotes.
            csv.double_quote = if says_double_quote { csv.double_quote } else { csv.escape.is_none() };
            csv.check()?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<()> {
        let trimmed = value.trim();
        let format = self.format.name();
        match name {
            "mode" => self.mode = Some(parse_mode(trimmed)?),
            "target_file_size" => {
                self.target_file_bytes = trimmed.parse::<ByteSize>().map_err(|e| wrong(name, value, &e))?.0;
            }
            "compression" => self.format.set_compression(Compression::parse(format, trimmed)?),
            "gather_partitions" => self.gathers_partitions = parse_bool(name, trimmed)?,
            _ => match &mut self.format {
                Format::Parquet(parquet) => set_parquet(parquet, name, trimmed)?,
                // Spaces and tabs may be meant.
                Format::Csv(csv) => set_csv(csv, name, value)?,
                Format::Json(json) => set_time(&mut json.times, name, value)?,
                Format::Arrow(_) | Format::Avro(_) => return Err(unknown(name, name, format)),
            },
        }
        Ok(())
    }
}

fn set_parquet(parquet: &mut ParquetSettings, name: &'static str, value: &str) -> Result<()> {
    let no = || wrong(name, value, example(name, FormatName::Parquet));
    match name {
        "row_group_rows" => {
            let rows = value.parse::<u64>().ok().filter(|n| *n > 0);
            parquet.row_group_rows = rows.ok_or_else(|| wrong(name, value, "a number of rows, at least 1"))?;
        }
        "dictionary" => parquet.dictionary = parse_bool(name, value)?,
        "statistics" => {
            parquet.statistics = match value.to_ascii_lowercase().as_str() {
                "page" => Statistics::Page,
                "chunk" => Statistics::Chunk,
                "none" => Statistics::None,
                _ => return Err(no()),
            }
        }
        "bloom_filter" => {
            parquet.bloom_filters = match value.to_ascii_lowercase().as_str() {
                "all" | "true" => BloomFilters::All,
                "none" | "false" => BloomFilters::None,
                "" => return Err(no()),
                _ => BloomFilters::Columns(value.split(',').map(|column| column.trim().to_owned()).collect()),
            }
        }
        "writer_version" => {
            parquet.version = match value {
                "1" | "1.0" => PageVersion::One,
                "2" | "2.0" => PageVersion::Two,
                _ => return Err(no()),
            }
        }
        other => return Err(unknown(other, other, FormatName::Parquet)),
    }
    Ok(())
}

fn set_csv(csv: &mut CsvSettings, name: &'static str, value: &str) -> Result<()> {
    match name {
        "header" => csv.header = parse_bool(name, value)?,
        "delimiter" => csv.delimiter = parse_character(name, value)?,
        "quote" => csv.quote = parse_character(name, value)?,
        "escape" => csv.escape = Some(parse_character(name, value)?),
        "double_quote" => csv.double_quote = parse_bool(name, value)?,
        "null_value" => value.clone_into(&mut csv.null_value),
        _ => set_time(&mut csv.times, name, value)?,
    }
    Ok(())
}

fn set_time(times: &mut TimeFormats, name: &'static str, value: &str) -> Result<()> {
    let (place, sample): (_, ArrayRef) = match name {
        "date_format" => (&mut times.date, Arc::new(Date32Array::from(vec![0]))),
        "datetime_format" => (&mut times.datetime, Arc::new(Date64Array::from(vec![0]))),
        "timestamp_format" => (&mut times.timestamp, Arc::new(TimestampMicrosecondArray::from(vec![0]))),
        "timestamp_tz_format" => {
            (&mut times.timestamp_tz, Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("+00:00")))
        }
        "time_format" => (&mut times.time, Arc::new(Time32SecondArray::from(vec![0]))),
        other => return Err(unknown(other, other, FormatName::Csv)),
    };
    *place = Some(value.to_owned());
    // A pattern is known to be wrong only when something is written with it.
    let written = ArrayFormatter::try_new(sample.as_ref(), &format_options(times))
        .and_then(|formatter| formatter.value(0).try_to_string());
    written.map(drop).map_err(|_| wrong(name, value, PATTERN))
}

/// The name of an option that is meant for this format.
fn canonical(key: &str, format: FormatName) -> Result<&'static str> {
    let lower = key.trim().to_ascii_lowercase();
    let name = lower.strip_prefix("format.").unwrap_or(&lower);
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, meant)| meant);
    match OPTIONS.iter().find(|(known, ..)| *known == name) {
        Some((known, meant, _)) if meant.has(format) => Ok(known),
        _ => Err(unknown(key, name, format)),
    }
}

/// There is no such option, or not for this format.
fn unknown(key: &str, name: &str, format: FormatName) -> Error {
    let there = OPTIONS.iter().filter(|(_, meant, _)| meant.has(format));
    let valid: Vec<String> = there.clone().map(|(known, ..)| format!("{known} ({})", example(known, format))).collect();
    let valid = valid.join(", ");
    let text = format.text();
    if OPTIONS.iter().any(|(known, ..)| *known == name) {
        return Error::user(format!("option '{key}' means nothing for {text}. Options of {text} are: {valid}"));
    }
    let nearest = there.map(|(known, ..)| (levenshtein(known, name), *known)).min();
    let hint = match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 3 => format!(" Did you mean '{known}'?"),
        _ => String::new(),
    };
    Error::user(format!("there is no option '{key}' for a write of {text}.{hint} Options are: {valid}"))
}

fn example(name: &str, format: FormatName) -> &'static str {
    match name {
        "compression" => Compression::choices(format),
        _ => OPTIONS.iter().find(|(known, ..)| *known == name).map_or("", |(_, _, example)| example),
    }
}

fn parse_mode(value: &str) -> Result<SinkMode> {
    match value.to_ascii_lowercase().replace(['-', ' '], "_").as_str() {
        "append" => Ok(SinkMode::Append),
        "overwrite" | "replace" => Ok(SinkMode::Overwrite),
        "error_if_exists" | "errorifexists" | "error" => Ok(SinkMode::ErrorIfExists),
        _ => Err(wrong("mode", value, MODES)),
    }
}

fn parse_bool(name: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(wrong(name, value, BOOLEAN)),
    }
}

/// One sign; a tab may also be written as people write it where they cannot type it.
fn parse_character(name: &str, value: &str) -> Result<u8> {
    match value.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [one] if one.is_ascii() => Ok(*one),
        _ => Err(wrong(name, value, CHARACTER)),
    }
}

fn wrong(key: &str, value: &str, expected: &str) -> Error {
    Error::user(format!("option '{key}' cannot be '{value}'; it takes {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(format: FormatName, options: &[(&'static str, &'static str)]) -> Result<SinkOptions> {
        SinkOptions::parse(Format::of(format), options.iter().copied())
    }

    #[test]
    fn options_are_read_in_any_case_and_by_datafusions_names() {
        let options = parse(
            FormatName::Parquet,
            &[
                ("MODE", "Error_If_Exists"),
                ("format.compression", "ZSTD(3)"),
                ("format.max_row_group_size", "1000"),
                ("Target_File_Size", "64MiB"),
                ("bloom_filter", "a, B"),
                ("dictionary_enabled", "false"),
                ("statistics", "Chunk"),
                ("writer_version", "2.0"),
                ("gather_partitions", "off"),
            ],
        );
        let format = Format::Parquet(ParquetSettings {
            compression: Compression::Zstd(3),
            row_group_rows: 1000,
            dictionary: false,
            statistics: Statistics::Chunk,
            bloom_filters: BloomFilters::Columns(vec!["a".into(), "B".into()]),
            version: PageVersion::Two,
        });
        let mode = Some(SinkMode::ErrorIfExists);
        let expected = SinkOptions { mode, format, target_file_bytes: 64 << 20, gathers_partitions: false };
        assert_eq!(options.unwrap(), expected);
        assert_eq!(parse(FormatName::Parquet, &[]).unwrap(), SinkOptions::default());
    }

    #[test]
    fn csv_is_written_as_it_is_told() {
        let options = parse(
            FormatName::Csv,
            &[
                ("format.has_header", "false"),
                ("sep", "\\t"),
                ("quote", "'"),
                ("escape", "\\"),
                ("nullstr", "NA"),
                ("date_format", "%d.%m.%Y"),
                ("timestamp_tz_format", "%s"),
                ("compression", "gzip(9)"),
            ],
        );
        let expected = CsvSettings {
            header: false,
            delimiter: b'\t',
            quote: b'\'',
            escape: Some(b'\\'),
            double_quote: false,
            null_value: "NA".into(),
            compression: Compression::Gzip(9),
            times: TimeFormats {
                date: Some("%d.%m.%Y".into()),
                timestamp_tz: Some("%s".into()),
                ..TimeFormats::default()
            },
            ..CsvSettings::new(false)
        };
        assert_eq!(options.unwrap().format, Format::Csv(expected));
    }

    #[test]
    fn a_wrong_option_says_which_there_are() {
        let says = |format, key, value| parse(format, &[(key, value)]).unwrap_err().message;
        let parquet = |key, value| says(FormatName::Parquet, key, value);
        assert!(parquet("compresion", "zstd").contains("Did you mean 'compression'?"));
        assert!(!parquet("colour", "red").contains("Did you mean"));
        assert!(parquet("colour", "red").contains("target_file_size"));
        assert!(parquet("mode", "upsert").contains("overwrite"));
        for (key, value) in [("compression", "zstd(99)"), ("compression", "zstd(1"), ("row_group_rows", "0")] {
            assert!(parquet(key, value).contains(value), "{key} {value}");
        }
        assert!(parquet("delimiter", ";").contains("means nothing for parquet"));
        assert!(says(FormatName::Csv, "row_group_rows", "5").contains("Options of csv are"));
        assert!(says(FormatName::Avro, "header", "true").contains("means nothing for avro"));
        assert!(says(FormatName::Csv, "delimiter", "ab").contains("one ASCII character"));
        assert!(says(FormatName::Csv, "delimiter", "\"").contains("same character"));
        assert!(says(FormatName::Csv, "header", "maybe").contains("true or false"));
        assert!(says(FormatName::Json, "date_format", "%Q").contains("strftime"));
        let twice = parse(FormatName::Csv, &[("header", "true"), ("has_header", "false")]).unwrap_err().message;
        assert!(twice.contains("say one of them"), "{twice}");
    }
}

//! The options of a format: `STORED AS CSV … OPTIONS (delimiter ';', on_error 'skip')`, by DataFusion's names and by those
//! of others. They travel to the workers as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windrow_common::{ByteSize, Error, ErrorKind, Result};

use super::compression::Compression;
use super::csv::padding::MISSING;
use super::csv::times::is_pattern;
use super::encoding;
use super::option_names::{Given, OPTIONS_OF_CSV, OPTIONS_OF_JSON, OPTIONS_OF_OTHERS};
use super::text::bad_row::BadRows;
use super::text::dialect::Dialect;
use crate::sink::format::TimeFormats;

/// Records that a schema is made from, of each file that is looked at.
const DEFAULT_SAMPLE: usize = 1000;
/// Bytes of the longest record, unless an option says otherwise.
pub const DEFAULT_MAX_RECORD: usize = 4 << 20;
/// The least and the most that the option may say.
const MAX_RECORD_BOUNDS: std::ops::RangeInclusive<u64> = (64 << 10)..=(256 << 20);
/// Stands for a quote where there is none: no text has this byte.
pub const NO_QUOTE: u8 = 0xff;

/// A format and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FormatOptions {
    /// Fields between delimiters.
    Csv(Box<CsvOptions>),
    /// An object on each line.
    Json(JsonOptions),
    /// Arrow IPC: files and streams.
    Arrow,
    /// Avro's object container files.
    Avro,
    /// Parquet.
    Parquet,
}

/// How CSV is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// What files' names end with: `csv` or `tsv`.
    pub extension: String,
    /// Whether each file's first record holds the names of its columns.
    pub header: bool,
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: Option<u8>,
    /// Before quotes in quoted fields.
    pub escape: Option<u8>,
    /// At the beginning of lines that are no records.
    pub comment: Option<u8>,
    /// What ends records, if not a line end.
    pub terminator: Option<u8>,
    /// Fields that match are null.
    pub null_regex: Option<String>,
    /// Whether the last fields of a record may be missing.
    pub truncated_rows: bool,
    /// How dates and times are written, in columns that are declared as such; those that are found out are text.
    pub times: TimeFormats,
    /// The encoding, by the name that [`encoding::canonical`] gives it.
    pub encoding: String,
    /// What it has in common with other text.
    pub text: TextOptions,
}

/// How JSON is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonOptions {
    /// What it has in common with other text.
    pub text: TextOptions,
}

/// What is common to text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextOptions {
    /// The compression.
    pub compression: Compression,
    /// Records of each file from which a schema is made.
    pub sample: usize,
    /// What becomes of bad records.
    pub bad_rows: BadRows,
    /// Bytes of the longest record.
    pub max_record: usize,
    /// Whether many tasks may read one file.
    pub parallel: bool,
}

impl FormatOptions {
    /// The options of `STORED AS name OPTIONS (…)`.
    pub fn parse(name: &str, options: &BTreeMap<String, String>) -> Result<Self> {
        let format = name.trim().to_ascii_uppercase();
        match format.as_str() {
            "CSV" => csv(Given::read("CSV", &OPTIONS_OF_CSV, options)?, "csv", b','),
            "TSV" => csv(Given::read("TSV", &OPTIONS_OF_CSV, options)?, "tsv", b'\t'),
            "JSON" | "NDJSON" | "JSONL" => json(Given::read("JSON", &OPTIONS_OF_JSON, options)?),
            "ARROW" | "ARROWS" | "IPC" | "FEATHER" => {
                Given::read("Arrow", &OPTIONS_OF_OTHERS, options)?;
                Ok(Self::Arrow)
            }
            "AVRO" => {
                Given::read("Avro", &OPTIONS_OF_OTHERS, options)?;
                Ok(Self::Avro)
            }
            "PARQUET" => {
                Given::read("Parquet", &OPTIONS_OF_OTHERS, options)?;
                Ok(Self::Parquet)
            }
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!("there is no format {name}; there are CSV, TSV, JSON, PARQUET, ARROW and AVRO"),
            )),
        }
    }

    /// What files' names end with, without a dot in front; `csv.gz` of compressed text.
    pub fn extension(&self) -> String {
        match self {
            Self::Csv(csv) => format!("{}{}", csv.extension, csv.text.compression.extension()),
            Self::Json(json) => format!("json{}", json.text.compression.extension()),
            Self::Arrow => "arrow".into(),
            Self::Avro => "avro".into(),
            Self::Parquet => "parquet".into(),
        }
    }

    /// The format's name in plans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Json(_) => "json",
            Self::Arrow => "arrow",
            Self::Avro => "avro",
            Self::Parquet => "parquet",
        }
    }

    /// What text formats have in common, of those that are text.
    pub fn text(&self) -> Option<&TextOptions> {
        match self {
            Self::Csv(csv) => Some(&csv.text),
            Self::Json(json) => Some(&json.text),
            Self::Arrow | Self::Avro | Self::Parquet => None,
        }
    }

    /// Whether ranges of a file can be read by different tasks.
    pub fn is_splittable(&self) -> bool {
        let text = |text: &TextOptions| text.compression == Compression::None && text.parallel;
        match self {
            Self::Csv(csv) => text(&csv.text) && encoding::is_utf8(&csv.encoding),
            Self::Json(json) => text(&json.text),
            Self::Arrow | Self::Avro | Self::Parquet => true,
        }
    }
}

impl CsvOptions {
    /// What divides its records.
    pub fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: self.delimiter,
            quote: self.quote,
            escape: self.escape,
            comment: self.comment,
            terminator: self.terminator,
        }
    }

    /// The same for arrow-csv.
    pub fn arrow_format(&self) -> Result<arrow::csv::reader::Format> {
        let mut format = arrow::csv::reader::Format::default()
            .with_delimiter(self.delimiter)
            .with_quote(self.quote.unwrap_or(NO_QUOTE))
            .with_truncated_rows(self.truncated_rows);
        if let Some(escape) = self.escape {
            format = format.with_escape(escape);
        }
        if let Some(comment) = self.comment {
            format = format.with_comment(comment);
        }
        if let Some(terminator) = self.terminator {
            format = format.with_terminator(terminator);
        }
        if let Some(regex) = &self.null_regex {
            let mut parsed = regex.parse();
            if parsed.is_ok() && self.truncated_rows {
                parsed = format!("(?:{regex})|^{MISSING}$").parse();
            }
            format = format.with_null_regex(parsed.map_err(|e| Error::user(format!("option 'null_regex': {e}")))?);
        }
        Ok(format)
    }
}

fn csv(given: Given<'_>, extension: &str, delimiter: u8) -> Result<FormatOptions> {
    let null_value = given.get("null_value").map(|(_, value)| format!("^{}$", literally(value)));
    let null_regex = given.get("null_regex").map(|(_, value)| value.to_owned());
    if null_value.is_some() && null_regex.is_some() {
        return Err(Error::user("options 'null_value' and 'null_regex' cannot both be given"));
    }
    given.boolean("newlines_in_values")?;
    let options = CsvOptions {
        extension: extension.into(),
        header: given.boolean("has_header")?.unwrap_or(true),
        delimiter: given.byte("delimiter")?.flatten().unwrap_or(delimiter),
        quote: given.byte("quote")?.unwrap_or(Some(b'"')),
        escape: given.byte("escape")?.flatten(),
        comment: given.byte("comment")?.flatten(),
        terminator: given.byte("terminator")?.flatten().filter(|byte| *byte != b'\n'),
        null_regex: null_value.or(null_regex),
        truncated_rows: given.boolean("truncated_rows")?.unwrap_or(false),
        times: times(&given)?,
        encoding: encoding::canonical(given.get("encoding").map_or("utf-8", |(_, value)| value))?.into(),
        text: text(&given)?,
    };
    check_distinct(options)
}

/// Bytes with a meaning must have one.
fn check_distinct(mut options: CsvOptions) -> Result<FormatOptions> {
    // Two quotes for one is what is understood without an escape.
    options.escape = options.escape.filter(|escape| Some(*escape) != options.quote);
    let special = [
        ("delimiter", Some(options.delimiter)),
        ("quote", options.quote),
        ("escape", options.escape),
        ("comment", options.comment),
        ("terminator", Some(options.terminator.unwrap_or(b'\n'))),
        ("terminator", options.terminator.is_none().then_some(b'\r')),
    ];
    for (at, (name, byte)) in special.iter().enumerate() {
        if let Some((other, _)) = special[..at].iter().find(|(_, before)| byte.is_some() && before == byte) {
            let shown = byte.unwrap_or_default().escape_ascii();
            return Err(Error::user(format!("options '{other}' and '{name}' cannot both be '{shown}'")));
        }
    }
    // The parser would not know where the comment ends, and take all rows behind it for a part of it.
    if options.comment.is_some() && options.terminator.is_some() {
        let why = "a comment ends with its line, so that records must end with lines too";
        return Err(Error::user(format!("options 'comment' and 'terminator' cannot be used together: {why}")));
    }
    // A bad regular expression is to be told when the table is made, not when it is read.
    options.arrow_format()?;
    Ok(FormatOptions::Csv(Box::new(options)))
}

fn json(given: Given<'_>) -> Result<FormatOptions> {
    if let Some((key, value)) = given.get("encoding")
        && !encoding::is_utf8(encoding::canonical(value)?)
    {
        return Err(Error::user(format!("option '{key}' cannot be '{value}'; JSON is read as UTF-8 only")));
    }
    Ok(FormatOptions::Json(JsonOptions { text: text(&given)? }))
}

fn times(given: &Given<'_>) -> Result<TimeFormats> {
    let pattern = |name: &str| match given.get(name) {
        Some((key, value)) if !is_pattern(value) => {
            Err(Given::wrong(key, value, "a pattern as strftime has it, like '%Y-%m-%d'"))
        }
        given => Ok(given.map(|(_, value)| value.to_owned())),
    };
    Ok(TimeFormats {
        date: pattern("date_format")?,
        datetime: pattern("datetime_format")?,
        timestamp: pattern("timestamp_format")?,
        timestamp_tz: pattern("timestamp_tz_format")?,
        time: pattern("time_format")?,
    })
}

fn text(given: &Given<'_>) -> Result<TextOptions> {
    let skip = match given.get("on_error") {
        None => false,
        Some((key, value)) => match value.to_ascii_lowercase().as_str() {
            "error" | "fail" | "failfast" => false,
            "skip" | "ignore" | "dropmalformed" => true,
            _ => return Err(Given::wrong(key, value, "'error' or 'skip'")),
        },
    };
    let rejects = given.get("rejects").map(|(_, value)| value.to_owned());
    if rejects.is_some() && !skip {
        return Err(Error::user("option 'rejects' needs on_error 'skip': otherwise the first bad row is an error"));
    }
    let max_record = match given.get("max_record_size") {
        None => DEFAULT_MAX_RECORD as u64,
        Some((key, value)) => {
            let size = value.parse::<ByteSize>().map_err(|e| Given::wrong(key, value, &e))?.0;
            let fits = MAX_RECORD_BOUNDS.contains(&size).then_some(size);
            fits.ok_or_else(|| Given::wrong(key, value, "a size between '64KiB' and '256MiB'"))?
        }
    };
    let compression = match given.get("compression") {
        None => Compression::None,
        Some((key, value)) => Compression::by_name(value)
            .ok_or_else(|| Given::wrong(key, value, "'none', 'gzip', 'zstd', 'bzip2' or 'xz'"))?,
    };
    Ok(TextOptions {
        compression,
        sample: given.number("sample_size")?.unwrap_or(DEFAULT_SAMPLE),
        bad_rows: BadRows { skip, rejects },
        max_record: max_record as usize,
        parallel: given.boolean("parallel")?.unwrap_or(true),
    })
}

/// A regular expression that matches this text only.
fn literally(text: &str) -> String {
    text.chars().fold(String::new(), |mut regex, letter| {
        if letter.is_ascii_punctuation() {
            regex.push('\\');
        }
        regex.push(letter);
        regex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, options: &[(&str, &str)]) -> Result<FormatOptions> {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        FormatOptions::parse(name, &options)
    }

    fn csv(options: &[(&str, &str)]) -> CsvOptions {
        match parse("csv", options).unwrap() {
            FormatOptions::Csv(csv) => *csv,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_known_by_the_names_of_others() {
        let ours = [("has_header", "false"), ("delimiter", ";"), ("null_value", "N.A"), ("sample_size", "7")];
        let datafusions = [
            ("format.HAS_HEADER", "FALSE"),
            ("format.delimiter", ";"),
            ("format.null_regex", "^N\\.A$"),
            ("format.schema_infer_max_rec", "7"),
        ];
        let others = [("header", "false"), ("sep", ";"), ("nullstr", "N.A"), ("schema_infer_max_rec", "7")];
        assert_eq!(csv(&ours), csv(&datafusions));
        assert_eq!(csv(&ours), csv(&others));
        let rest = csv(&[("comment", "#"), ("escape", "\\"), ("encoding", "latin1"), ("compression", "GZ")]);
        assert_eq!((rest.comment, rest.escape, rest.encoding.as_str()), (Some(b'#'), Some(b'\\'), "windows-1252"));
        assert_eq!(rest.text.compression, Compression::Gzip);
        assert_eq!(csv(&[("quote", "")]).quote, None);
        assert_eq!(csv(&[("escape", "\"")]).escape, None, "two quotes for one need no escape");
    }

    #[test]
    fn a_wrong_option_says_which_there_are() {
        let says = |name: &str, key: &str, value: &str| parse(name, &[(key, value)]).unwrap_err().message;
        assert!(says("csv", "delimeter", ";").contains("Did you mean 'delimiter'?"));
        assert!(says("json", "delimiter", ";").contains("sample_size"));
        assert!(says("parquet", "header", "true").contains("it has none"));
        let both = [("terminator", ";"), ("comment", "#")];
        assert!(parse("csv", &both).unwrap_err().message.contains("used together"));
        assert!(says("json", "date_format", "%d").contains("to_date"));
        for (key, value) in [
            ("delimiter", "ab"),
            ("delimiter", ""),
            ("delimiter", "\""),
            ("quote", "é"),
            ("compression", "lzo"),
            ("sample_size", "0"),
            ("header", "maybe"),
            ("on_error", "cry"),
            ("max_record_size", "1KiB"),
            ("null_regex", "("),
            ("encoding", "klingon"),
            ("date_format", "%Q"),
        ] {
            let said = says("csv", key, value);
            assert!(said.contains(key) || said.contains(value), "{key} {value}: {said}");
        }
        assert!(says("csv", "rejects", "/d").contains("on_error 'skip'"));
        assert!(says("json", "encoding", "utf-16").contains("UTF-8 only"));
        assert!(parse("orc", &[]).unwrap_err().message.contains("PARQUET"));
        assert!(parse("csv", &[("sep", ";"), ("delim", ";")]).unwrap_err().message.contains("mean the same"));
    }

    #[test]
    fn only_plain_text_is_read_in_parts() {
        assert!(parse("tsv", &[]).unwrap().is_splittable());
        for (key, value) in [("compression", "zstd"), ("encoding", "utf-16le"), ("parallel", "false")] {
            assert!(!parse("csv", &[(key, value)]).unwrap().is_splittable(), "{key}");
        }
        assert_eq!(parse("tsv", &[("compression", "gzip")]).unwrap().extension(), "tsv.gz");
    }

    #[test]
    fn options_travel_whole() {
        let options =
            [("terminator", ";"), ("delimiter", "\\t"), ("on_error", "skip"), ("rejects", "/d"), ("quote", "'")];
        let options = parse("csv", &options).unwrap();
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<FormatOptions>(&json).unwrap(), options);
    }
}

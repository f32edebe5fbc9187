//! The names of formats' options, with the other names that DataFusion, DuckDB and Spark have for them, and the reading of
//! their values.

use std::collections::BTreeMap;

use datafusion::common::utils::datafusion_strsim::levenshtein;
use windrow_common::{Error, Result};

/// An option: its name, an example, and other names for it.
pub type Option3 = (&'static str, &'static str, &'static [&'static str]);

const TEXT: [Option3; 6] = [
    ("compression", "'gzip'", &["file_compression_type"]),
    ("sample_size", "1000", &["schema_infer_max_rec", "schema_infer_max_records", "sampling_size"]),
    ("on_error", "'skip'", &["mode"]),
    ("rejects", "'s3://bucket/rejects'", &["rejects_location", "bad_records_path", "badrecordspath"]),
    ("max_record_size", "'4MiB'", &["max_line_size", "maximum_line_size", "maximum_object_size"]),
    ("parallel", "false", &[]),
];
const ENCODING: Option3 = ("encoding", "'utf-16le'", &["charset"]);
/// Those of CSV and TSV.
pub const OPTIONS_OF_CSV: [Option3; 22] = [
    ("has_header", "true", &["header"]),
    ("delimiter", "';'", &["delim", "sep", "separator"]),
    ("quote", "'\"'", &["quotechar"]),
    ("escape", "'\\'", &["escapechar"]),
    ("comment", "'#'", &[]),
    ("terminator", "';'", &["lineterminator", "linesep", "new_line"]),
    ("null_value", "'NA'", &["nullstr", "null", "nullvalue", "null_string"]),
    ("null_regex", "'^(NA|-)$'", &[]),
    ("newlines_in_values", "true", &["multiline"]),
    ("truncated_rows", "true", &["allow_missing_columns", "null_padding", "allow_truncated_rows"]),
    ("date_format", "'%d.%m.%Y'", &["dateformat"]),
    ("datetime_format", "'%d.%m.%Y %H:%M:%S'", &[]),
    ("timestamp_format", "'%d.%m.%Y %H:%M:%S'", &["timestampformat"]),
    ("timestamp_tz_format", "'%d.%m.%Y %H:%M:%S %z'", &[]),
    ("time_format", "'%H.%M.%S'", &[]),
    ENCODING,
    TEXT[0],
    TEXT[1],
    TEXT[2],
    TEXT[3],
    TEXT[4],
    TEXT[5],
];
/// Those of JSON.
pub const OPTIONS_OF_JSON: [Option3; 7] = [ENCODING, TEXT[0], TEXT[1], TEXT[2], TEXT[3], TEXT[4], TEXT[5]];
/// Those of formats that say everything themselves.
pub const OPTIONS_OF_OTHERS: [Option3; 0] = [];

/// What others have an option for and we have not, with what to do instead.
const INSTEAD: [(&str, &str); 7] = [
    ("date_format", DATES),
    ("dateformat", DATES),
    ("timestamp_format", DATES),
    ("timestampformat", DATES),
    ("datetime_format", DATES),
    ("timestamp_tz_format", DATES),
    ("time_format", DATES),
];
const DATES: &str = "dates and times are read in their ISO form (2024-01-31 12:00:00); for another form name the column \
                     as text and use to_date or to_timestamp in the query";

/// The options that were given: name, name as given, value.
pub struct Given<'a>(BTreeMap<&'static str, (&'a str, &'a str)>);

impl<'a> Given<'a> {
    /// Finds each option given among those of a format.
    pub fn read(format: &str, known: &[Option3], options: &'a BTreeMap<String, String>) -> Result<Self> {
        let mut given = BTreeMap::new();
        for (key, value) in options {
            let name = canonical(format, known, key)?;
            if let Some((before, _)) = given.insert(name, (key.as_str(), value.as_str())) {
                return Err(Error::user(format!("options '{before}' and '{key}' mean the same; give one of them")));
            }
        }
        Ok(Self(given))
    }

    /// An option's name as given, and its value.
    pub fn get(&self, name: &str) -> Option<(&'a str, &'a str)> {
        self.0.get(name).copied()
    }

    /// An option that is true or false.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let Some((key, value)) = self.get(name) else { return Ok(None) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(Some(true)),
            "false" | "0" | "off" | "no" => Ok(Some(false)),
            _ => Err(Self::wrong(key, value, "true or false")),
        }
    }

    /// An option that is a number, at least 1.
    pub fn number(&self, name: &str) -> Result<Option<usize>> {
        let Some((key, value)) = self.get(name) else { return Ok(None) };
        let number = value.trim().parse::<usize>().ok().filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| Self::wrong(key, value, "a number, at least 1"))
    }

    /// An option that is one byte, or that there be none.
    pub fn byte(&self, name: &str) -> Result<Option<Option<u8>>> {
        let Some((key, value)) = self.get(name) else { return Ok(None) };
        let byte = match value {
            "" | "none" | "NONE" => None,
            "\\t" | "tab" => Some(b'\t'),
            "\\n" | "\r\n" | "\\r\\n" => Some(b'\n'),
            "\\r" => Some(b'\r'),
            "\\0" => Some(0),
            "\\\\" => Some(b'\\'),
            _ => match value.as_bytes() {
                [byte] => Some(*byte),
                _ => return Err(Self::wrong(key, value, "one character of ASCII")),
            },
        };
        if byte.is_none() && name == "delimiter" {
            return Err(Self::wrong(key, value, "one character of ASCII"));
        }
        Ok(Some(byte))
    }

    /// A value that does not go.
    pub fn wrong(key: &str, value: &str, expected: &str) -> Error {
        Error::user(format!("option '{key}' cannot be '{}'; it takes {expected}", value.escape_debug()))
    }
}

fn canonical(format: &str, known: &[Option3], key: &str) -> Result<&'static str> {
    let lower = key.trim().to_ascii_lowercase();
    let name = lower.strip_prefix("format.").unwrap_or(&lower);
    let found = known.iter().find(|(known, _, aliases)| *known == name || aliases.contains(&name));
    if let Some((known, ..)) = found {
        return Ok(known);
    }
    if let Some((_, instead)) = INSTEAD.iter().find(|(other, _)| *other == name && !known.is_empty()) {
        return Err(Error::user(format!("there is no option '{key}' for {format}: {instead}")));
    }
    let names = known.iter().flat_map(|(known, _, aliases)| std::iter::once(known).chain(*aliases));
    let nearest = names.map(|known| (levenshtein(known, name), *known)).min();
    let hint = match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 4 => format!(" Did you mean '{known}'?"),
        _ => String::new(),
    };
    let all: Vec<String> = known.iter().map(|(known, example, _)| format!("{known} ({example})")).collect();
    let all = if all.is_empty() { "it has none".to_owned() } else { format!("options are: {}", all.join(", ")) };
    Err(Error::user(format!("there is no option '{key}' for reading {format}.{hint} For this format {all}")))
}

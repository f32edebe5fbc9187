//! The options of a write: `COPY … OPTIONS (mode 'append', compression 'zstd(3)', …)`.

use datafusion::common::utils::datafusion_strsim::levenshtein;
use windrow_common::{ByteSize, Error, Result, SinkMode};

use super::spec::{Compression, DEFAULT_ROW_GROUP_ROWS, DEFAULT_TARGET_FILE_BYTES, Format};

/// Every option, with an example.
const OPTIONS: [(&str, &str); 4] = [
    ("mode", "'append', 'overwrite' or 'error_if_exists'"),
    ("compression", "'zstd(1)', 'snappy', 'lz4', 'gzip(6)', 'brotli(4)' or 'none'"),
    ("row_group_rows", "1048576"),
    ("target_file_size", "'512MiB'"),
];
/// Other names that DataFusion has for some of them.
const ALIASES: [(&str, &str); 3] =
    [("max_row_group_size", "row_group_rows"), ("target_file_bytes", "target_file_size"), ("write_mode", "mode")];

/// What a statement asked for beyond its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkOptions {
    /// What becomes of what is there; none: what the kind of statement does by itself.
    pub mode: Option<SinkMode>,
    /// The files' format.
    pub format: Format,
    /// Bytes after which a task begins a new file.
    pub target_file_bytes: u64,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { mode: None, format: Format::default(), target_file_bytes: DEFAULT_TARGET_FILE_BYTES }
    }
}

impl SinkOptions {
    /// Reads options. Names are taken in any case, with or without DataFusion's prefix `format.`.
    pub fn parse<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let (mut mode, mut compression) = (None, Compression::default());
        let (mut row_group_rows, mut target_file_bytes) = (DEFAULT_ROW_GROUP_ROWS, DEFAULT_TARGET_FILE_BYTES);
        for (key, value) in options {
            let value = value.trim();
            match canonical(key)? {
                "mode" => mode = Some(parse_mode(value)?),
                "compression" => compression = parse_compression(value)?,
                "row_group_rows" => {
                    let rows = value.parse::<u64>().ok().filter(|n| *n > 0);
                    row_group_rows = rows.ok_or_else(|| wrong(key, value, "a number of rows, at least 1"))?;
                }
                _ => target_file_bytes = value.parse::<ByteSize>().map_err(|e| wrong(key, value, &e))?.0,
            }
        }
        Ok(Self { mode, format: Format::Parquet { compression, row_group_rows }, target_file_bytes })
    }
}

fn canonical(key: &str) -> Result<&'static str> {
    let lower = key.trim().to_ascii_lowercase();
    let name = lower.strip_prefix("format.").unwrap_or(&lower);
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, meant)| meant);
    if let Some((known, _)) = OPTIONS.iter().find(|(known, _)| *known == name) {
        return Ok(known);
    }
    let nearest = OPTIONS.iter().map(|(known, _)| (levenshtein(known, name), *known)).min();
    let hint = match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 3 => format!(" Did you mean '{known}'?"),
        _ => String::new(),
    };
    let valid: Vec<String> = OPTIONS.iter().map(|(known, example)| format!("{known} ({example})")).collect();
    Err(Error::user(format!("there is no option '{key}' for a write.{hint} Options are: {}", valid.join(", "))))
}

fn parse_mode(value: &str) -> Result<SinkMode> {
    match value.to_ascii_lowercase().replace(['-', ' '], "_").as_str() {
        "append" => Ok(SinkMode::Append),
        "overwrite" | "replace" => Ok(SinkMode::Overwrite),
        "error_if_exists" | "errorifexists" | "error" => Ok(SinkMode::ErrorIfExists),
        _ => Err(wrong("mode", value, OPTIONS[0].1)),
    }
}

fn parse_compression(value: &str) -> Result<Compression> {
    let lower = value.to_ascii_lowercase();
    let no = || wrong("compression", value, OPTIONS[1].1);
    let (name, level) = match lower.split_once('(') {
        None => (lower.as_str(), None),
        Some((name, rest)) => {
            let level = rest.strip_suffix(')').and_then(|n| n.trim().parse::<u32>().ok()).ok_or_else(no)?;
            (name.trim(), Some(level))
        }
    };
    match (name, level) {
        ("none" | "uncompressed", None) => Ok(Compression::None),
        ("snappy", None) => Ok(Compression::Snappy),
        ("lz4" | "lz4_raw", None) => Ok(Compression::Lz4),
        ("zstd", None) => Ok(Compression::default()),
        ("zstd", Some(n @ 1..=22)) => Ok(Compression::Zstd(n as i32)),
        ("gzip", None) => Ok(Compression::Gzip(6)),
        ("gzip", Some(n @ 0..=9)) => Ok(Compression::Gzip(n)),
        ("brotli", None) => Ok(Compression::Brotli(4)),
        ("brotli", Some(n @ 0..=11)) => Ok(Compression::Brotli(n)),
        _ => Err(no()),
    }
}

fn wrong(key: &str, value: &str, expected: &str) -> Error {
    Error::user(format!("option '{key}' cannot be '{value}'; it takes {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_case_and_by_datafusions_names() {
        let options = SinkOptions::parse([
            ("MODE", "Error_If_Exists"),
            ("format.compression", "ZSTD(3)"),
            ("format.max_row_group_size", "1000"),
            ("Target_File_Size", "64MiB"),
        ]);
        let format = Format::Parquet { compression: Compression::Zstd(3), row_group_rows: 1000 };
        let expected = SinkOptions { mode: Some(SinkMode::ErrorIfExists), format, target_file_bytes: 64 << 20 };
        assert_eq!(options.unwrap(), expected);
        assert_eq!(SinkOptions::parse([]).unwrap(), SinkOptions::default());
    }

    #[test]
    fn a_wrong_option_says_which_there_are() {
        let says = |key, value| SinkOptions::parse([(key, value)]).unwrap_err().message;
        assert!(says("compresion", "zstd").contains("Did you mean 'compression'?"));
        assert!(!says("colour", "red").contains("Did you mean"));
        assert!(says("colour", "red").contains("target_file_size"));
        assert!(says("mode", "upsert").contains("overwrite"));
        for (key, value) in [("compression", "zstd(99)"), ("compression", "zstd(1"), ("row_group_rows", "0")] {
            assert!(says(key, value).contains(value), "{key} {value}");
        }
    }
}

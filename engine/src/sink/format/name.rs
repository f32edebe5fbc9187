//! What formats are called: in SQL (`STORED AS NDJSON`) and by the names of files (`x.csv.gz`).

use windrow_common::{Error, ErrorKind, Result};

use super::Compression;

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormatName {
    /// Parquet.
    Parquet,
    /// Values between commas.
    Csv,
    /// Values between tabs.
    Tsv,
    /// An object on each line.
    Json,
    /// Arrow IPC files.
    Arrow,
    /// Arrow IPC streams.
    ArrowStream,
    /// Avro object containers.
    Avro,
}

/// The name of each format, which is also its files' extension, and other names for it.
const NAMES: [(FormatName, &str, &[&str]); 7] = [
    (FormatName::Parquet, "parquet", &["pq", "parq"]),
    (FormatName::Csv, "csv", &[]),
    (FormatName::Tsv, "tsv", &[]),
    (FormatName::Json, "json", &["ndjson", "jsonl"]),
    (FormatName::Arrow, "arrow", &["ipc", "feather"]),
    (FormatName::ArrowStream, "arrows", &["arrow_stream"]),
    (FormatName::Avro, "avro", &[]),
];
/// Formats of others, that cannot be written. Their extensions mean a file and no directory.
const UNKNOWN: [&str; 3] = ["orc", "xlsx", "xml"];
/// Extensions that say how a whole file is compressed.
const COMPRESSED: [&str; 8] = ["gz", "gzip", "zst", "zstd", "bz2", "xz", "lz4", "snappy"];

impl FormatName {
    /// Every format.
    pub const ALL: [FormatName; 7] = [
        FormatName::Parquet,
        FormatName::Csv,
        FormatName::Tsv,
        FormatName::Json,
        FormatName::Arrow,
        FormatName::ArrowStream,
        FormatName::Avro,
    ];

    /// Its name in small letters, which is also the extension of its files.
    pub fn text(self) -> &'static str {
        NAMES.iter().find(|(name, ..)| *name == self).map_or("", |(_, text, _)| text)
    }

    /// The format of this name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        NAMES.iter().find(|(_, text, others)| *text == lower || others.contains(&lower.as_str())).map(|(n, ..)| *n)
    }

    /// The format of this name, as a statement says it.
    pub fn of_statement(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(|name| name.text().to_ascii_uppercase()).collect();
            Error::new(
                ErrorKind::Unsupported,
                format!("STORED AS {} cannot be written; there are {}", text.to_ascii_uppercase(), names.join(", ")),
            )
        })
    }

    /// Whether its files are text, which is compressed as a whole if at all.
    pub fn is_text(self) -> bool {
        matches!(self, FormatName::Csv | FormatName::Tsv | FormatName::Json)
    }

    /// The format of a file of this name, however it is compressed.
    pub fn of_file(name: &str) -> Option<Self> {
        let (stem, extension) = split(name)?;
        if !COMPRESSED.contains(&extension.as_str()) {
            return Self::parse(&extension);
        }
        split(stem).and_then(|(_, inner)| Self::parse(&inner)).filter(|format| format.is_text())
    }
}

/// What the name of a file says of its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The format.
    pub format: FormatName,
    /// How the whole file is compressed; for formats that are compressed inside this says nothing.
    pub compression: Compression,
}

impl FileName {
    /// Reads a name; none if it does not say a format. Formats and compressions that cannot be written are refused.
    pub fn parse(name: &str) -> Result<Option<Self>> {
        let Some((stem, extension)) = split(name) else { return Ok(None) };
        if UNKNOWN.contains(&extension.as_str()) {
            return Err(unwritable(name, &format!("{extension} files cannot be written")));
        }
        if !COMPRESSED.contains(&extension.as_str()) {
            return Ok(FormatName::parse(&extension).map(|format| Self { format, compression: Compression::None }));
        }
        let Some(format) = split(stem).and_then(|(_, inner)| FormatName::parse(&inner)) else {
            return Err(Error::user(format!(
                "'{name}' does not say what is compressed in it; write 'name.csv.{extension}', or 'name/' for a directory"
            )));
        };
        if !format.is_text() {
            let inner = format.text();
            return Err(Error::user(format!(
                "'{name}': {inner} files are compressed inside; call it 'name.{inner}' and say OPTIONS (compression '…')"
            )));
        }
        let compression = match extension.as_str() {
            "gz" | "gzip" => Compression::gzip(),
            "zst" | "zstd" => Compression::default(),
            other => return Err(unwritable(name, &format!("{other} cannot be written; gz and zst can"))),
        };
        Ok(Some(Self { format, compression }))
    }
}

fn unwritable(name: &str, what: &str) -> Error {
    let names: Vec<String> = FormatName::ALL.iter().map(|format| format!("name.{}", format.text())).collect();
    let text = format!("'{name}': {what}; write {}, or 'name/' for a directory", names.join(", "));
    Error::new(ErrorKind::Unsupported, text)
}

/// What stands before the last dot, and behind it in small letters.
fn split(name: &str) -> Option<(&str, String)> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty()).then(|| (stem, extension.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_the_format_and_how_it_is_compressed() {
        let none = Compression::None;
        for (name, format, compression) in [
            ("x.parquet", FormatName::Parquet, none),
            ("x.CSV", FormatName::Csv, none),
            ("x.csv.gz", FormatName::Csv, Compression::gzip()),
            ("x.tsv.zst", FormatName::Tsv, Compression::default()),
            ("a.b.ndjson", FormatName::Json, none),
            ("x.jsonl.gz", FormatName::Json, Compression::gzip()),
            ("x.feather", FormatName::Arrow, none),
            ("x.arrows", FormatName::ArrowStream, none),
            ("x.avro", FormatName::Avro, none),
        ] {
            assert_eq!(FileName::parse(name).unwrap(), Some(FileName { format, compression }), "{name}");
            assert_eq!(FormatName::of_file(name), Some(format), "{name}");
        }
        for name in ["x", "v1.2", ".csv", "csv", "x.txt"] {
            assert_eq!(FileName::parse(name).unwrap(), None, "{name}");
        }
        for (name, says) in [
            ("x.orc", "cannot be written"),
            ("x.csv.bz2", "gz and zst can"),
            ("x.gz", "does not say what"),
            ("x.parquet.gz", "compressed inside"),
        ] {
            let error = FileName::parse(name).unwrap_err().message;
            assert!(error.contains(says), "{name}: {error}");
        }
    }

    #[test]
    fn every_name_is_read_back() {
        for name in FormatName::ALL {
            assert_eq!(FormatName::parse(&name.text().to_uppercase()), Some(name));
        }
        assert_eq!(FormatName::parse("NDJSON"), Some(FormatName::Json));
        assert!(FormatName::of_statement("orc").unwrap_err().message.contains("PARQUET, CSV"));
    }
}

//! How written files are compressed, and which format can be compressed how.

use serde::{Deserialize, Serialize};
use windrow_common::{Error, Result};

use super::FormatName;

/// The level of gzip, unless a statement says otherwise: its own default.
const GZIP_LEVEL: u32 = 6;
/// The level of Brotli, unless a statement says otherwise: from there on it takes much longer for little.
const BROTLI_LEVEL: u32 = 4;

/// How a file, or what it is made of, is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// LZ4: raw frames in Parquet (the older Hadoop framing is not written), whole frames in Arrow.
    Lz4,
    /// Zstandard, level 1 to 22.
    Zstd(i32),
    /// Gzip, level 0 to 9.
    Gzip(u32),
    /// Brotli, level 0 to 11.
    Brotli(u32),
    /// Deflate, as Avro has it.
    Deflate,
}

impl Default for Compression {
    /// Zstandard at its quickest level. What is written once is read many times, most often over a network or from a
    /// disk that is slower than zstd decodes: it is a good deal smaller than Snappy or LZ4 for little more time, while
    /// higher levels cost the writing task much more than they save.
    fn default() -> Self {
        Compression::Zstd(1)
    }
}

impl Compression {
    /// Gzip at its usual level.
    pub fn gzip() -> Self {
        Compression::Gzip(GZIP_LEVEL)
    }

    /// What a format is compressed with when nothing is said. Text is not: its files' names would not be those that
    /// people expect. Avro gets what every reader of it must know.
    pub fn default_for(format: FormatName) -> Self {
        match format {
            FormatName::Parquet => Compression::default(),
            FormatName::Avro => Compression::Deflate,
            FormatName::Csv | FormatName::Tsv | FormatName::Json | FormatName::Arrow | FormatName::ArrowStream => {
                Compression::None
            }
        }
    }

    /// The ones that a format can have, as they are written in a statement.
    pub fn choices(format: FormatName) -> &'static str {
        match format {
            FormatName::Parquet => "'zstd(1)', 'snappy', 'lz4', 'gzip(6)', 'brotli(4)' or 'none'",
            FormatName::Csv | FormatName::Tsv | FormatName::Json => "'gzip(6)', 'zstd(1)' or 'none'",
            FormatName::Arrow | FormatName::ArrowStream => "'lz4', 'zstd(1)' or 'none'",
            FormatName::Avro => "'deflate', 'snappy', 'zstd' or 'none'",
        }
    }

    /// Reads what a statement says for a format.
    pub fn parse(format: FormatName, value: &str) -> Result<Self> {
        let no = || {
            let (name, choices) = (format.text(), Self::choices(format));
            Error::user(format!("option 'compression' cannot be '{value}' for {name}; it takes {choices}"))
        };
        let (compression, has_level) = Self::read(value).ok_or_else(no)?;
        let fits = match (format, compression) {
            (_, Compression::None) => true,
            (FormatName::Parquet, Compression::Deflate) => false,
            (FormatName::Parquet, _) => true,
            (FormatName::Csv | FormatName::Tsv | FormatName::Json, Compression::Gzip(_) | Compression::Zstd(_)) => true,
            (FormatName::Arrow | FormatName::ArrowStream, Compression::Lz4 | Compression::Zstd(_)) => true,
            (FormatName::Avro, Compression::Deflate | Compression::Snappy | Compression::Zstd(_)) => !has_level,
            _ => false,
        };
        if fits { Ok(compression) } else { Err(no()) }
    }

    /// The compression, and whether a level was said.
    fn read(value: &str) -> Option<(Self, bool)> {
        let lower = value.trim().to_ascii_lowercase();
        let (name, level) = match lower.split_once('(') {
            None => (lower.as_str(), None),
            Some((name, rest)) => (name.trim(), Some(rest.strip_suffix(')')?.trim().parse::<u32>().ok()?)),
        };
        let compression = match (name, level) {
            ("none" | "uncompressed" | "null" | "", None) => Compression::None,
            ("snappy", None) => Compression::Snappy,
            ("lz4" | "lz4_raw" | "lz4_frame", None) => Compression::Lz4,
            ("deflate", None) => Compression::Deflate,
            ("zstd" | "zst" | "zstandard", None) => Compression::default(),
            ("zstd" | "zst", Some(n @ 1..=22)) => Compression::Zstd(n as i32),
            ("gzip" | "gz", None) => Compression::gzip(),
            ("gzip" | "gz", Some(n @ 0..=9)) => Compression::Gzip(n),
            ("brotli", None) => Compression::Brotli(BROTLI_LEVEL),
            ("brotli", Some(n @ 0..=11)) => Compression::Brotli(n),
            _ => return None,
        };
        Some((compression, level.is_some()))
    }

    /// Whether both are of one kind, whatever their level.
    pub fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_what_it_can_hold() {
        let parse = Compression::parse;
        assert_eq!(parse(FormatName::Parquet, "ZSTD(3)").unwrap(), Compression::Zstd(3));
        assert_eq!(parse(FormatName::Csv, "gzip(9)").unwrap(), Compression::Gzip(9));
        assert_eq!(parse(FormatName::Json, "zst").unwrap(), Compression::Zstd(1));
        assert_eq!(parse(FormatName::Arrow, "lz4").unwrap(), Compression::Lz4);
        assert_eq!(parse(FormatName::Avro, "deflate").unwrap(), Compression::Deflate);
        for name in FormatName::ALL {
            assert_eq!(parse(name, "None").unwrap(), Compression::None);
        }
        for (name, value) in [
            (FormatName::Parquet, "zstd(99)"),
            (FormatName::Parquet, "zstd(1"),
            (FormatName::Parquet, "deflate"),
            (FormatName::Csv, "bzip2"),
            (FormatName::Csv, "snappy"),
            (FormatName::Json, "xz"),
            (FormatName::Arrow, "gzip"),
            (FormatName::Avro, "zstd(3)"),
            (FormatName::Avro, "gzip"),
        ] {
            let error = parse(name, value).unwrap_err().message;
            assert!(error.contains(value) && error.contains(Compression::choices(name)), "{error}");
        }
    }
}

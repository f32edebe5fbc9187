//! The formats of written files, each with its settings. What a format can hold is in `schema`, what it is called in
//! `name`, how it is compressed in `compression`; its bytes are made in [`super::encode`].

mod compression;
mod name;
mod schema;

use serde::{Deserialize, Serialize};
use windrow_common::{Error, Result};

use crate::formats::by_path;

pub use compression::Compression;
pub use name::{FileName, FormatName};
pub(super) use schema::{holds, holds_long_dates, type_name};

/// Rows of a Parquet row group, unless the statement says otherwise.
pub const DEFAULT_ROW_GROUP_ROWS: u64 = 1 << 20;

/// The format of written files, with its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Parquet.
    Parquet(ParquetSettings),
    /// Values between delimiters, a line for each row: CSV and TSV.
    Csv(CsvSettings),
    /// JSON, an object on a line for each row.
    Json(JsonSettings),
    /// Arrow IPC, as a file or as a stream.
    Arrow(ArrowSettings),
    /// Avro object containers.
    Avro(AvroSettings),
}

/// How Parquet is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParquetSettings {
    /// How pages are compressed.
    pub compression: Compression,
    /// Rows of a row group at most; memory pressure makes them smaller.
    pub row_group_rows: u64,
    /// Whether columns of few values are written as numbers into a dictionary.
    pub dictionary: bool,
    /// Which smallest and largest values are written down.
    pub statistics: Statistics,
    /// Which columns get a Bloom filter.
    pub bloom_filters: BloomFilters,
    /// The version of data pages.
    pub version: PageVersion,
}

impl Default for ParquetSettings {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            dictionary: true,
            statistics: Statistics::Page,
            bloom_filters: BloomFilters::None,
            version: PageVersion::One,
        }
    }
}

/// Which statistics Parquet files get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statistics {
    /// None.
    None,
    /// Of each column of a row group.
    Chunk,
    /// Of each page as well.
    Page,
}

/// Which columns of a Parquet file get a Bloom filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BloomFilters {
    /// None.
    None,
    /// Each.
    All,
    /// The columns of these names.
    Columns(Vec<String>),
}

/// The version of Parquet's data pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageVersion {
    /// 1.0, which every reader knows.
    One,
    /// 2.0.
    Two,
}

/// How values between delimiters are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvSettings {
    /// Whether the files are called `.tsv`.
    pub tsv: bool,
    /// How each file is compressed.
    pub compression: Compression,
    /// Whether the first line has the columns' names.
    pub header: bool,
    /// Stands between values.
    pub delimiter: u8,
    /// Stands around values that need it.
    pub quote: u8,
    /// Stands before a quote and before itself in a quoted value.
    pub escape: Option<u8>,
    /// Whether a quote in a quoted value is written twice, not behind an escape.
    pub double_quote: bool,
    /// What is written for NULL, without quotes. A text that looks like it is quoted.
    pub null_value: String,
    /// How times are written.
    pub times: TimeFormats,
}

impl CsvSettings {
    /// CSV, or TSV, as most programs write it.
    pub fn new(tsv: bool) -> Self {
        Self {
            tsv,
            compression: Compression::None,
            header: true,
            delimiter: if tsv { b'\t' } else { b',' },
            quote: b'"',
            escape: None,
            double_quote: true,
            null_value: String::new(),
            times: TimeFormats::default(),
        }
    }

    /// Whether its signs can be told apart.
    pub fn check(&self) -> Result<()> {
        let signs = [("delimiter", Some(self.delimiter)), ("quote", Some(self.quote)), ("escape", self.escape)];
        for (i, (name, sign)) in signs.iter().enumerate() {
            let same = signs[i + 1..].iter().find(|(_, other)| sign.is_some() && sign == other);
            // An escape that is the quote itself is the same as writing it twice.
            if let Some((other, _)) = same.filter(|(other, _)| !(*name == "quote" && *other == "escape")) {
                return Err(Error::user(format!("options '{name}' and '{other}' are the same character; change one")));
            }
            if sign.is_some_and(|sign| matches!(sign, b'\n' | b'\r')) {
                return Err(Error::user(format!("option '{name}' cannot be the end of a line")));
            }
        }
        if self.null_value.bytes().any(|b| b == self.delimiter || b == self.quote || matches!(b, b'\n' | b'\r')) {
            return Err(Error::user(
                "option 'null_value' cannot contain the delimiter, the quote or the end of a line".to_owned(),
            ));
        }
        if !self.double_quote && self.escape.is_none() {
            return Err(Error::user("option 'double_quote' cannot be false without an 'escape'; say escape '\\'"));
        }
        Ok(())
    }
}

/// How JSON is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonSettings {
    /// How each file is compressed.
    pub compression: Compression,
    /// How times are written.
    pub times: TimeFormats,
}

/// How Arrow IPC is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrowSettings {
    /// Whether it is a stream (`.arrows`), not a file (`.arrow`).
    pub stream: bool,
    /// How the columns of each batch are compressed.
    pub compression: Compression,
}

/// How Avro is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvroSettings {
    /// How each block is compressed.
    pub compression: Compression,
}

/// How times are written as text, as `strftime` has it; none: as ISO 8601 has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFormats {
    /// Dates.
    pub date: Option<String>,
    /// Dates with a time of day in milliseconds (`Date64`).
    pub datetime: Option<String>,
    /// Timestamps without a zone.
    pub timestamp: Option<String>,
    /// Timestamps with a zone.
    pub timestamp_tz: Option<String>,
    /// Times of day.
    pub time: Option<String>,
}

impl Default for Format {
    fn default() -> Self {
        Format::Parquet(ParquetSettings::default())
    }
}

impl Format {
    /// A format with the settings that it has when nothing is said.
    pub fn of(name: FormatName) -> Self {
        let compression = Compression::default_for(name);
        match name {
            FormatName::Parquet => Format::default(),
            FormatName::Csv | FormatName::Tsv => Format::Csv(CsvSettings::new(name == FormatName::Tsv)),
            FormatName::Json => Format::Json(JsonSettings { compression, times: TimeFormats::default() }),
            FormatName::Arrow => Format::Arrow(ArrowSettings { stream: false, compression }),
            FormatName::ArrowStream => Format::Arrow(ArrowSettings { stream: true, compression }),
            FormatName::Avro => Format::Avro(AvroSettings { compression }),
        }
    }

    /// Which format it is.
    pub fn name(&self) -> FormatName {
        match self {
            Format::Parquet(_) => FormatName::Parquet,
            Format::Csv(csv) if csv.tsv => FormatName::Tsv,
            Format::Csv(_) => FormatName::Csv,
            Format::Json(_) => FormatName::Json,
            Format::Arrow(arrow) if arrow.stream => FormatName::ArrowStream,
            Format::Arrow(_) => FormatName::Arrow,
            Format::Avro(_) => FormatName::Avro,
        }
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        match self {
            Format::Parquet(parquet) => parquet.compression,
            Format::Csv(csv) => csv.compression,
            Format::Json(json) => json.compression,
            Format::Arrow(arrow) => arrow.compression,
            Format::Avro(avro) => avro.compression,
        }
    }

    /// The same, compressed in another way.
    pub fn set_compression(&mut self, compression: Compression) {
        *match self {
            Format::Parquet(parquet) => &mut parquet.compression,
            Format::Csv(csv) => &mut csv.compression,
            Format::Json(json) => &mut json.compression,
            Format::Arrow(arrow) => &mut arrow.compression,
            Format::Avro(avro) => &mut avro.compression,
        } = compression;
    }

    /// Whether its files are compressed as a whole, which their names then say.
    pub fn is_compressed_outside(&self) -> bool {
        self.name().is_text() && self.compression() != Compression::None
    }

    /// The extension of this format's files, without the first dot: `csv.gz`.
    pub fn extension(&self) -> &'static str {
        match (self.name(), self.compression()) {
            (FormatName::Csv, Compression::Gzip(_)) => "csv.gz",
            (FormatName::Csv, Compression::Zstd(_)) => "csv.zst",
            (FormatName::Tsv, Compression::Gzip(_)) => "tsv.gz",
            (FormatName::Tsv, Compression::Zstd(_)) => "tsv.zst",
            (FormatName::Json, Compression::Gzip(_)) => "json.gz",
            (FormatName::Json, Compression::Zstd(_)) => "json.zst",
            (name, _) => name.text(),
        }
    }

    /// Whether a file of this name is one of this format to our readers, compressed or not. They tell Arrow files and
    /// streams apart by what is in them.
    pub fn owns(&self, file_name: &str) -> bool {
        let told = match self.name() {
            FormatName::ArrowStream => FormatName::Arrow,
            name => name,
        };
        by_path(file_name).is_some_and(|(format, _)| format.eq_ignore_ascii_case(told.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_again_by_the_names_of_its_files() {
        for name in FormatName::ALL {
            let mut format = Format::of(name);
            for compression in [Compression::None, Compression::Gzip(9), Compression::Zstd(3)] {
                format.set_compression(compression);
                let file = format!("part-0.{}", format.extension());
                assert!(format.owns(&file), "{file}");
                assert_eq!(format.name(), name, "{file}");
                let is_arrow = |name| matches!(name, FormatName::Arrow | FormatName::ArrowStream);
                let others = FormatName::ALL.into_iter().filter(|o| *o != name && !(is_arrow(*o) && is_arrow(name)));
                assert!(others.into_iter().all(|other| !Format::of(other).owns(&file)), "{file}");
            }
        }
        assert!(Format::of(FormatName::Csv).owns("X.CSV.BZ2") && !Format::default().owns("csv"));
        // Whatever name a reader takes for the format's is replaced by an overwrite.
        assert!(Format::default().owns("x.parq") && Format::of(FormatName::Arrow).owns("x.arrows"));
    }

    #[test]
    fn what_older_programs_wrote_into_manifests_is_understood() {
        let old = r#"{"Parquet":{"compression":{"Zstd":3},"row_group_rows":1000}}"#;
        let parquet = ParquetSettings { compression: Compression::Zstd(3), row_group_rows: 1000, ..Default::default() };
        assert_eq!(serde_json::from_str::<Format>(old).unwrap(), Format::Parquet(parquet));
    }

    #[test]
    fn signs_of_csv_must_be_told_apart() {
        let csv = CsvSettings::new(false);
        csv.check().unwrap();
        let wrong = [
            CsvSettings { delimiter: b'"', ..csv.clone() },
            CsvSettings { escape: Some(b','), ..csv.clone() },
            CsvSettings { delimiter: b'\n', ..csv.clone() },
            CsvSettings { double_quote: false, ..csv.clone() },
            CsvSettings { null_value: "a,b".into(), ..csv.clone() },
        ];
        wrong.iter().for_each(|csv| assert!(csv.check().is_err(), "{csv:?}"));
        CsvSettings { escape: Some(b'"'), ..csv }.check().unwrap();
    }
}

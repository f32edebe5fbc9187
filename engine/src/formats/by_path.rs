//! The format of a file by its name: `x.csv.gz` is CSV compressed with gzip.

use super::compression::Compression;

/// What names end with, and the format.
const ENDINGS: [(&str, &str); 13] = [
    ("parquet", "PARQUET"),
    ("parq", "PARQUET"),
    ("pq", "PARQUET"),
    ("csv", "CSV"),
    ("tsv", "TSV"),
    ("json", "JSON"),
    ("ndjson", "JSON"),
    ("jsonl", "JSON"),
    ("arrow", "ARROW"),
    ("ipc", "ARROW"),
    ("feather", "ARROW"),
    ("arrows", "ARROW"),
    ("avro", "AVRO"),
];

/// The name of a file's format and how it is compressed. Arrow files and streams are told apart by what is in them, not by
/// their names. None if the name says nothing, or says that something is compressed that compresses itself.
pub fn by_path(path: &str) -> Option<(&'static str, Compression)> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (stem, last) = name.rsplit_once('.')?;
    let format = |ending: &str| {
        let ending = ending.to_ascii_lowercase();
        ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format)
    };
    if let Some(format) = format(last) {
        return Some((format, Compression::None));
    }
    let compression = Compression::by_name(last).filter(|compression| *compression != Compression::None)?;
    let format = format(stem.rsplit_once('.')?.1)?;
    matches!(format, "CSV" | "TSV" | "JSON").then_some((format, compression))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_format_and_compression() {
        assert_eq!(by_path("s3://b/d.x/x.CSV.gz"), Some(("CSV", Compression::Gzip)));
        assert_eq!(by_path("/d/*.parquet"), Some(("PARQUET", Compression::None)));
        assert_eq!(by_path("x.jsonl.zst"), Some(("JSON", Compression::Zstd)));
        assert_eq!(by_path("x.arrows"), Some(("ARROW", Compression::None)));
        for path in ["x", "d.csv/x", "x.parquet.gz", "x.gz", "x.txt", ""] {
            assert_eq!(by_path(path), None, "{path}");
        }
    }
}

//! What one write is: whose, where to, in which format, and what becomes of what is there.

use serde::{Deserialize, Serialize};
use windrow_common::{Error, JobId, Result, SinkMode};

use super::place::{self, PlaceRef};
use super::target::{Location, Target};
use crate::stores::Stores;

/// Bytes after which a task begins a new file, unless the statement says otherwise. Large enough that a file's footer
/// and its opening cost nothing beside its contents, small enough that a scan of one table is spread over many tasks.
pub const DEFAULT_TARGET_FILE_BYTES: u64 = 512 << 20;
/// Rows of a Parquet row group, unless the statement says otherwise.
pub const DEFAULT_ROW_GROUP_ROWS: u64 = 1 << 20;

/// One write of one statement. Travels inside the encoded plan; the same in every task and every attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSpec {
    /// The cluster that writes; part of the write's identity.
    pub cluster: String,
    /// The job's id ([`JobId`]).
    #[serde(with = "hex")]
    pub job: u128,
    /// Which statement of the job.
    pub statement: u32,
    /// Which sink of the statement.
    pub sink: u32,
    /// Absolute path, `file://` URL or URL of an object store (`s3://bucket/dir`): the directory, or the file with
    /// [`Layout::SingleFile`].
    pub target: String,
    /// One file or a directory of them.
    pub layout: Layout,
    /// The files' format.
    pub format: Format,
    /// What becomes of what is there.
    #[serde(with = "ModeDef")]
    pub mode: SinkMode,
    /// Bytes after which a task begins a new file; 0: never. Does not apply to [`Layout::SingleFile`].
    pub target_file_bytes: u64,
    /// 128 random bits, minted when the statement was planned: tells the writers of one write apart in a manifest.
    #[serde(with = "hex")]
    pub nonce: u128,
}

/// One file or a directory of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Any number of files in a directory.
    Directory,
    /// Exactly this file.
    SingleFile,
}

/// The format of written files, with its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Parquet.
    Parquet {
        /// How pages are compressed.
        compression: Compression,
        /// Rows of a row group at most; memory pressure makes them smaller.
        row_group_rows: u64,
    },
}

/// How Parquet pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// LZ4, raw frames (the older Hadoop framing is not written).
    Lz4,
    /// Zstandard, level 1 to 22.
    Zstd(i32),
    /// Gzip, level 0 to 9.
    Gzip(u32),
    /// Brotli, level 0 to 11.
    Brotli(u32),
}

impl Default for Compression {
    /// Zstandard at its quickest level. What is written once is read many times, most often over a network or from a
    /// disk that is slower than zstd decodes: it is a good deal smaller than Snappy or LZ4 for little more time, while
    /// higher levels cost the writing task much more than they save.
    fn default() -> Self {
        Compression::Zstd(1)
    }
}

impl Default for Format {
    fn default() -> Self {
        Format::Parquet { compression: Compression::default(), row_group_rows: DEFAULT_ROW_GROUP_ROWS }
    }
}

impl Format {
    /// The extension of this format's files, without the dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Format::Parquet { .. } => "parquet",
        }
    }
}

impl SinkSpec {
    /// Names this write among all others: `<cluster>-<job>-<statement>-<sink>`, safe in a file name.
    pub fn key(&self) -> String {
        let cluster: String =
            self.cluster.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
        format!("{cluster}-{}", self.identity())
    }

    /// The part of the key that is enough to know the write by, for jobs are random: `<job>-<statement>-<sink>`.
    pub fn identity(&self) -> String {
        format!("{:032x}-{}-{}", self.job, self.statement, self.sink)
    }

    /// The identity in a key.
    pub(super) fn identity_of(key: &str) -> &str {
        key.split_once('-').map_or(key, |(_, identity)| identity)
    }

    /// The job's id.
    pub fn job(&self) -> JobId {
        JobId(self.job)
    }

    /// Where it writes to. An error if that is not said in full: a plan does not depend on who reads it.
    pub fn target(&self) -> Result<Target> {
        let location = Location::parse(&self.target)?;
        match &location {
            Location::Path(path) if !path.is_absolute() => {
                let message = format!("the target '{}' of a write must be absolute when it is planned", self.target);
                Err(Error::internal(message))
            }
            _ => Ok(Target { location, layout: self.layout }),
        }
    }

    /// The place that final and staged names are relative to: the target, or what the single file lies in.
    pub(super) fn place(&self, stores: &Stores) -> Result<PlaceRef> {
        place::of(stores, &self.target()?)
    }

    /// The last part of a single file's path.
    pub fn file_name(&self) -> Result<String> {
        self.target()?.file_name()
    }
}

/// How [`SinkMode`], which knows no serde, is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SinkMode", rename_all = "kebab-case")]
enum ModeDef {
    Append,
    Overwrite,
    ErrorIfExists,
}

/// 128-bit numbers as 32 hexadecimal digits: JSON numbers do not carry them.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:032x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(de::Error::custom)
    }
}

//! What one write is: whose, where to, in which format, and what becomes of what is there.

use std::path::Path;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use windrow_common::{Error, JobId, Result, SinkMode};

use super::format::Format;
use super::partition_values::PartitionColumns;
use super::place::{self, PlaceRef};
use super::target::Target;
use crate::stores::{Location, Stores};

/// Bytes after which a task begins a new file, unless the statement says otherwise. Large enough that a file's footer
/// and its opening cost nothing beside its contents, small enough that a scan of one table is spread over many tasks.
pub const DEFAULT_TARGET_FILE_BYTES: u64 = 512 << 20;

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
    /// Absolute path, `file://` URL or URL of an object store (`s3://bucket/dir`), as [`Location::parse`] reads it: the
    /// directory, or the file with [`Layout::SingleFile`].
    pub target: String,
    /// One file or a directory of them.
    pub layout: Layout,
    /// The files' format.
    pub format: Format,
    /// The columns whose values make the names of directories (`year=2024/month=1/`), from the outermost. They are not in
    /// the files.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// Whether rows with the same values of [`Self::partition_by`] come together in one task first, so that each directory
    /// gets few files.
    #[serde(default)]
    pub gathers_partitions: bool,
    /// What becomes of what is there.
    #[serde(with = "ModeDef")]
    pub mode: SinkMode,
    /// Whether an overwrite replaces all files, whatever their names: those of a table that reads all of them. Else it
    /// replaces the files of its format.
    #[serde(default)]
    pub replaces_all: bool,
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

    /// Refuses rows that cannot be written like this, before anything runs.
    pub fn check_schema(&self, schema: &SchemaRef) -> Result<()> {
        if self.partition_by.is_empty() {
            return self.format.check_schema(schema);
        }
        if self.layout == Layout::SingleFile {
            return Err(Error::user(format!(
                "'{}' is a single file, which cannot be partitioned; write to a directory (a path that ends with '/')",
                self.target
            )));
        }
        self.format.check_schema(PartitionColumns::try_new(schema, &self.partition_by)?.stored_schema())
    }

    /// Where it writes to. An error if that is not said in full: a plan does not depend on who reads it.
    pub fn target(&self) -> Result<Target> {
        if !self.target.starts_with('/') && !self.target.contains("://") {
            let message = format!("the target '{}' of a write must be absolute when it is planned", self.target);
            return Err(Error::internal(message));
        }
        let location = Location::parse(&self.target, Path::new("/"))?;
        Ok(Target { location, layout: self.layout, file: None })
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

#[cfg(test)]
impl SinkSpec {
    /// A write of Parquet files into a directory.
    pub(crate) fn for_test(target: &str) -> Self {
        Self {
            cluster: "test".into(),
            job: 5 << 64,
            statement: 0,
            sink: 0,
            target: target.to_owned(),
            layout: Layout::Directory,
            format: Format::default(),
            partition_by: vec![],
            gathers_partitions: false,
            mode: SinkMode::Append,
            replaces_all: false,
            target_file_bytes: 0,
            nonce: 7,
        }
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

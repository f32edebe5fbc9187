//! The files of a task as bytes: for each scan of the stage's plan and each partition that the task runs, the ranges of
//! files to read. Unlike datafusion-proto's form this keeps a file's entity tag and version, by which a changed file is
//! known.

use std::collections::BTreeMap;

use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion_proto::protobuf;
use prost::Message;

use super::messages::{FileSplit, SplitGroup, Splits};

/// The files of each (scan, partition) of one task.
#[derive(Debug, Default)]
pub struct TaskSplits {
    groups: BTreeMap<(u32, u32), Vec<PartitionedFile>>,
}

impl TaskSplits {
    /// Adds the files of one partition of one scan.
    pub fn insert(&mut self, scan: u32, partition: u32, files: Vec<PartitionedFile>) {
        self.groups.insert((scan, partition), files);
    }

    /// The files of one partition of one scan; empty when the task does not read it.
    pub fn get(&self, scan: u32, partition: u32) -> &[PartitionedFile] {
        self.groups.get(&(scan, partition)).map_or(&[], Vec::as_slice)
    }

    /// Encodes them. File statistics are left out unless `keep_statistics`: they outweigh everything else, and only
    /// declared orderings need them once planning is over.
    pub fn encode(&self, keep_statistics: bool) -> Result<Vec<u8>> {
        let mut groups = Vec::with_capacity(self.groups.len());
        for ((scan, partition), files) in &self.groups {
            let files = files.iter().map(|f| encode_file(f, keep_statistics)).collect::<Result<Vec<_>>>()?;
            groups.push(SplitGroup { scan: *scan, partition: *partition, files });
        }
        Ok(Splits { groups }.encode_to_vec())
    }

    /// The inverse of [`TaskSplits::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let message = Splits::decode(bytes).map_err(|e| internal_datafusion_err!("file splits are damaged: {e}"))?;
        let mut splits = Self::default();
        for group in message.groups {
            let files = group.files.iter().map(decode_file).collect::<Result<Vec<_>>>()?;
            splits.insert(group.scan, group.partition, files);
        }
        Ok(splits)
    }
}

fn encode_file(file: &PartitionedFile, keep_statistics: bool) -> Result<FileSplit> {
    let mut message = protobuf::PartitionedFile::try_from(file)?;
    if !keep_statistics {
        message.statistics = None;
    }
    Ok(FileSplit {
        file: message.encode_to_vec(),
        e_tag: file.object_meta.e_tag.clone(),
        version: file.object_meta.version.clone(),
    })
}

fn decode_file(split: &FileSplit) -> Result<PartitionedFile> {
    let message = protobuf::PartitionedFile::decode(split.file.as_slice())
        .map_err(|e| DataFusionError::Internal(format!("a file split is damaged: {e}")))?;
    let mut file = PartitionedFile::try_from(&message)?;
    file.object_meta.e_tag = split.e_tag.clone();
    file.object_meta.version = split.version.clone();
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tag_version_and_range_survive() {
        let mut file = PartitionedFile::new("a/b.parquet", 100).with_range(10, 20);
        file.object_meta.e_tag = Some("\"tag\"".into());
        file.object_meta.version = Some("v1".into());
        let mut splits = TaskSplits::default();
        splits.insert(2, 7, vec![file.clone()]);
        let decoded = TaskSplits::decode(&splits.encode(false).unwrap()).unwrap();
        let back = &decoded.get(2, 7)[0];
        assert_eq!(back.object_meta.e_tag, file.object_meta.e_tag);
        assert_eq!(back.object_meta.version, file.object_meta.version);
        assert_eq!(back.range, file.range);
        assert!(decoded.get(2, 8).is_empty());
    }
}

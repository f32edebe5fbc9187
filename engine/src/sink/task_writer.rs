//! The files of one partition in one attempt: one series of them, or one for each directory of a partitioned write.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use super::partition_values::PartitionColumns;
use super::partition_writer::{PartitionWriter, Series};
use super::partitioned_writer::{PartitionedWriter, Surplus};
use super::spec::SinkSpec;
use super::staging::AttemptContext;
use super::written::WrittenFile;
use crate::error::external;

/// Writes what one partition yields. All of its methods block. Dropping it removes its files, unless they are kept.
pub(super) enum TaskWriter {
    /// Into one directory, or one file.
    One(Box<PartitionWriter>),
    /// Into directories by the values of columns.
    Partitioned(Box<PartitionedWriter>),
}

impl TaskWriter {
    /// A writer without files, for rows of this schema.
    pub(super) fn try_new(
        spec: &SinkSpec,
        context: &AttemptContext,
        partition: usize,
        schema: SchemaRef,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let spec = spec.clone();
        if spec.partition_by.is_empty() {
            let writer = PartitionWriter::try_new(spec, context, Series::of(partition), schema, reservation)?;
            return Ok(Self::One(Box::new(writer)));
        }
        let columns = PartitionColumns::try_new(&schema, &spec.partition_by).map_err(external)?;
        Ok(Self::Partitioned(Box::new(PartitionedWriter::new(spec, context.clone(), partition, columns, reservation))))
    }

    /// An attempt of a write that has been decided comes too late. (A partitioned one is told with its first file.)
    pub(super) fn refuse_if_decided(&self) -> Result<()> {
        match self {
            Self::One(writer) => writer.refuse_if_decided(),
            Self::Partitioned(_) => Ok(()),
        }
    }

    /// Adds rows. Gives back those that need to be sorted, with all that come behind them: [`Self::write_sorted`].
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        match self {
            Self::One(writer) => writer.write(batch).map(|()| None),
            Self::Partitioned(writer) => writer.write(batch, Surplus::HandBack),
        }
    }

    /// Adds rows that cannot be sorted, whatever becomes of the number of files.
    pub(super) fn write_as_it_comes(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::One(writer) => writer.write(batch),
            Self::Partitioned(writer) => writer.write(batch, Surplus::EndOldest).map(drop),
        }
    }

    /// Adds rows that are sorted by their partition columns.
    pub(super) fn write_sorted(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::One(writer) => writer.write(batch),
            Self::Partitioned(writer) => writer.write_sorted(batch),
        }
    }

    /// Ends the last files.
    pub(super) fn finish(&mut self) -> Result<Vec<WrittenFile>> {
        match self {
            Self::One(writer) => writer.finish(),
            Self::Partitioned(writer) => writer.finish(),
        }
    }

    /// How many files were open at once, at most.
    pub(super) fn most_open(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Partitioned(writer) => writer.most_open(),
        }
    }

    /// The files have been reported: they belong to the commit from now on.
    pub(super) fn keep(self) {
        match self {
            Self::One(writer) => writer.keep(),
            Self::Partitioned(writer) => writer.keep(),
        }
    }
}

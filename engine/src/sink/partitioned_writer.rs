//! Writes rows to directories by the values of their partition columns, with few files open at once.
//!
//! ```text
//!  rows ─► by directory ─┬─ open, or there is room for one more ──► its file
//!                        └─ too many directories ─► handed back ─► sorted by directory (sorted_rest) ─► file by file
//! ```
//!
//! As long as a task sees few directories, each has its file open and nothing is sorted. From the first row that would
//! need one file too many, the rest of the task's rows is sorted by directory, outside of here and spilling if it must;
//! then each directory needs to be open once more only. So a task writes one file for each directory (and more only when
//! files are full), whatever the order of its rows and however many directories there are. Where rows cannot be sorted
//! (they are ingested as they come), the file that was used longest ago is ended instead.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use windrow_common::{Error, ErrorKind};

use super::partition_values::{Group, PartitionColumns, pick};
use super::partition_writer::{PartitionWriter, Series};
use super::spec::SinkSpec;
use super::staging::AttemptContext;
use super::written::WrittenFile;
use crate::error::{classify, external};

/// Files that one partition of a write has open at most. Each has buffers of its own, of up to a row group.
const MAX_OPEN_FILES: usize = 16;
/// Directories that one partition of a write fills at most. More are a mistake, such as a partition for each row.
const MAX_DIRECTORIES: usize = 10_000;

/// What becomes of rows for which no file can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    /// They are given back, to be sorted.
    HandBack,
    /// The file that was used longest ago is ended for theirs.
    EndOldest,
}

/// The files of one partition in one attempt of a partitioned write. All of its methods block.
pub(super) struct PartitionedWriter {
    spec: SinkSpec,
    context: AttemptContext,
    partition: usize,
    columns: PartitionColumns,
    reservation: MemoryReservation,
    writers: BTreeMap<String, Used>,
    /// Goes up with each use of a writer.
    clock: u64,
    open: usize,
    most_open: usize,
    /// The directory of the last sorted row.
    current: Option<String>,
}

struct Used {
    writer: PartitionWriter,
    last: u64,
}

impl PartitionedWriter {
    /// A writer without files.
    pub(super) fn new(
        spec: SinkSpec,
        context: AttemptContext,
        partition: usize,
        columns: PartitionColumns,
        reservation: MemoryReservation,
    ) -> Self {
        let (writers, clock, open, most_open, current) = (BTreeMap::new(), 0, 0, 0, None);
        Self { spec, context, partition, columns, reservation, writers, clock, open, most_open, current }
    }

    /// Adds rows as they come. With [`Surplus::HandBack`], gives back those whose directory would need one file too many.
    pub(super) fn write(&mut self, batch: &RecordBatch, surplus: Surplus) -> Result<Option<RecordBatch>> {
        let mut back: Vec<u32> = Vec::new();
        for group in self.columns.divide(batch)? {
            // One is left for what is sorted.
            let room = self.is_open(&group.directory) || self.open < MAX_OPEN_FILES - 1;
            if room || surplus == Surplus::EndOldest {
                self.write_group(batch, &group)?;
            } else {
                back.extend(group.rows);
            }
        }
        if back.is_empty() {
            return Ok(None);
        }
        back.sort_unstable();
        Ok(Some(pick(batch, &back)?))
    }

    /// Adds rows that are sorted by their partition columns: the file of a directory is ended when the next one comes.
    pub(super) fn write_sorted(&mut self, batch: &RecordBatch) -> Result<()> {
        for group in self.columns.divide(batch)? {
            if let Some(last) = self.current.take_if(|last| *last != group.directory) {
                self.end(&last)?;
            }
            self.write_group(batch, &group)?;
            self.current = Some(group.directory);
        }
        Ok(())
    }

    /// Ends all files.
    pub(super) fn finish(&mut self) -> Result<Vec<WrittenFile>> {
        let mut files = Vec::new();
        for used in self.writers.values_mut() {
            used.writer.end()?;
            files.extend_from_slice(used.writer.done());
        }
        self.open = 0;
        if let Some(used) = self.writers.values().next() {
            used.writer.refuse_if_decided()?;
        }
        files.sort();
        Ok(files)
    }

    /// The files have been reported: they belong to the commit from now on.
    pub(super) fn keep(self) {
        self.writers.into_values().for_each(|used| used.writer.keep());
    }

    /// How many files were open at once, at most.
    pub(super) fn most_open(&self) -> usize {
        self.most_open
    }

    fn is_open(&self, directory: &str) -> bool {
        self.writers.get(directory).is_some_and(|used| used.writer.is_open())
    }

    fn write_group(&mut self, batch: &RecordBatch, group: &Group) -> Result<()> {
        if !self.is_open(&group.directory) {
            while self.open >= MAX_OPEN_FILES {
                self.end_oldest(&group.directory)?;
            }
            self.open += 1;
            self.most_open = self.most_open.max(self.open);
        }
        let rows = self.columns.stored(batch, &group.rows)?;
        self.writer(&group.directory)?.append(&rows)?;
        self.settle(&group.directory)?;
        let writer = self.writer(&group.directory)?;
        writer.end_if_full()?;
        if !writer.is_open() {
            self.open -= 1;
        }
        Ok(())
    }

    /// The writer of a directory, which has been used now.
    fn writer(&mut self, directory: &str) -> Result<&mut PartitionWriter> {
        self.clock += 1;
        if !self.writers.contains_key(directory) {
            if self.writers.len() >= MAX_DIRECTORIES {
                return Err(external(too_many()));
            }
            let schema = self.columns.stored_schema().clone();
            let (spec, reservation) = (self.spec.clone(), self.reservation.new_empty());
            let series = Series { partition: self.partition, directory: directory.to_owned(), first: 0 };
            let writer = PartitionWriter::try_new(spec, &self.context, series, schema, reservation)?;
            self.writers.insert(directory.to_owned(), Used { writer, last: self.clock });
        }
        let used = self.writers.get_mut(directory).ok_or_else(|| external(Error::internal("a writer is gone")))?;
        used.last = self.clock;
        Ok(&mut used.writer)
    }

    /// Asks for the memory of the rows that wait. Where there is too little, other files give theirs: first the rows that
    /// wait for them are written, then they are ended, the one used longest ago first.
    fn settle(&mut self, directory: &str) -> Result<()> {
        if unless_short(self.writer(directory)?.settle())?.is_none() {
            return Ok(());
        }
        for (other, used) in &mut self.writers {
            if other != directory {
                unless_short(used.writer.flush())?;
            }
        }
        while let Some(short) = unless_short(self.writer(directory)?.settle())? {
            if !self.end_oldest(directory)? {
                return Err(short);
            }
        }
        Ok(())
    }

    /// Ends the file that was used longest ago, and is not that of `directory`; false if there is none.
    fn end_oldest(&mut self, directory: &str) -> Result<bool> {
        let open = self.writers.iter().filter(|(name, used)| used.writer.is_open() && *name != directory);
        let Some(oldest) = open.min_by_key(|(_, used)| used.last).map(|(name, _)| name.clone()) else {
            return Ok(false);
        };
        self.end(&oldest)?;
        Ok(true)
    }

    fn end(&mut self, directory: &str) -> Result<()> {
        if let Some(used) = self.writers.get_mut(directory)
            && used.writer.is_open()
        {
            used.writer.end()?;
            self.open -= 1;
        }
        Ok(())
    }
}

/// Puts an error that says that there is no memory aside.
fn unless_short(result: Result<()>) -> Result<Option<DataFusionError>> {
    match result {
        Ok(()) => Ok(None),
        Err(error) if classify(&error).kind == ErrorKind::OutOfMemory => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::Limit,
        format!(
            "one task would write to more than {MAX_DIRECTORIES} directories; partition by a column with fewer values, \
             such as the month of a time"
        ),
    )
}

//! Writes the tables as Parquet files: one file a table, one row group a part, the parts made and encoded on all cores.
//!
//! The same scale gives the same bytes, whatever the machine. A file gets its name only when it is whole, so that a
//! killed run leaves nothing that could be taken for data.
//!
//! ```text
//!   parts ──window of one per core──► rows + encoding (rayon) ──in order──► row groups of .lineitem.parquet.partial
//!                                                                           └── whole: renamed to lineitem.parquet
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatchReader;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;
use windrow_common::{Error, ErrorKind, Result};

use crate::dataset::{self, Manifest};
use crate::table::Table;

/// Row groups that are made between two looks at the stop flag, for each core.
const PARTS_PER_CORE: usize = 1;

/// The largest scale that the generator accepts.
pub const MAX_SCALE: f64 = 100_000.0;

/// Makes TPC-H data.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The scale factor: 1 is about a gigabyte of raw data, and a third of that as Parquet.
    pub scale: f64,
    /// The directory to write to; made if it is not there.
    pub output: PathBuf,
    /// Whether files that are there already are replaced.
    pub force: bool,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table being written.
    pub table: Table,
    /// Parts done, of all tables.
    pub done: u64,
    /// All parts.
    pub total: u64,
}

impl Generator {
    /// Writes all tables, or finds them already there and whole. Blocks; computes on all cores. Ends with a
    /// `Cancelled` error soon after `stop` is set; a file under way is then removed.
    pub fn run(&self, stop: &AtomicBool, mut progress: impl FnMut(Progress)) -> Result<Manifest> {
        self.check_scale()?;
        if !self.force {
            if let Some(manifest) = dataset::finished(&self.output).filter(|manifest| manifest.scale == self.scale) {
                return Ok(manifest);
            }
            self.refuse_to_replace()?;
        }
        let failed = |error: std::io::Error| Error::io(format!("cannot write to '{}': {error}", self.output.display()));
        fs::create_dir_all(&self.output).map_err(failed)?;
        dataset::unfinish(&self.output).map_err(failed)?;

        let total = Table::ALL.iter().map(|table| table.parts(self.scale) as u64).sum();
        let (mut done, mut rows) = (0, BTreeMap::new());
        for table in Table::ALL {
            progress(Progress { table, done, total });
            let count = self.write_table(table, stop, |parts| {
                done += parts;
                progress(Progress { table, done, total });
            })?;
            rows.insert(table.name().to_owned(), count);
        }
        let manifest = Manifest { scale: self.scale, rows };
        dataset::finish(&self.output, &manifest).map_err(failed)?;
        Ok(manifest)
    }

    fn check_scale(&self) -> Result<()> {
        if self.scale > 0.0 && self.scale <= MAX_SCALE {
            return Ok(());
        }
        Err(Error::user(format!("scale {} is out of range; give a number above 0, at most {MAX_SCALE}", self.scale)))
    }

    fn refuse_to_replace(&self) -> Result<()> {
        let mut files = Table::ALL.iter().map(|table| self.output.join(table.file_name()));
        let Some(file) = files.find(|path| path.exists()) else { return Ok(()) };
        let message = format!("'{}' is there already; --force replaces it", file.display());
        Err(Error::new(ErrorKind::AlreadyExists, message))
    }

    /// Writes one table and returns its rows.
    fn write_table(&self, table: Table, stop: &AtomicBool, mut done: impl FnMut(u64)) -> Result<u64> {
        let path = self.output.join(table.file_name());
        let failed = |error: ParquetError| Error::io(format!("cannot write '{}': {error}", path.display()));
        let partial = PartialFile::create(&path).map_err(|error| failed(error.into()))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let parquet_schema = ArrowSchemaConverter::new().convert(&table.schema()).map_err(failed)?;
        let file = BufWriter::with_capacity(1 << 20, partial.open().map_err(|error| failed(error.into()))?);
        let mut writer =
            SerializedFileWriter::new(file, parquet_schema.root_schema_ptr(), Arc::new(properties)).map_err(failed)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, table.schema());

        let parts = table.parts(self.scale);
        let numbers: Vec<i32> = (1..=parts).collect();
        let mut rows = 0;
        for window in numbers.chunks(rayon::current_num_threads() * PARTS_PER_CORE) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::cancelled());
            }
            let encode = |part: &i32| encode(&factory, *part, table.rows(self.scale, *part, parts));
            let groups = window.par_iter().map(encode).collect::<Result<Vec<_>, ParquetError>>().map_err(failed)?;
            for group in groups {
                rows += append(&mut writer, group).map_err(failed)?;
            }
            done(window.len() as u64);
        }
        writer.close().map_err(failed)?;
        partial.publish(&path).map_err(|error| failed(error.into()))?;
        Ok(rows)
    }
}

/// Makes the rows of one part and encodes them as the columns of a row group.
fn encode(
    factory: &ArrowRowGroupWriterFactory,
    part: i32,
    rows: Box<dyn RecordBatchReader + Send>,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let schema = rows.schema();
    let mut writers = factory.create_column_writers(part as usize - 1)?;
    for batch in rows {
        let batch = batch?;
        let mut leaves = Vec::with_capacity(writers.len());
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            leaves.extend(compute_leaves(field, column)?);
        }
        for (writer, leaf) in writers.iter_mut().zip(&leaves) {
            writer.write(leaf)?;
        }
    }
    writers.into_iter().map(|writer| writer.close()).collect()
}

fn append(
    writer: &mut SerializedFileWriter<BufWriter<File>>,
    columns: Vec<ArrowColumnChunk>,
) -> Result<u64, ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        column.append_to_row_group(&mut group)?;
    }
    Ok(group.close()?.num_rows() as u64)
}

/// A file under a temporary name, removed on drop unless it was published.
struct PartialFile {
    path: PathBuf,
}

impl PartialFile {
    fn create(target: &Path) -> std::io::Result<PartialFile> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        Ok(PartialFile { path })
    }

    fn open(&self) -> std::io::Result<File> {
        File::create(&self.path)
    }

    fn publish(self, target: &Path) -> std::io::Result<()> {
        fs::rename(&self.path, target)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After `publish` there is nothing under this name any more.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(output: &Path) -> Generator {
        Generator { scale: 0.01, output: output.to_owned(), force: false }
    }

    #[test]
    fn the_same_scale_gives_the_same_bytes_in_a_pool_of_any_size() {
        let (one, four) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (directory, threads) in [(&one, 1), (&four, 4)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let generator = Generator { scale: 0.05, ..generator(directory.path()) };
            let manifest = pool.install(|| generator.run(&AtomicBool::new(false), |_| ())).unwrap();
            assert_eq!(manifest.rows["orders"], 75_000);
        }
        for table in Table::ALL {
            let read = |directory: &tempfile::TempDir| fs::read(directory.path().join(table.file_name())).unwrap();
            assert_eq!(read(&one), read(&four), "{table:?}");
        }
        assert!(Table::LineItem.parts(0.05) > 1);
    }

    #[test]
    fn finished_data_is_found_again_and_other_data_is_not_replaced_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let generator = generator(directory.path());
        let never = AtomicBool::new(false);
        let first = generator.run(&never, |_| ()).unwrap();
        let again = generator.run(&never, |_| panic!("made again")).unwrap();
        assert_eq!(first, again);

        let other = Generator { scale: 0.02, ..generator };
        assert_eq!(other.run(&never, |_| ()).unwrap_err().kind, ErrorKind::AlreadyExists);
        let forced = Generator { force: true, ..other };
        assert_eq!(forced.run(&never, |_| ()).unwrap().rows["supplier"], 200);
    }

    #[test]
    fn a_stopped_run_leaves_no_file_of_the_table_under_way_and_is_not_finished() {
        let directory = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let stop_at_orders = |progress: Progress| stop.store(progress.table == Table::Orders, Ordering::Relaxed);
        let error = generator(directory.path()).run(&stop, stop_at_orders).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 6, "{names:?}");
        assert!(dataset::finished(directory.path()).is_none());
    }

    #[test]
    fn a_scale_out_of_range_is_an_error() {
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let generator = Generator { scale, ..generator(Path::new("never-made")) };
            assert_eq!(generator.run(&AtomicBool::new(false), |_| ()).unwrap_err().kind, ErrorKind::User);
        }
    }
}

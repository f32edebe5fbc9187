//! Writing once, from many tasks: the write operator, the staging, the decision with its publication, and the store
//! through which our readers see published files only.
//!
//! ```text
//!  plan      prepare ── location usable? mode allows it?
//!  tasks     WriteExec p ──► <target>/_windrow/staging/<write>/<attempt>/part-….parquet   + one row for each file
//!  decide    rows of the accepted attempts ──► <target>/_windrow/<sequence>.manifest      (create if absent)
//!  publish   staged ─rename─► final, replaced ─delete─► gone, _SUCCESS, <sequence>-<write>.published, staging removed
//!  readers   VisibleStore: listing = (what lies there − replaced) + decided, from the one manifest not yet published
//! ```
//!
//! **Object stores.** The same log, manifests and steps, in a bucket ([`place`] is what differs): a staged file is an
//! upload that is not completed, of which a small object in the staging directory tells; its completion takes the place
//! of the rename. What is decided and not completed cannot be read, so a reader that meets it completes it.
//!
//! **How this differs from DESIGN §9, and why.**
//!
//! - *Our own partition-wise operator instead of DataFusion's sinks over a staging store.* DataFusion's sinks
//!   demultiplex inside one instance, name their files at random and report only a row count. An operator with one file
//!   series for each partition is the union of its tasks by construction, has names that are the same in every attempt,
//!   charges its buffers to the task's pool and reports exactly what it wrote.
//! - *The manifests of a directory form a log*: `_windrow/<sequence>.manifest`, not `<cluster>-<job>-….manifest`; which
//!   write it is stands inside. One create-if-absent object is still the whole decision, and a writer that finds its
//!   own write in the log adopts it. But with a name for each write, two overwrites that decide at the same time
//!   replace the same old files and *both* stay visible, and two `error if exists` both succeed. With a sequence, the
//!   second one finds its number taken, looks again, and acts on what the first one left.
//! - *At most one manifest is decided and not published.* Whoever wants to decide helps the one before to its end first
//!   (every step is idempotent). So a coordinator that died holds nobody up, its publication cannot come back after a
//!   later overwrite, and a reader needs to read one manifest at most.
//! - *Abort is a decision too*: a manifest without files. A coordinator that slept through the abort cannot publish
//!   files that are gone, and a late attempt sees that it is late.
//!
//! **Formats** are encoded by `encode`, each by one file of it; what a format cannot hold is refused at planning, by the
//! name of the column (`format::Format::check_schema`). Compressed text is one stream of gzip or zstd for each file.
//!
//! **Partitions** (`PARTITIONED BY`). Rows of one directory come together in one task (a hash exchange on the partition
//! columns, unless `gather_partitions` is off: then every task writes to every directory, which suits few and very large
//! ones). A task has at most 16 files open: while there are few directories nothing is sorted; with more, the rest of its
//! rows is sorted by directory first (`partitioned_writer`). Either way a directory gets one file from a task, and more only
//! when files are full.
//!
//! **Order.** Rows with a global order (`ORDER BY`) are written by one task: into a directory, file by file in the order of
//! the files' names (for the first 1000 files); into a single file, as it is; with `PARTITIONED BY`, each directory in that
//! order. Other rows are written in no order that is promised.
//!
//! A **single file** (`COPY … TO 'x.parquet'`) needs none of this in a file system: it is staged beside its target under
//! a hidden name, and its rename is the decision and the publication in one. On an object store it has a log of its own.
//! See [`single_file`].
//!
//! **What is left behind** by writers that died is hidden, and taken away by [`clean`], which decides against a write
//! before it removes what that write has staged. A decided write whose files are lost is never passed over by itself: it
//! stops all others until somebody finds the files or gives the write up ([`abandon`]).

pub mod abandon;
mod abort_on_drop;
pub mod clean;
pub mod commit;
pub mod direct;
pub mod format;
pub mod log;
pub mod options;
pub mod spec;
pub mod staging;
pub mod target;
pub mod visible;
pub mod write_exec;
pub mod written;

mod contents;
mod disk;
mod encode;
mod output;
mod partition_values;
mod partition_writer;
mod partitioned_writer;
mod place;
mod single_file;
mod sorted_rest;
mod task_writer;

pub use abandon::{AbandonReport, abandon};
pub use abort_on_drop::AbortOnDrop;
pub use clean::{CleanOptions, CleanReport, clean};
pub use commit::{Ending, PublishSummary, Step, abort, abort_new, prepare, publish, recover};
pub use format::{Compression, Format, FormatName};
pub use options::SinkOptions;
pub use partition_values::PartitionColumns;
pub use spec::{Layout, SinkSpec};
pub use staging::AttemptContext;
pub use target::Target;
pub use visible::VisibleStore;
pub use write_exec::WriteExec;
pub use written::{Upload, WrittenFile, rows_of};

/// The directory of a target that holds manifests and staged files. Readers never look into it for rows.
pub const HIDDEN_DIRECTORY: &str = "_windrow";

/// Whether readers pass over a file or directory of this name: `_x` and `.x`, but not the Hive partition `_x=1`.
pub fn is_hidden(segment: &str, is_directory: bool) -> bool {
    segment.starts_with('.') || segment.starts_with('_') && !(is_directory && segment.contains('='))
}

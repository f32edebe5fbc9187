//! Writing once: two attempts, crashes in every step, modes, and what our readers see meanwhile; in a file system and on
//! an object store.

mod abandon;
mod clean;
mod faults;
mod formats;
mod lab;
mod listing;
mod partitioned;
mod publish;
mod rows;
mod single_file;
mod store;
mod visible;
mod write;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use url::Url;
use windrow_common::time::Timestamp;
use windrow_common::{AttemptId, Error, SinkMode};
use windrow_engine::sink::{
    self, AttemptContext, Format, Layout, SinkSpec, Step, Upload, VisibleStore, WriteExec, WrittenFile, commit,
};
use windrow_engine::stores::Stores;

use lab::Lab;
use store::{Fault, Op, TestStore};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A number that no other caller gets.
fn unique() -> u128 {
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

fn attempt() -> AttemptId {
    AttemptId(unique())
}

/// A runtime for threads that block.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What [`Lab::read`] gives for these rows.
fn expected(ids: impl Iterator<Item = i64> + Clone) -> (i64, i64, i64) {
    (ids.clone().count() as i64, ids.clone().sum(), ids.filter(|i| i % 7 != 0).count() as i64)
}

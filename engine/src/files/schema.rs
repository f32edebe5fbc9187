//! The columns of files, taken from the files: of all of them where a file says what it holds (Parquet, Arrow, Avro), of
//! some where its rows must be looked at (CSV, JSON).

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::execution::session_state::SessionState;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use windrow_common::Result;

use super::format;
use crate::error::classify;
use crate::stores::file_name;

/// Files of CSV or JSON whose rows are looked at, spread over all.
const SAMPLED_FILES: usize = 100;

/// The columns that files have together.
pub async fn infer(
    state: &SessionState,
    store_name: &str,
    store: &Arc<dyn ObjectStore>,
    format: &Arc<dyn FileFormat>,
    files: &[ObjectMeta],
) -> Result<SchemaRef> {
    let step = if format::says_its_schema(format) { 1 } else { files.len().div_ceil(SAMPLED_FILES).max(1) };
    let at_once = state.config_options().execution.meta_fetch_concurrency.get();
    let of_one = |file: &'_ ObjectMeta| {
        let file = file.clone();
        async move {
            let name = file_name(store_name, &file.location);
            let schema = format.infer_schema(state, store, std::slice::from_ref(&file)).await;
            let schema = schema.map_err(|e| named(&name, classify(&e)))?;
            Ok::<_, windrow_common::Error>((name, schema))
        }
        .boxed()
    };
    let looking: Vec<_> = files.iter().step_by(step).map(of_one).collect();
    merge(stream::iter(looking).buffered(at_once).try_collect().await?)
}

fn named(file: &str, error: windrow_common::Error) -> windrow_common::Error {
    if error.message.contains(file) { error } else { error.context(file) }
}

/// The same columns in all files are the usual case.
fn merge(mut schemas: Vec<(String, SchemaRef)>) -> Result<SchemaRef> {
    schemas.dedup_by(|a, b| a.1 == b.1);
    match schemas.len() {
        0 => Ok(Arc::new(Schema::empty())),
        1 => Ok(schemas.swap_remove(0).1),
        _ => format::merged(&schemas),
    }
}

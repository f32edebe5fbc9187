//! A session's own tables and views: their names, and the directory of their files, which goes with the session.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use windrow_common::{Error, Result};

use super::names::TEMPORARY;
use crate::error::classify;

/// What belongs to one session. The directory is removed when its last holder is dropped: the session, or a statement
/// that still writes into it.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) tables: Arc<MemorySchemaProvider>,
    warehouse: PathBuf,
    name: String,
    directory: OnceLock<PathBuf>,
}

impl Temporary {
    /// Nothing yet. `name` tells sessions apart below `warehouse`.
    pub(super) fn new(warehouse: &Path, name: &str) -> Arc<Self> {
        Arc::new(Self {
            tables: Arc::new(MemorySchemaProvider::new()),
            warehouse: warehouse.to_owned(),
            name: format!("{TEMPORARY}-{name}"),
            directory: OnceLock::new(),
        })
    }

    /// Where the files of temporary tables go.
    pub(super) fn directory(&self) -> &Path {
        self.directory.get_or_init(|| self.warehouse.join(&self.name))
    }

    /// The bare name of a temporary table; it may be written with the schema `temp` and with no other.
    pub(super) fn name_of(reference: &TableReference) -> Result<String> {
        match reference.schema() {
            None | Some(TEMPORARY) => Ok(reference.table().to_owned()),
            Some(other) => Err(Error::user(format!(
                "a temporary table belongs to the session and not to the schema '{other}'; leave the schema out"
            ))),
        }
    }

    /// Refuses a definition for everybody that would read what only this session has.
    pub(super) fn refuse_in_shared(&self, view: &TableReference, plan: &LogicalPlan) -> Result<()> {
        let mut found = None;
        let visit = |node: &LogicalPlan| {
            if let LogicalPlan::TableScan(scan) = node
                && self.tables.table_exist(scan.table_name.table())
            {
                found = Some(scan.table_name.table().to_owned());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        };
        plan.apply_with_subqueries(visit).map_err(|e| classify(&e))?;
        found.map_or(Ok(()), |table| {
            Err(Error::user(format!(
                "the view {view} is for all sessions, and the temporary table {table} only for this one; say CREATE \
                 TEMPORARY VIEW"
            )))
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(directory) = self.directory.get() else { return };
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(directory = %directory.display(), %error, "temporary tables stay behind");
            }
            _ => {}
        }
    }
}

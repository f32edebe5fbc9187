//! A directory with the eight tables in it, and how SQL is told of them.
//!
//! A directory that [`crate::Generator`] has finished holds `tpch.json`, written last; data made by other tools has
//! none, and is read all the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windrow_common::{Error, ErrorKind, Result};

use crate::table::Table;

const MANIFEST: &str = "tpch.json";

/// What a finished generation leaves beside its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The scale factor.
    pub scale: f64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// A directory with the eight tables.
#[derive(Clone, Debug)]
pub struct Dataset {
    directory: PathBuf,
    tables: Vec<(Table, PathBuf)>,
}

impl Dataset {
    /// Finds the tables in a directory: `lineitem.parquet` (a file or a directory of files) or `lineitem/`, and so on.
    pub fn open(directory: &Path) -> Result<Dataset> {
        let directory = fs::canonicalize(directory).map_err(|error| {
            Error::new(ErrorKind::NotFound, format!("cannot read directory '{}': {error}", directory.display()))
        })?;
        let find = |table: Table| {
            let candidates = [directory.join(table.file_name()), directory.join(table.name())];
            let found = candidates.into_iter().find(|path| path.exists());
            found.map(|path| (table, path)).ok_or_else(|| {
                let message = format!(
                    "'{}' has no {}; 'windrow tpch generate --scale 1 --output DIR' makes the eight tables",
                    directory.display(),
                    table.file_name()
                );
                Error::new(ErrorKind::NotFound, message)
            })
        };
        let tables = Table::ALL.into_iter().map(find).collect::<Result<Vec<_>>>()?;
        Ok(Dataset { directory, tables })
    }

    /// Where it is, as an absolute path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The statements that make its tables known, one each, valid for Windrow and for DataFusion.
    pub fn create_tables(&self) -> Vec<String> {
        let statement = |(table, path): &(Table, PathBuf)| {
            let slash = if path.is_dir() { "/" } else { "" };
            let location = format!("{}{slash}", path.display()).replace('\'', "''");
            format!("CREATE EXTERNAL TABLE {} STORED AS PARQUET LOCATION '{location}'", table.name())
        };
        self.tables.iter().map(statement).collect()
    }
}

/// What a finished generation in this directory was; none if there is no such, or if a file of it is missing.
pub fn finished(directory: &Path) -> Option<Manifest> {
    let manifest = serde_json::from_slice(&fs::read(directory.join(MANIFEST)).ok()?).ok()?;
    let complete = Table::ALL.iter().all(|table| directory.join(table.file_name()).is_file());
    complete.then_some(manifest)
}

/// Takes back the word that the directory is finished, before its files are replaced.
pub(crate) fn unfinish(directory: &Path) -> std::io::Result<()> {
    match fs::remove_file(directory.join(MANIFEST)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Says that the directory is finished; the last step of a generation.
pub(crate) fn finish(directory: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let partial = directory.join(format!(".{MANIFEST}.partial"));
    let mut text = serde_json::to_string_pretty(manifest)?;
    text.push('\n');
    fs::write(&partial, text)?;
    fs::rename(&partial, directory.join(MANIFEST))
}

//! Which files a location means: itself, all in a directory and its partitions, or all that a pattern names. Files come as
//! a stream; what is pruned is dropped on the way, and directories of pruned partitions are not looked into.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use windrow_common::{Error, ErrorKind, Result};

use super::hive::{self, PartitionColumn, Pruning};
use crate::error::{classify, classify_store};
use crate::stores::{Location, file_name, stamped};

/// Files whose partitions are judged at once.
const CHUNK: usize = 4096;
/// Directories of partitions that are listed at once.
const LISTED_AT_ONCE: usize = 16;

/// A file that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the store says of it, with our stamp.
    pub meta: ObjectMeta,
    /// Its path below the location; its name, if the location is the file itself.
    pub relative: String,
    /// The values of the partition columns.
    pub values: Vec<ScalarValue>,
}

/// What of a location is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whether directories that are no partitions are looked into.
    pub subdirectories: bool,
    /// The table's partition columns.
    pub columns: &'a [PartitionColumn],
    /// For each number of leading partition columns, from 1, the conditions that these decide; all conditions last.
    pub pruning: &'a [Pruning],
}

impl Wanted<'_> {
    /// Everything that lies there, without partition columns.
    pub const ALL: Wanted<'static> = Wanted { subdirectories: false, columns: &[], pruning: &[] };
}

/// The files of a location.
pub async fn files<'a>(
    store: &'a Arc<dyn ObjectStore>,
    location: &'a Location,
    wanted: &'a Wanted<'a>,
) -> Result<BoxStream<'a, Result<Found>>> {
    if !location.is_pattern() && !location.says_directory() {
        match store.head(location.path()).await {
            Ok(meta) => return Ok(single(location, wanted, meta).boxed()),
            Err(object_store::Error::NotFound { .. }) if !location.is_web() => {}
            Err(error) => return Err(named(location, &error)),
        }
    }
    if location.is_web() {
        let message = format!("'{location}': nobody can list a web server; name a single file");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let prunes = wanted.pruning.iter().any(|pruning| !pruning.is_empty());
    let found = if prunes && !location.is_pattern() {
        descend(store, location, wanted, location.path().clone(), 0).await?
    } else {
        below(store, location, location.path())
    };
    let meant = found.try_filter_map(move |meta| std::future::ready(Ok(meant(location, wanted, meta))));
    Ok(judged(meant.boxed(), location, wanted))
}

/// An error of a store, with the location it is about.
fn named(location: &Location, error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => {
            Error::new(ErrorKind::NotFound, format!("there is no file or directory {location}"))
        }
        other => classify_store(other).context(location),
    }
}

fn single(location: &Location, wanted: &Wanted<'_>, meta: ObjectMeta) -> BoxStream<'static, Result<Found>> {
    let relative = location.path().filename().unwrap_or_default().to_owned();
    // The partitions of a single file are those of its whole path.
    let path = location.path().to_string();
    let values = hive::values_of(wanted.columns, &path, &location.to_string()).map_err(|e| classify(&e));
    let store = location.store();
    let found = values.map(|values| Found { meta: stamped(store, meta), relative, values });
    stream::once(std::future::ready(found)).boxed()
}

fn below<'a>(
    store: &'a Arc<dyn ObjectStore>,
    location: &'a Location,
    prefix: &Path,
) -> BoxStream<'a, Result<ObjectMeta>> {
    let prefix = (!prefix.as_ref().is_empty()).then_some(prefix);
    store.list(prefix).map_err(|error| named(location, &error)).boxed()
}

/// Looks into the directories of one level of partitions after another, and leaves out those that are not wanted.
fn descend<'a>(
    store: &'a Arc<dyn ObjectStore>,
    location: &'a Location,
    wanted: &'a Wanted<'a>,
    prefix: Path,
    level: usize,
) -> BoxFuture<'a, Result<BoxStream<'a, Result<ObjectMeta>>>> {
    Box::pin(async move {
        let Some(pruning) = wanted.pruning.get(level) else { return Ok(below(store, location, &prefix)) };
        let listed = store.list_with_delimiter(Some(&prefix)).await.map_err(|error| named(location, &error))?;
        let mut directories = vec![];
        let mut rows = vec![];
        for directory in listed.common_prefixes {
            let relative = location.relative(&directory).unwrap_or_default();
            let columns = &wanted.columns[..=level];
            let name = directory.filename().unwrap_or_default();
            match hive::partition_of(name) {
                Some((name, _)) if name == wanted.columns[level].name => {
                    let file = file_name(location.store(), &directory);
                    rows.push(hive::values_of(columns, &format!("{relative}/"), &file).map_err(|e| classify(&e))?);
                    directories.push(directory);
                }
                // Partitions in another order: all files are judged one by one.
                _ => return Ok(below(store, location, &prefix)),
            }
        }
        let keep = pruning.wanted(&rows).map_err(|e| classify(&e))?;
        let kept = directories.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(directory, _)| directory);
        let deeper = stream::iter(kept)
            .map(move |directory| descend(store, location, wanted, directory, level + 1))
            .buffered(LISTED_AT_ONCE)
            .try_flatten();
        Ok(stream::iter(listed.objects.into_iter().map(Ok)).chain(deeper).boxed())
    })
}

/// The file with its relative path, if the location means it.
fn meant(location: &Location, wanted: &Wanted<'_>, meta: ObjectMeta) -> Option<(ObjectMeta, String)> {
    // Stores mark directories with empty objects; files without a byte have no rows.
    if meta.size == 0 {
        return None;
    }
    let relative = location.relative(&meta.location)?.to_owned();
    let means = match location.is_pattern() {
        true => location.matches(&relative),
        false => wanted.subdirectories || hive::lies_in_partitions_only(&relative),
    };
    means.then_some((meta, relative))
}

/// With the values of partition columns, and without the files that these rule out.
fn judged<'a>(
    files: BoxStream<'a, Result<(ObjectMeta, String)>>,
    location: &'a Location,
    wanted: &'a Wanted<'a>,
) -> BoxStream<'a, Result<Found>> {
    let store = location.store();
    let judge = move |chunk: Vec<Result<(ObjectMeta, String)>>| -> Result<Vec<Found>> {
        let mut found = Vec::with_capacity(chunk.len());
        for file in chunk {
            let (meta, relative) = file?;
            let name = file_name(store, &meta.location);
            let values = hive::values_of(wanted.columns, &relative, &name).map_err(|e| classify(&e))?;
            found.push(Found { meta: stamped(store, meta), relative, values });
        }
        let Some(pruning) = wanted.pruning.last() else { return Ok(found) };
        let rows: Vec<_> = found.iter().map(|found| found.values.clone()).collect();
        let keep = pruning.wanted(&rows).map_err(|e| classify(&e))?;
        Ok(found.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(found, _)| found).collect::<Vec<_>>())
    };
    let chunks = files.ready_chunks(CHUNK).map(judge);
    chunks.map_ok(|found| stream::iter(found.into_iter().map(Ok::<Found, Error>))).try_flatten().boxed()
}

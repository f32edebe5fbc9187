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
    /// Whether it lies in a directory that is no partition, and the location means only those: it is no file of the
    /// table, and a table that would leave it out is refused.
    pub aside: bool,
}

/// What of a location is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whether files in directories that are no partitions are like others.
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
            Ok(meta) => return Ok(single(location, wanted, meta)),
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

/// A file, its path below the location, and whether it lies aside.
type Meant = (ObjectMeta, String, bool);

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
    // The partitions of a single file are those of its whole path.
    let path = location.path().to_string();
    let relative = location.path().filename().unwrap_or_default().to_owned();
    let found = chunk_of(vec![Ok((meta, path, false))], location, wanted).map(|mut found| {
        found.iter_mut().for_each(|file| file.relative.clone_from(&relative));
        stream::iter(found.into_iter().map(Ok::<Found, Error>))
    });
    stream::once(std::future::ready(found)).try_flatten().boxed()
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

/// The file with its relative path, if the location means it; and whether it lies aside.
fn meant(location: &Location, wanted: &Wanted<'_>, meta: ObjectMeta) -> Option<Meant> {
    // Stores mark directories with empty objects; files without a byte have no rows.
    if meta.size == 0 {
        return None;
    }
    let relative = location.relative(&meta.location)?.to_owned();
    match location.is_pattern() {
        true => location.matches(&relative).then_some((meta, relative, false)),
        false => {
            let aside = !wanted.subdirectories && !hive::lies_in_partitions_only(&relative);
            Some((meta, relative, aside))
        }
    }
}

/// With the values of partition columns, and without the files that these rule out.
fn judged<'a>(
    files: BoxStream<'a, Result<Meant>>,
    location: &'a Location,
    wanted: &'a Wanted<'a>,
) -> BoxStream<'a, Result<Found>> {
    let chunks = files.ready_chunks(CHUNK).map(move |chunk| chunk_of(chunk, location, wanted));
    chunks.map_ok(|found| stream::iter(found.into_iter().map(Ok::<Found, Error>))).try_flatten().boxed()
}

fn chunk_of(chunk: Vec<Result<Meant>>, location: &Location, wanted: &Wanted<'_>) -> Result<Vec<Found>> {
    let store = location.store();
    let (mut found, mut others) = (Vec::with_capacity(chunk.len()), vec![]);
    for file in chunk {
        let (meta, relative, aside) = file?;
        if aside {
            others.push(Found { meta, relative, values: vec![], aside });
            continue;
        }
        let name = file_name(store, &meta.location);
        let values = hive::values_of(wanted.columns, &relative, &name).map_err(|e| classify(&e))?;
        found.push(Found { meta: stamped(store, meta), relative, values, aside });
    }
    if let Some(pruning) = wanted.pruning.last() {
        let rows: Vec<_> = found.iter().map(|found| found.values.clone()).collect();
        let mut keep = pruning.wanted(&rows).map_err(|e| classify(&e))?.into_iter();
        found.retain(|_| keep.next() == Some(true));
    }
    found.append(&mut others);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::execution::context::ExecutionProps;
    use datafusion::prelude::{col, lit};
    use object_store::memory::InMemory;

    use super::*;

    async fn listed(place: &str, condition: Option<i64>, subdirectories: bool) -> Result<Vec<(String, bool)>> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for file in ["t/y=1/a.csv", "t/y=2/b.csv", "t/plain/c.csv", "t/y=1/plain/d.csv"] {
            store.put(&Path::from(file), "x".into()).await.unwrap();
        }
        let location = Location::parse(place, std::path::Path::new("/")).unwrap();
        let columns: Vec<_> = match condition {
            Some(_) => vec![PartitionColumn { name: "y".into(), data_type: DataType::Int64 }],
            None => vec![],
        };
        let filter = condition.map(|value| col("y").eq(lit(value)));
        let filters: Vec<_> = filter.iter().collect();
        let pruning: Vec<_> =
            filters.iter().map(|_| Pruning::new(&columns, &filters, &ExecutionProps::new()).unwrap()).collect();
        let wanted = Wanted { subdirectories, columns: &columns, pruning: &pruning };
        let found: Vec<Found> = files(&store, &location, &wanted).await?.try_collect().await?;
        let mut found: Vec<_> = found.into_iter().map(|file| (file.relative, file.aside)).collect();
        found.sort_unstable();
        Ok(found)
    }

    #[tokio::test]
    async fn a_single_file_is_pruned_like_any_other() {
        let file = |name: &str| vec![(name.to_owned(), false)];
        assert_eq!(listed("s3://b/t/y=1/a.csv", Some(1), false).await.unwrap(), file("a.csv"));
        assert!(listed("s3://b/t/y=1/a.csv", Some(2), false).await.unwrap().is_empty());
        assert_eq!(listed("s3://b/t/*/b.csv", Some(2), false).await.unwrap(), file("y=2/b.csv"));
        assert!(listed("s3://b/t/*/b.csv", Some(1), false).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_lies_in_other_directories_is_told_apart() {
        let all = [("plain/c.csv", true), ("y=1/a.csv", false), ("y=1/plain/d.csv", true), ("y=2/b.csv", false)];
        let expected = |flat: bool| all.map(|(name, aside)| (name.to_owned(), aside && !flat)).to_vec();
        assert_eq!(listed("s3://b/t/", None, false).await.unwrap(), expected(false));
        assert_eq!(listed("s3://b/t/", None, true).await.unwrap(), expected(true));
        assert_eq!(listed("s3://b/t/plain/*", None, false).await.unwrap(), [("c.csv".to_owned(), false)]);
    }
}

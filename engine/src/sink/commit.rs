//! Deciding once, and carrying it out as often as it takes.
//!
//! ```text
//!            ┌─ abort ──► Abort decided ─► staging removed
//!  prepared ─┤
//!            └─ publish ► verified ─► Publish decided ─► _SUCCESS off ─► renamed ─► replaced files deleted
//!                                                      ─► _SUCCESS ─► marked published ─► staging removed
//! ```
//!
//! Before the decision everything may be thrown away; after it, only rolled forward. Every step may be repeated, by
//! anyone, at the same time as somebody else. [`prepare`], [`publish`] and [`abort`] run on blocking threads; dropping
//! their futures does not stop them half-way.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use futures::future::BoxFuture;
use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::contents::visible_files;
use super::disk;
use super::log::{self, Decision, Head, Log, Manifest};
use super::single_file;
use super::spec::{Layout, SinkSpec};
use super::staging::Staging;
use super::written::WrittenFile;

/// Times that a writer looks again because others decided first. Each time somebody else's write has gone through.
const MAX_DECISION_ROUNDS: u32 = 1000;
/// Says to other programs that all files are there.
const SUCCESS: &str = "_SUCCESS";

/// What a write left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishSummary {
    /// Rows written.
    pub rows: u64,
    /// Files written.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// How a write ended, when somebody wanted to abort it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It left nothing.
    Aborted,
    /// Too late: it had been decided, and is published now.
    Published(PublishSummary),
}

/// A step of publishing that has just been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All staged files are there, complete and lasting.
    Verified,
    /// The manifest is created (a single file: renamed). From here on there is only forward.
    Decided,
    /// The `_SUCCESS` of an earlier write is gone.
    Opened,
    /// The file of this final name is in its place.
    Renamed(String),
    /// This replaced file is gone.
    Deleted(String),
    /// `_SUCCESS` is there.
    Succeeded,
    /// The decision is noted as carried out.
    Published,
    /// Nothing is staged any more.
    Cleaned,
}

/// Is told of every step; an error of its own stops the publishing there, as a crash would.
pub type Watch<'a> = &'a mut dyn FnMut(Step) -> Result<()>;

/// Makes the location ready, before any task runs; refuses what cannot end well. Writes nothing that a reader sees.
pub fn prepare(spec: &SinkSpec) -> BoxFuture<'static, Result<()>> {
    let spec = spec.clone();
    blocking(move || prepare_now(&spec))
}

/// Decides for these files, which accepted attempts wrote, and publishes them. Calling it again, after an error, a
/// crash or on another coordinator, goes on from wherever the last call came to; the first call's files count.
pub fn publish(spec: &SinkSpec, files: Vec<WrittenFile>) -> BoxFuture<'static, Result<PublishSummary>> {
    let spec = spec.clone();
    blocking(move || publish_watched(&spec, files, &mut |_| Ok(())))
}

/// Decides against the write and removes what it staged. If it is decided already, it is published to its end instead.
pub fn abort(spec: &SinkSpec) -> BoxFuture<'static, Result<Ending>> {
    let spec = spec.clone();
    blocking(move || abort_now(&spec))
}

/// The same for a directory that this write alone was to fill, that of a table which is not to be after all: nothing of
/// it stays, not even the decision. Who comes late finds no directory, and makes none.
pub fn abort_new(spec: &SinkSpec) -> BoxFuture<'static, Result<Ending>> {
    let spec = spec.clone();
    blocking(move || {
        let ending = abort_now(&spec)?;
        if ending == Ending::Aborted {
            disk::remove_directory(&spec.root()?)?;
        }
        Ok(ending)
    })
}

/// Carries out what was decided for a directory and not finished, if anything; true if there was something. For a
/// coordinator that starts again, and before reading with programs that know nothing of manifests.
pub fn recover(root: &Path) -> BoxFuture<'static, Result<bool>> {
    let root = root.to_path_buf();
    blocking(move || match Log::of(&root).head()?.pending {
        Some(pending) => roll_forward(&root, &pending, &mut |_| Ok(())).map(|()| true),
        None => Ok(false),
    })
}

fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> BoxFuture<'static, Result<T>> {
    Box::pin(async {
        let stopped = |e| Error::internal(format!("the commit stopped short: {e}"));
        tokio::task::spawn_blocking(work).await.map_err(stopped)?
    })
}

fn prepare_now(spec: &SinkSpec) -> Result<()> {
    if spec.layout == Layout::SingleFile {
        return single_file::prepare(spec);
    }
    let root = spec.root()?;
    if root.symlink_metadata().is_ok() && !root.is_dir() {
        let shown = root.display();
        return Err(Error::user(format!("'{shown}' is a file, not a directory; remove it or write somewhere else")));
    }
    let log = Log::of(&root);
    if spec.mode == SinkMode::ErrorIfExists {
        if let Some(pending) = log.head()?.pending {
            roll_forward(&root, &pending, &mut |_| Ok(()))?;
        }
        refuse_contents(&root, &visible_files(&root)?)?;
    }
    disk::create_directory(log.directory())?;
    log.probe(spec.nonce)
}

/// [`publish`], blocking, and telling of each step. Faults are injected through `watch`.
pub fn publish_watched(spec: &SinkSpec, files: Vec<WrittenFile>, watch: Watch<'_>) -> Result<PublishSummary> {
    if spec.layout == Layout::SingleFile {
        return single_file::publish(spec, &files, watch);
    }
    let root = spec.root()?;
    let aborted = || {
        let message = format!("the write of {} to '{}' was aborted; nothing is published", spec.job(), root.display());
        Error::new(ErrorKind::Cancelled, message)
    };
    if !Log::of(&root).directory().is_dir() {
        return Err(aborted());
    }
    let manifest = decide(spec, &files, watch)?;
    if manifest.decision == Decision::Abort {
        return Err(aborted());
    }
    watch(Step::Decided)?;
    roll_forward(&root, &manifest, watch)?;
    Ok(summary(&manifest))
}

fn abort_now(spec: &SinkSpec) -> Result<Ending> {
    let root = spec.root()?;
    if spec.layout == Layout::SingleFile {
        Staging::of(spec)?.remove();
        return Ok(Ending::Aborted);
    }
    let log = Log::of(&root);
    if !log.directory().is_dir() {
        // Never prepared: nobody can have staged anything.
        return Ok(Ending::Aborted);
    }
    let manifest = settle(&root, &log, spec, |head| Ok(log::manifest(spec, head.last + 1, Decision::Abort)))?;
    roll_forward(&root, &manifest, &mut |_| Ok(()))?;
    Ok(match manifest.decision {
        Decision::Abort => Ending::Aborted,
        Decision::Publish => Ending::Published(summary(&manifest)),
    })
}

fn decide(spec: &SinkSpec, files: &[WrittenFile], watch: Watch<'_>) -> Result<Manifest> {
    let root = spec.root()?;
    let log = Log::of(&root);
    settle(&root, &log, spec, |head| {
        verify(spec, files)?;
        watch(Step::Verified)?;
        let visible = visible_files(&root)?;
        let mut manifest = log::manifest(spec, head.last + 1, Decision::Publish);
        manifest.files = worth_publishing(spec, files, &visible);
        refuse_same_names(&root, &manifest.files, &visible)?;
        match spec.mode {
            SinkMode::ErrorIfExists => refuse_contents(&root, &visible)?,
            SinkMode::Overwrite => {
                manifest.replaces = visible.into_iter().filter(|f| log::is_replaced(f, &spec.format)).collect();
            }
            SinkMode::Append => {}
        }
        Ok(manifest)
    })
}

/// The one decision about a write: the one that is there, or else the proposed one, in its place behind all others.
/// What others have decided before is carried out first; what they decide meanwhile is looked at again.
fn settle(
    root: &Path,
    log: &Log,
    spec: &SinkSpec,
    mut propose: impl FnMut(&Head) -> Result<Manifest>,
) -> Result<Manifest> {
    for _ in 0..MAX_DECISION_ROUNDS {
        let head = log.head()?;
        if let Some(decided) = log.find(&head, &spec.key())? {
            return Ok(decided);
        }
        if let Some(pending) = &head.pending {
            let finished = roll_forward(root, pending, &mut |_| Ok(()));
            finished.map_err(|e| e.context(format!("an earlier write ({}) cannot be finished", pending.write)))?;
            continue;
        }
        match propose(&head) {
            Ok(manifest) if log.append(&manifest)? => return Ok(manifest),
            Ok(_) => {}
            // What stood in the way may be the work of somebody who has decided meanwhile, perhaps this very write.
            Err(error) if log.head()?.last == head.last => return Err(error),
            Err(_) => {}
        }
    }
    Err(Error::io(format!("too many others write to '{}' at the same time; try again", root.display())))
}

/// Carries out a decision, from wherever it stands.
fn roll_forward(root: &Path, manifest: &Manifest, watch: Watch<'_>) -> Result<()> {
    let log = Log::of(root);
    let staging = Staging::at(root.to_path_buf(), &manifest.spec)?;
    if !log.is_published(manifest) {
        if manifest.decision == Decision::Publish {
            move_files(root, &log, manifest, watch)?;
        }
        log.mark_published(manifest)?;
        watch(Step::Published)?;
    }
    staging.remove();
    watch(Step::Cleaned)
}

fn move_files(root: &Path, log: &Log, manifest: &Manifest, watch: Watch<'_>) -> Result<()> {
    disk::remove_file(&root.join(SUCCESS))?;
    watch(Step::Opened)?;
    let mut directories = BTreeSet::from([root.to_path_buf()]);
    for file in &manifest.files {
        let (staged, name) = (root.join(&file.staged), root.join(&file.name));
        if let Some(directory) = name.parent()
            && directories.insert(directory.to_path_buf())
        {
            disk::create_directory(directory)?;
        }
        match fs::rename(&staged, &name) {
            Ok(()) => {}
            // Somebody else has moved it, and may even have finished, so that a later write could remove it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if !name.exists() && !log.is_published(manifest) {
                    return Err(staged_is_gone(&staged));
                }
            }
            Err(e) => return Err(disk::error("move a written file to", &name, &e)),
        }
        watch(Step::Renamed(file.name.clone()))?;
    }
    directories.iter().try_for_each(|directory| disk::sync_directory(directory))?;
    let mut emptied = BTreeSet::new();
    for name in &manifest.replaces {
        let path = root.join(name);
        disk::remove_file(&path)?;
        emptied.extend(path.parent().map(Path::to_path_buf));
        watch(Step::Deleted(name.clone()))?;
    }
    emptied.iter().filter(|d| d.is_dir()).try_for_each(|d| disk::sync_directory(d))?;
    disk::write_file(&root.join(SUCCESS), b"")?;
    watch(Step::Succeeded)
}

/// All files are this write's, each final name once, staged complete; and they last.
fn verify(spec: &SinkSpec, files: &[WrittenFile]) -> Result<()> {
    let staging = Staging::of(spec)?;
    let mut names = BTreeSet::new();
    for file in files {
        if !staging.owns(file) {
            return Err(Error::internal(format!("'{}' was not staged by this write", file.staged)));
        }
        if !names.insert(&file.name) {
            let name = &file.name;
            return Err(Error::internal(format!("two attempts of one task were accepted: both wrote '{name}'")));
        }
        let staged = staging.root().join(&file.staged);
        match fs::metadata(&staged) {
            Ok(metadata) if metadata.len() == file.bytes => {}
            Ok(metadata) => {
                let (found, path) = (metadata.len(), staged.display());
                return Err(Error::io(format!("'{path}' has {found} bytes, its writer reported {}", file.bytes)));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(staged_is_gone(&staged)),
            Err(e) => return Err(disk::error("read", &staged, &e)),
        }
    }
    staging.sync(files)
}

/// Files without rows serve only to give an empty table a schema: one is enough, and none is needed where a schema is.
fn worth_publishing(spec: &SinkSpec, files: &[WrittenFile], visible: &[String]) -> Vec<WrittenFile> {
    let mut worth: Vec<WrittenFile> = files.iter().filter(|f| f.rows > 0).cloned().collect();
    let there = spec.mode == SinkMode::Append && visible.iter().any(|f| log::is_replaced(f, &spec.format));
    if worth.is_empty() && !there {
        worth.extend(files.iter().min().cloned());
    }
    worth.sort();
    worth
}

fn refuse_contents(root: &Path, visible: &[String]) -> Result<()> {
    let Some(first) = visible.first() else { return Ok(()) };
    Err(Error::new(
        ErrorKind::AlreadyExists,
        format!(
            "'{}' is not empty ({} files, the first is '{first}'); write OPTIONS (mode 'append') to add to it or \
             OPTIONS (mode 'overwrite') to replace its contents",
            root.display(),
            visible.len()
        ),
    ))
}

fn refuse_same_names(root: &Path, files: &[WrittenFile], visible: &[String]) -> Result<()> {
    match files.iter().find(|f| visible.binary_search(&f.name).is_ok()) {
        None => Ok(()),
        Some(file) => {
            let message = format!("'{}' has a file '{}' that is not of this write", root.display(), file.name);
            Err(Error::new(ErrorKind::AlreadyExists, message))
        }
    }
}

pub(super) fn staged_is_gone(staged: &Path) -> Error {
    Error::io(format!(
        "the written file '{}' is gone; was it removed, or is the target not on a disk that all workers and the \
         coordinator share?",
        staged.display()
    ))
}

fn summary(manifest: &Manifest) -> PublishSummary {
    PublishSummary {
        rows: manifest.files.iter().map(|f| f.rows).sum(),
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|f| f.bytes).sum(),
    }
}

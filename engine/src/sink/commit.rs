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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::abandon;
use super::contents::Contents;
use super::log::{self, Decision, Head, Log, Manifest};
use super::place::{Place, PlaceRef};
use super::single_file;
use super::spec::{Layout, SinkSpec};
use super::staging::Staging;
use super::target::Target;
use super::written::WrittenFile;
use crate::stores::Stores;

/// Times that a writer looks again because others decided first. Each time somebody else's write has gone through.
const MAX_DECISION_ROUNDS: u32 = 1000;
/// Says to other programs that all files are there.
pub(super) const SUCCESS: &str = "_SUCCESS";

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
    /// The manifest is created (a single file in a file system: renamed). From here on there is only forward.
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
pub fn prepare(stores: &Arc<Stores>, spec: &SinkSpec) -> BoxFuture<'static, Result<()>> {
    let (stores, spec) = (Arc::clone(stores), spec.clone());
    blocking(move || prepare_now(&stores, &spec))
}

/// Decides for these files, which accepted attempts wrote, and publishes them. Calling it again, after an error, a
/// crash or on another coordinator, goes on from wherever the last call came to; the first call's files count.
pub fn publish(
    stores: &Arc<Stores>,
    spec: &SinkSpec,
    files: Vec<WrittenFile>,
) -> BoxFuture<'static, Result<PublishSummary>> {
    let (stores, spec) = (Arc::clone(stores), spec.clone());
    blocking(move || publish_watched(&stores, &spec, &files, &mut |_| Ok(())))
}

/// Decides against the write and removes what it staged. If it is decided already, it is published to its end instead.
pub fn abort(stores: &Arc<Stores>, spec: &SinkSpec) -> BoxFuture<'static, Result<Ending>> {
    let (stores, spec) = (Arc::clone(stores), spec.clone());
    blocking(move || abort_now(&stores, &spec))
}

/// The same for a directory that this write alone was to fill, that of a table which is not to be after all. In a file
/// system nothing of it stays, not even the decision: who comes late finds no directory, and makes none. On an object
/// store the decision stays.
pub fn abort_new(stores: &Arc<Stores>, spec: &SinkSpec) -> BoxFuture<'static, Result<Ending>> {
    let (stores, spec) = (Arc::clone(stores), spec.clone());
    blocking(move || {
        let ending = abort_now(&stores, &spec)?;
        if ending == Ending::Aborted {
            spec.place(&stores)?.remove_place()?;
        }
        Ok(ending)
    })
}

/// Carries out what was decided for a target and not finished, if anything; true if there was something. For a
/// coordinator that starts again, and before reading with programs that know nothing of manifests.
pub fn recover(stores: &Arc<Stores>, target: &Target) -> BoxFuture<'static, Result<bool>> {
    let (stores, target) = (Arc::clone(stores), target.clone());
    blocking(move || {
        let place = super::place::of(&stores, &target)?;
        let log = match target.layout {
            Layout::Directory => Log::of(&place),
            Layout::SingleFile => Log::of_file(&place, &target.file_name()?),
        };
        finish_pending(&place, &log)
    })
}

/// The same for a directory that has been found already.
pub(super) fn recover_place(place: PlaceRef) -> BoxFuture<'static, Result<bool>> {
    blocking(move || finish_pending(&place, &Log::of(&place)))
}

/// Runs work that blocks.
pub(super) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> BoxFuture<'static, Result<T>> {
    Box::pin(async {
        let stopped = |e| Error::internal(format!("the commit stopped short: {e}"));
        tokio::task::spawn_blocking(work).await.map_err(stopped)?
    })
}

/// Carries out the pending decision of a log, if there is one.
pub(super) fn finish_pending(place: &PlaceRef, log: &Log) -> Result<bool> {
    match log.head()?.pending {
        Some(pending) => finish(place, log, &pending).map(|()| true),
        None => Ok(false),
    }
}

/// Carries out what somebody else has decided; an error says how to get past it.
fn finish(place: &PlaceRef, log: &Log, pending: &Manifest) -> Result<()> {
    carry_out(place, log, pending).map_err(|error| {
        let (write, shown) = (&pending.write, place.shown(""));
        error.context(format!(
            "an earlier write ({write}) cannot be finished (if its files are lost for good, \
             'windrow clean {shown} --abandon {write}' takes it back, and what was there before stays)"
        ))
    })
}

fn prepare_now(stores: &Stores, spec: &SinkSpec) -> Result<()> {
    let place = spec.place(stores)?;
    let log = Log::for_write(&place, spec)?;
    match (spec.layout, place.local()) {
        (Layout::SingleFile, Some(local)) => {
            single_file::refuse(&*place, spec)?;
            return local.create();
        }
        (Layout::SingleFile, None) => {
            finish_pending(&place, &log)?;
            single_file::refuse(&*place, spec)?;
        }
        (Layout::Directory, _) => {
            place.refuse_file()?;
            if spec.mode == SinkMode::ErrorIfExists {
                finish_pending(&place, &log)?;
                Contents::of(&*place, spec, &[])?.refuse()?;
            }
        }
    }
    place.make_ready()?;
    log.probe(spec.nonce)
}

/// [`publish`], blocking, and telling of each step. Faults are injected through `watch`. To be called on a thread that
/// may block and, for object stores, belongs to a runtime.
pub fn publish_watched(
    stores: &Arc<Stores>,
    spec: &SinkSpec,
    files: &[WrittenFile],
    watch: Watch<'_>,
) -> Result<PublishSummary> {
    let place = spec.place(stores)?;
    if let (Layout::SingleFile, Some(local)) = (spec.layout, place.local()) {
        return single_file::publish(local, spec, files, watch);
    }
    let aborted = || {
        let (job, shown) = (spec.job(), place.shown(""));
        Error::new(ErrorKind::Cancelled, format!("the write of {job} to '{shown}' was aborted; nothing is published"))
    };
    if !place.is_ready() {
        return Err(aborted());
    }
    let log = Log::for_write(&place, spec)?;
    let manifest = decide(&place, &log, spec, files, watch)?;
    if manifest.decision == Decision::Abort {
        return Err(aborted());
    }
    watch(Step::Decided)?;
    roll_forward(&place, &log, &manifest, watch)?;
    Ok(summary(&manifest))
}

fn abort_now(stores: &Stores, spec: &SinkSpec) -> Result<Ending> {
    let place = spec.place(stores)?;
    if spec.layout == Layout::SingleFile && place.local().is_some() {
        clear(&*place, &Staging::of(spec, &*place)?, &[]);
        return Ok(Ending::Aborted);
    }
    if !place.is_ready() {
        // Never prepared: nobody can have staged anything.
        return Ok(Ending::Aborted);
    }
    let manifest = abort_in(&place, &Log::for_write(&place, spec)?, spec)?;
    Ok(match manifest.decision {
        Decision::Abort => Ending::Aborted,
        Decision::Publish => Ending::Published(summary(&manifest)),
    })
}

/// Decides against a write in its log, unless it is decided, and carries out what is decided.
pub(super) fn abort_in(place: &PlaceRef, log: &Log, spec: &SinkSpec) -> Result<Manifest> {
    let manifest = settle(place, log, spec, |head| Ok(log::manifest(spec, head.last + 1, Decision::Abort)))?;
    carry_out(place, log, &manifest)?;
    Ok(manifest)
}

fn decide(place: &PlaceRef, log: &Log, spec: &SinkSpec, files: &[WrittenFile], watch: Watch<'_>) -> Result<Manifest> {
    let staging = Staging::of(spec, &**place)?;
    settle(place, log, spec, |head| {
        verify(&**place, &staging, files)?;
        watch(Step::Verified)?;
        let mut manifest = log::manifest(spec, head.last + 1, Decision::Publish);
        if spec.layout == Layout::SingleFile {
            manifest.before = Some(single_file::refuse(&**place, spec)?);
            manifest.files = vec![single_file::one(&staging, files)?.clone()];
            return Ok(manifest);
        }
        let contents = Contents::of(&**place, spec, files)?;
        manifest.files = contents.worth_publishing(files);
        contents.refuse_same_names(&manifest.files)?;
        if spec.mode == SinkMode::ErrorIfExists {
            contents.refuse()?;
        }
        manifest.replaces = contents.replaced;
        Ok(manifest)
    })
}

/// The one decision about a write: the one that is there, or else the proposed one, in its place behind all others.
/// What others have decided before is carried out first; what they decide meanwhile is looked at again.
fn settle(
    place: &PlaceRef,
    log: &Log,
    spec: &SinkSpec,
    mut propose: impl FnMut(&Head) -> Result<Manifest>,
) -> Result<Manifest> {
    for _ in 0..MAX_DECISION_ROUNDS {
        let head = log.head()?;
        if let Some(decided) = log.find(&head, spec)? {
            return Ok(decided);
        }
        if let Some(pending) = &head.pending {
            finish(place, log, pending)?;
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
    Err(Error::io(format!("too many others write to '{}' at the same time; try again", place.shown(""))))
}

/// Carries out a decision, from wherever it stands.
pub(super) fn carry_out(place: &PlaceRef, log: &Log, manifest: &Manifest) -> Result<()> {
    roll_forward(place, log, manifest, &mut |_| Ok(()))
}

/// The same, telling of each step.
fn roll_forward(place: &PlaceRef, log: &Log, manifest: &Manifest, watch: Watch<'_>) -> Result<()> {
    if !log.is_published(manifest)? {
        match manifest.decision {
            Decision::Publish => move_files(&**place, log, manifest, watch)?,
            // Given up.
            Decision::Abort if !manifest.files.is_empty() => abandon::take_back(&**place, manifest)?,
            Decision::Abort => {}
        }
        log.mark_published(manifest)?;
        watch(Step::Published)?;
    }
    clear(&**place, &Staging::of(&manifest.spec, &**place)?, &manifest.files);
    watch(Step::Cleaned)
}

fn move_files(place: &dyn Place, log: &Log, manifest: &Manifest, watch: Watch<'_>) -> Result<()> {
    let directory = manifest.spec.layout == Layout::Directory;
    if directory {
        place.remove(SUCCESS)?;
        watch(Step::Opened)?;
    }
    place.publish(&manifest.files, manifest.before.as_deref(), &mut |file, published| {
        if let Err(error) = published {
            // Somebody else has published it, and may even have finished, so that a later write could remove it.
            if !log.is_published(manifest)? {
                return Err(error);
            }
        }
        watch(Step::Renamed(file.name.clone()))
    })?;
    if directory {
        // Somebody else may have come to the end of it long ago. What has the replaced files' names now is not theirs, and
        // whether all files are there is for a later write to say, if one is under way.
        let is_done = log.is_published(manifest)?;
        if !is_done {
            place.remove_replaced(&manifest.replaces, &mut |name| watch(Step::Deleted(name.to_owned())))?;
        }
        if !is_done || log.head()?.pending.is_none() {
            place.put(SUCCESS, b"")?;
        }
        watch(Step::Succeeded)?;
    }
    Ok(())
}

/// Removes what a write has staged, whichever attempt did. Best effort: what stays is hidden, and is cleaned up later.
pub(super) fn clear(place: &dyn Place, staging: &Staging, published: &[WrittenFile]) {
    let prefix = staging.prefix();
    if let Err(error) = place.clear(&prefix, published) {
        tracing::warn!(staged = place.shown(&prefix), %error, "staged files stay behind");
    }
}

/// All files are this write's, those of each partition by one attempt, staged complete; and they last.
fn verify(place: &dyn Place, staging: &Staging, files: &[WrittenFile]) -> Result<()> {
    let (mut names, mut writers) = (BTreeSet::new(), BTreeMap::new());
    for file in files {
        let part = staging.part_of(file)?;
        let writer = *writers.entry(part.partition).or_insert(part.attempt);
        if !names.insert(&file.name) || writer != part.attempt {
            let name = &file.name;
            return Err(Error::internal(format!("two attempts of one task were accepted: both wrote '{name}'")));
        }
    }
    place.verify(files)
}

fn summary(manifest: &Manifest) -> PublishSummary {
    PublishSummary {
        rows: manifest.files.iter().map(|f| f.rows).sum(),
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|f| f.bytes).sum(),
    }
}

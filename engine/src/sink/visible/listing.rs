//! One listing, as a stream that holds a bounded number of files however many there are.
//!
//! ```text
//!   store ──► window of at most WINDOW files ──► reader
//!              │
//!              ├─ the store's listing ends in it: check that nothing was decided meanwhile, else begin again
//!              └─ it is full: files leave it, so from here on beginning again is impossible, and a decision that falls
//!                 meanwhile is an error that says to try again
//! ```
//!
//! The logs of the prefix and of the directories above it are read before. A table *below* the prefix is known only by
//! the log that the listing comes across. While nothing has left the window, its log is read and the listing begins
//! again. Later, nothing has been given out of that table yet: a file leaves only when the listing is past its directory,
//! or the directory was found to have no log. (Stores list a directory in one piece.) So the table is left out, and
//! listed by itself afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, Result};

use super::helping::Helper;
use super::view::{self, View, generic};
use super::{MAX_LISTING_ROUNDS, busy};

/// Files that a listing holds at most.
pub(super) const WINDOW: usize = 10_000;

/// The visible files below a prefix.
pub(super) fn list(
    objects: Arc<dyn ObjectStore>,
    helper: Helper,
    prefix: Path,
) -> BoxStream<'static, Result<ObjectMeta>> {
    stream::once(begun(objects, helper, prefix)).try_flatten().boxed()
}

async fn begun(
    objects: Arc<dyn ObjectStore>,
    helper: Helper,
    prefix: Path,
) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
    let roots = view::ancestors(&prefix);
    Ok(Listing::begin(objects, helper, prefix, roots, 0).await?.files())
}

struct Listing {
    objects: Arc<dyn ObjectStore>,
    helper: Helper,
    prefix: Path,
    /// Directories whose logs were read before the listing began.
    roots: BTreeSet<Path>,
    rounds: u32,
    view: View,
    /// What is decided and has not been listed.
    missing: BTreeMap<Path, (Path, String)>,
    inner: BoxStream<'static, Result<ObjectMeta>>,
    window: VecDeque<ObjectMeta>,
    /// Directories below the prefix with a log that is not among the roots.
    found: BTreeSet<Path>,
    /// Directories of which files were given out before the listing was past them: they had no log.
    without_log: BTreeSet<Path>,
    /// The directory that the last file to leave lay in: nothing more is to be known of it.
    passed: Option<Path>,
    /// Whether files have left the window while the listing went on.
    gives: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The store lists.
    Listing,
    /// What is in the window is right.
    Checked,
}

impl Listing {
    async fn begin(
        objects: Arc<dyn ObjectStore>,
        helper: Helper,
        prefix: Path,
        roots: BTreeSet<Path>,
        rounds: u32,
    ) -> Result<Self> {
        if rounds >= MAX_LISTING_ROUNDS {
            return Err(busy(&prefix));
        }
        let view = helper.settled(&roots).await?;
        let missing = view.added(|path| view::is_shown(path, &prefix))?;
        let inner = objects.list(Some(&prefix));
        Ok(Self {
            objects,
            helper,
            prefix,
            roots,
            rounds,
            view,
            missing,
            inner,
            window: VecDeque::new(),
            found: BTreeSet::new(),
            without_log: BTreeSet::new(),
            passed: None,
            gives: false,
            stage: Stage::Listing,
        })
    }

    /// The files, and then those of the tables that were left out.
    fn files(self) -> BoxStream<'static, Result<ObjectMeta>> {
        let (objects, helper) = (Arc::clone(&self.objects), self.helper.clone());
        let files = stream::try_unfold(self, Self::step);
        let files = files.map_ok(move |next| match next {
            Next::File(file) => stream::iter([Ok(file)]).boxed(),
            Next::Table(table) => list(Arc::clone(&objects), helper.clone(), table),
        });
        files.try_flatten().boxed()
    }

    async fn step(mut self) -> Result<Option<(Next, Self)>> {
        match self.next().await? {
            Some(file) => Ok(Some((Next::File(file), self))),
            None => Ok(self.found.pop_first().map(|table| (Next::Table(table), self))),
        }
    }

    async fn next(&mut self) -> Result<Option<ObjectMeta>> {
        loop {
            if self.stage == Stage::Checked {
                return self.rest().await;
            }
            match self.inner.try_next().await? {
                Some(file) => self.take(file)?,
                None => self.end().await?,
            }
            if self.stage == Stage::Listing && self.window.len() >= WINDOW && !self.found_in_time().await? {
                self.gives = true;
                self.pass_directories().await?;
                if let Some(file) = self.window.pop_front() {
                    return Ok(Some(file));
                }
            }
        }
    }

    /// What remains when the listing has ended and was found right.
    async fn rest(&mut self) -> Result<Option<ObjectMeta>> {
        if let Some(file) = self.window.pop_front() {
            return Ok(Some(file));
        }
        match self.missing.pop_first() {
            Some((location, (root, staged))) => {
                view::decided_meta(&self.objects, &root, &staged, &location).await.map(Some)
            }
            None => Ok(None),
        }
    }

    fn take(&mut self, file: ObjectMeta) -> Result<()> {
        let location = &file.location;
        if let Some(table) = view::log_above(location, &self.prefix).filter(|table| !self.roots.contains(table)) {
            match self.without_log.contains(&table) {
                true if view::is_decision(location) => return Err(changed(&self.prefix)),
                true => {}
                false if self.gives => self.set_aside(table),
                false => _ = self.found.insert(table),
            }
            return Ok(());
        }
        if self.gives && self.is_set_aside(location) {
            return Ok(());
        }
        self.missing.remove(location);
        if view::is_shown(location, &self.prefix) && !self.view.is_replaced(location) {
            self.window.push_back(file);
        }
        Ok(())
    }

    /// Leaves a table out, to be listed by itself. Tables inside one another are listed with the outermost.
    fn set_aside(&mut self, table: Path) {
        if self.is_set_aside(&table) {
            return;
        }
        self.window.retain(|file| !file.location.prefix_matches(&table));
        self.missing.retain(|location, _| !location.prefix_matches(&table));
        self.found.retain(|inner| !inner.prefix_matches(&table));
        self.found.insert(table);
    }

    fn is_set_aside(&self, location: &Path) -> bool {
        !self.found.is_empty() && view::ancestors(location).iter().any(|directory| self.found.contains(directory))
    }

    /// Begins again if there are tables whose logs should have been read; false if there are none, or it is too late.
    async fn found_in_time(&mut self) -> Result<bool> {
        if self.gives || self.found.is_empty() {
            return Ok(false);
        }
        self.again().await.map(|()| true)
    }

    async fn again(&mut self) -> Result<()> {
        let mut roots = std::mem::take(&mut self.roots);
        roots.append(&mut self.found);
        let (objects, helper) = (Arc::clone(&self.objects), self.helper.clone());
        *self = Self::begin(objects, helper, self.prefix.clone(), roots, self.rounds + 1).await?;
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        if self.found_in_time().await? {
            return Ok(());
        }
        let (objects, view) = (&self.objects, &self.view);
        if view.is_still(objects, &self.roots).await? && view.is_still(objects, &self.without_log).await? {
            self.stage = Stage::Checked;
            return Ok(());
        }
        if self.gives { Err(changed(&self.prefix)) } else { self.again().await }
    }

    /// Looks for logs of the directories that the next file to leave lies in, as far as the listing is still in them.
    async fn pass_directories(&mut self) -> Result<()> {
        while let (Some(first), Some(last)) = (self.window.front(), self.window.back()) {
            let directory = first.location.parent().unwrap_or_default();
            if self.passed.as_ref() == Some(&directory) {
                return Ok(());
            }
            let unfinished = view::ancestors(&directory).into_iter().find(|above| {
                let below_prefix = above != &self.prefix && above.prefix_matches(&self.prefix);
                let known = self.roots.contains(above) || self.without_log.contains(above);
                below_prefix && !known && last.location.prefix_matches(above)
            });
            match unfinished {
                None => self.passed = Some(directory),
                Some(above) if view::has_log(&self.objects, &above).await? => self.set_aside(above),
                Some(above) => _ = self.without_log.insert(above),
            }
        }
        Ok(())
    }
}

enum Next {
    File(ObjectMeta),
    Table(Path),
}

fn changed(prefix: &Path) -> Error {
    generic(windrow_common::Error::io(format!(
        "a write to '/{prefix}' was published while it was being listed; try again"
    )))
}

//! Where the files of writes lie, with the few things that a write does there. All of them block.
//!
//! ```text
//!                 a directory of a file system ([`LocalPlace`])        a prefix of an object store ([`ObjectPlace`])
//!  staged         a file in the hidden directory                       an upload that is not completed, and a record of it
//!  published      renamed                                              completed
//!  created once   written aside, then linked                           put if absent; an unclear answer is read back
//!  lasts          synced, then its directory                           when the store says so
//! ```
//!
//! Names are relative to the place's root, with `/` between their parts.

mod emptied;
mod failure;
mod local;
mod object;
mod record;
mod upload;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use windrow_common::Result;

pub(super) use local::{Installed, LocalPlace};
pub(super) use object::ObjectPlace;
pub(super) use record::Record;

use super::output::Staged;
use super::spec::Layout;
use super::target::Target;
use super::written::WrittenFile;
use crate::stores::Stores;

/// A place, shared by all that work in it.
pub(super) type PlaceRef = Arc<dyn Place>;

/// What is found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file.
    File {
        /// Its size.
        bytes: u64,
        /// Changes when the file is written anew; empty in file systems, where nobody asks.
        tag: String,
    },
    /// Files below it.
    Directory,
}

/// A file that is hidden from readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HiddenFile {
    /// Its name.
    pub(super) name: String,
    /// Its size.
    pub(super) bytes: u64,
    /// When it was written, by the clock of whoever keeps it.
    pub(super) modified: SystemTime,
}

/// Is told of each file that something was done to; its own error stops the rest.
pub(super) type EachFile<'a> = &'a mut dyn FnMut(&WrittenFile, Result<()>) -> Result<()>;
/// Is told of each name; its own error stops the rest.
pub(super) type EachName<'a> = &'a mut dyn FnMut(&str) -> Result<()>;

/// A place of files.
pub(super) trait Place: fmt::Debug + Send + Sync {
    /// A name as people write it, with where the place is; "" is the place itself.
    fn shown(&self, name: &str) -> String;

    /// The same place, if it is a directory of a file system: there a rename is a decision by itself.
    fn local(&self) -> Option<&LocalPlace>;

    /// Whether there is such a place: a prefix of a store always is.
    fn is_there(&self) -> bool;

    /// Refuses a place that is a file.
    fn refuse_file(&self) -> Result<()>;

    /// Lets writes come.
    fn make_ready(&self) -> Result<()>;

    /// Whether writes may come, or everything has been removed since.
    fn is_ready(&self) -> bool;

    /// Removes the whole place where that leaves no trace; elsewhere its hidden files stay, which nobody sees.
    fn remove_place(&self) -> Result<()>;

    /// Gives the names of all visible files, in no certain order.
    fn visible(&self, seen: EachName<'_>) -> Result<()>;

    /// The files in a directory itself, without their path; none if there is no such directory.
    fn names_in(&self, directory: &str) -> Result<Vec<String>>;

    /// All files that writers of ours keep here beside the visible ones.
    fn hidden(&self) -> Result<Vec<HiddenFile>>;

    /// What is there under a name.
    fn find(&self, name: &str) -> Result<Found>;

    /// The contents of a small file, if it is there.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Creates a small file with all of its contents, or not at all: true if this call did it, false if another file
    /// was there. A file with just these contents counts as this call's: contents say whose they are.
    fn create_once(&self, name: &str, contents: &[u8]) -> Result<bool>;

    /// Writes a small file, whatever is there.
    fn put(&self, name: &str, contents: &[u8]) -> Result<()>;

    /// Removes a file; that it is gone already is fine.
    fn remove(&self, name: &str) -> Result<()>;

    /// Removes files that gave way to others, with the directories that this leaves empty.
    fn remove_replaced(&self, names: &[String], removed: EachName<'_>) -> Result<()>;

    /// Begins a staged file: `staged` is its own until it is published as `name`.
    fn begin(&self, staged: &str, name: &str, layout: Layout) -> Result<Staged>;

    /// Whether all of these are staged, complete and lasting.
    fn verify(&self, files: &[WrittenFile]) -> Result<()>;

    /// Puts staged files in their places. `done` gets an error for a file that is neither staged nor in its place. With
    /// `before`, what was there until now has this tag (empty: nothing was there), so that it is not taken for ours.
    fn publish(&self, files: &[WrittenFile], before: Option<&str>, done: EachFile<'_>) -> Result<()>;

    /// The final names of those files that are neither staged nor in their places, and never will be: what is left of them
    /// is made unusable first. With `before` as in [`Self::publish`].
    fn lost(&self, files: &[WrittenFile], before: Option<&str>) -> Result<Vec<String>>;

    /// Removes what one attempt began and nobody was told of; best effort, perhaps later.
    fn discard(&self, begun: &[String], ended: &[WrittenFile]);

    /// Removes everything that is staged below a prefix of names; of `published` only what is left of their staging.
    fn clear(&self, prefix: &str, published: &[WrittenFile]) -> Result<()>;
}

/// The place of a directory, or of the directory that a single file lies in.
pub(super) fn of(stores: &Stores, target: &Target) -> Result<PlaceRef> {
    Ok(match target.location.local_path() {
        Some(path) => Arc::new(LocalPlace::new(target.root_of(&path)?)),
        None => {
            let mut store = stores.writable(&target.location)?;
            if target.layout == Layout::SingleFile {
                store.path = store.path.parent().unwrap_or_default();
                store.shown = store.shown.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default();
            }
            Arc::new(ObjectPlace::new(store))
        }
    })
}

//! Giving up a write that is decided and can never be finished, because a file that it staged is lost.
//!
//! Such a write holds up all others, and readers too where its files cannot be read before they are in their places. No
//! program may end that by itself: what was decided counts. An operator may, and then the write is taken back as a whole:
//! what was there before stays, and nothing of the write does. That is safe because a lost file cannot come back: whoever
//! carries the write out stops at that file, before anything is deleted that was there before.
//!
//! ```text
//! lost for certain ─► <sequence>.abandoned ─► staging removed ─► its files removed ─► _SUCCESS ─► <sequence>-<write>.published
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use windrow_common::{Error, ErrorKind, Result};

use super::commit::{self, SUCCESS, blocking};
use super::log::{Decision, Log, Manifest};
use super::place::{self, Place, PlaceRef};
use super::spec::Layout;
use super::staging::Staging;
use super::target::Target;
use super::{clean, disk};
use crate::stores::Stores;

/// What became of a write that was to be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbandonReport {
    /// The final names of its files that are lost. None: it was published to its end instead.
    pub lost: Vec<String>,
    /// The number of its rows, which are lost with them.
    pub rows: u64,
}

/// Gives up the write of this name ([`super::SinkSpec::key`]) in a directory, given as a path or as a URL of a store, if it
/// is decided and a file of it is lost. If none is, it is finished.
pub fn abandon(stores: &Arc<Stores>, location: &str, write: &str) -> BoxFuture<'static, Result<AbandonReport>> {
    let (stores, location, write) = (Arc::clone(stores), location.to_owned(), write.to_owned());
    blocking(move || {
        let base = std::env::current_dir().map_err(|e| disk::error("find", Path::new("."), &e))?;
        let target = Target { layout: Layout::Directory, ..Target::parse(&location, &base)? };
        abandon_in(&place::of(&stores, &target)?, &write)
    })
}

fn abandon_in(place: &PlaceRef, write: &str) -> Result<AbandonReport> {
    let hidden = place.hidden()?;
    let files: BTreeSet<&str> = hidden.iter().filter_map(|file| clean::file_with_log(&file.name)).collect();
    let logs = files.into_iter().map(|name| Log::of_file(place, name));
    let mut pending = Vec::new();
    for log in std::iter::once(Log::of(place)).chain(logs) {
        match log.head()?.pending {
            Some(manifest) if manifest.write == write => return give_up(place, &log, manifest),
            other => pending.extend(other.map(|manifest| manifest.write)),
        }
    }
    let there = if pending.is_empty() { "none is".to_owned() } else { format!("there is {}", pending.join(", ")) };
    let message = format!("no write '{write}' is decided and unfinished in '{}'; {there}", place.shown(""));
    Err(Error::new(ErrorKind::NotFound, message))
}

fn give_up(place: &PlaceRef, log: &Log, manifest: Manifest) -> Result<AbandonReport> {
    if manifest.decision == Decision::Publish {
        let lost = place.lost(&manifest.files, manifest.before.as_deref())?;
        if lost.is_empty() {
            commit::carry_out(place, log, &manifest)?;
            return Ok(AbandonReport { lost, rows: 0 });
        }
        log.abandon(&manifest, &lost)?;
    }
    // Given up, perhaps by somebody before who did not come to the end.
    let (manifest, lost) = log.abandoned(&manifest)?;
    commit::carry_out(place, log, &manifest)?;
    Ok(AbandonReport { lost, rows: manifest.files.iter().map(|file| file.rows).sum() })
}

/// Takes back whatever there is of a write that was given up.
pub(super) fn take_back(place: &dyn Place, manifest: &Manifest) -> Result<()> {
    // First what might still be moved, so that nothing comes into its place any more.
    place.clear(&Staging::of(&manifest.spec, place)?.prefix(), &[])?;
    if manifest.spec.layout == Layout::SingleFile {
        // It has one file, which is lost: what is there under its name is not of this write.
        return Ok(());
    }
    let names: Vec<String> = manifest.files.iter().map(|file| file.name.clone()).collect();
    place.remove_replaced(&names, &mut |_| Ok(()))?;
    let mut is_empty = true;
    place.visible(&mut |_| {
        is_empty = false;
        Ok(())
    })?;
    if is_empty { Ok(()) } else { place.put(SUCCESS, b"") }
}

//! Cleaning up what writers that died have left in a place.

use std::time::{Duration, SystemTime};

use windrow_common::config::StoreAccess;
use windrow_common::time::unix_millis;
use windrow_common::{Error, Result};
use windrow_engine::sink::{self, AbandonReport, CleanOptions, CleanReport};
use windrow_engine::stores::Stores;

/// Removes staged files and uploads that nobody will publish from a directory, given as a path or as a URL of a store,
/// and brings to its end what was decided there and not finished. Files of a write that may be under way stay unless all
/// of them are at least as old as `older_than`. With `dry_run` nothing is done but counted. Works by itself, without a
/// cluster, reaching stores as `access` says.
pub async fn clean(location: &str, older_than: Duration, dry_run: bool, access: &StoreAccess) -> Result<CleanReport> {
    let now = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_millis()));
    let now = now.ok_or_else(|| Error::internal("the clock of this machine is out of range"))?;
    let stores = Stores::open(access, true, None)?;
    sink::clean(&stores, location, CleanOptions { older_than, now, dry_run }).await
}

/// Gives up a write that is decided and cannot be finished because files of it are lost, so that others can write to the
/// directory again: what was there before it stays. `write` is its name, as the errors of others say it. If nothing is
/// lost, it is finished. Works by itself, without a cluster, reaching stores as `access` says.
pub async fn abandon(location: &str, write: &str, access: &StoreAccess) -> Result<AbandonReport> {
    let stores = Stores::open(access, true, None)?;
    sink::abandon(&stores, location, write).await
}

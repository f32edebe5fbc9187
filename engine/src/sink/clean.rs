//! What writers that died have left behind: found, decided about, and taken away.
//!
//! Nothing visible is touched, and nothing that a manifest names. What a decided write has staged and nobody needs goes
//! at once. A write without a decision may be alive: its files go only when the youngest of them is old enough, and not
//! before it is decided that the write never happened, so that a writer that was merely slow finds itself aborted
//! instead of publishing files that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use windrow_common::time::unix_millis;
use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::commit::{self, blocking};
use super::format::Format;
use super::log::{Decision, EntryName, FILE_LOGS, Log, Manifest, PROBE};
use super::place::{self, HiddenFile, PlaceRef, Record};
use super::spec::{Layout, SinkSpec};
use super::target::Target;
use super::{HIDDEN_DIRECTORY, disk};
use crate::stores::Stores;

/// Who decides against writes that nobody else has decided about.
const CLEANER: &str = "clean";

/// What is to be cleaned up.
#[derive(Clone, Copy, Debug)]
pub struct CleanOptions {
    /// Files of writes without a decision stay until the youngest of a write's is this old.
    pub older_than: Duration,
    /// The time, by the clock of this machine.
    pub now: SystemTime,
    /// Whether to say only what would be done.
    pub dry_run: bool,
}

/// What was cleaned up, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// Writes that had been decided for and are now published to their end.
    pub finished: u64,
    /// Writes that were decided against.
    pub aborted: u64,
    /// Files removed; none of them was visible.
    pub files: u64,
    /// Bytes of those files. Stores do not say what an upload holds.
    pub bytes: u64,
    /// Uploads aborted.
    pub uploads: u64,
    /// Files and uploads that stay because they are too young: they may be of a write that is under way.
    pub kept: u64,
}

/// Cleans up a directory, given as a path or as a URL of a store. Whoever writes there meanwhile is not disturbed,
/// unless its files are older than allowed.
pub fn clean(stores: &Arc<Stores>, location: &str, options: CleanOptions) -> BoxFuture<'static, Result<CleanReport>> {
    let (stores, location) = (Arc::clone(stores), location.to_owned());
    blocking(move || {
        let base = std::env::current_dir().map_err(|e| disk::error("find", Path::new("."), &e))?;
        let target = Target::parse(&location, &base)?;
        if target.layout == Layout::SingleFile {
            return Err(Error::user(format!(
                "'{location}' names a file; name the directory that it lies in, or '{location}/' if it is a directory"
            )));
        }
        let place = place::of(&stores, &target)?;
        place.refuse_file()?;
        if !place.is_there() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no directory '{}'", place.shown(""))));
        }
        Cleaner { place, options, report: CleanReport::default() }.run()
    })
}

struct Cleaner {
    place: PlaceRef,
    options: CleanOptions,
    report: CleanReport,
}

/// What a hidden file is.
#[derive(Debug, PartialEq, Eq)]
enum Hidden<'a> {
    /// Staged by this write.
    Staged(&'a str),
    /// Part of the log of this single file.
    FileLog(&'a str),
    /// Of use for a moment only.
    Passing,
    /// Part of a log, or not ours.
    Other,
}

impl<'a> Hidden<'a> {
    fn of(name: &'a str) -> Self {
        let hidden = name.strip_prefix(HIDDEN_DIRECTORY).and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = hidden else {
            return if is_staged_beside(name) { Hidden::Passing } else { Hidden::Other };
        };
        let last = rest.rsplit('/').next().unwrap_or(rest);
        let passing = last.starts_with(PROBE) || last.ends_with(".tmp");
        if let Some((write, _)) = rest.strip_prefix("staging/").and_then(|staged| staged.split_once('/')) {
            return if identity(write).is_some() { Hidden::Staged(write) } else { Hidden::Other };
        }
        let logged = name.strip_prefix(FILE_LOGS).and_then(|log| log.strip_prefix('/')?.rsplit_once('/'));
        match logged {
            Some(_) if passing => Hidden::Passing,
            Some((file, entry)) if EntryName::parse(entry) != EntryName::Other => Hidden::FileLog(file),
            None if passing && !rest.contains('/') => Hidden::Passing,
            Some(_) | None => Hidden::Other,
        }
    }
}

/// The single file whose log this hidden file is part of, if it is.
pub(super) fn file_with_log(name: &str) -> Option<&str> {
    match Hidden::of(name) {
        Hidden::FileLog(file) => Some(file),
        _ => None,
    }
}

impl Cleaner {
    fn run(mut self) -> Result<CleanReport> {
        let hidden = self.place.hidden()?;
        let (mut writes, mut files, mut passing) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for file in &hidden {
            match Hidden::of(&file.name) {
                Hidden::Staged(write) => writes.entry(write).or_insert_with(Vec::new).push(file),
                Hidden::FileLog(name) => _ = files.insert(name),
                Hidden::Passing => passing.push(file),
                Hidden::Other => {}
            }
        }
        // Single files leave no directory in which a file could be made; the clock of this machine has to do for them.
        let ages_matter = hidden.iter().any(|file| file.name.starts_with(HIDDEN_DIRECTORY));
        if ages_matter && !self.options.dry_run {
            self.read_clock()?;
        }
        let mut specs = Vec::new();
        for (write, staged) in writes {
            specs.extend(self.spec_of(write, &staged)?.map(|spec| (spec, staged)));
        }
        self.finish(&Log::of(&self.place))?;
        for name in files {
            self.finish(&Log::of_file(&self.place, name))?;
        }
        for (spec, staged) in specs {
            self.write(&spec, &staged)?;
        }
        for file in passing {
            self.passing(file)?;
        }
        Ok(self.report)
    }

    /// Files are as old as whoever keeps them says, whose clock may differ from ours: a write that is alive must not be
    /// taken for an old one because of that. So the time is taken from a file that is made just now. (Not in a dry run, which
    /// makes none.)
    fn read_clock(&mut self) -> Result<()> {
        let millis = unix_millis();
        let name = format!("{HIDDEN_DIRECTORY}/{PROBE}clock-{millis}");
        self.place.put(&name, b"")?;
        let hidden = self.place.hidden();
        self.place.remove(&name)?;
        let Some(made) = hidden?.into_iter().find(|file| file.name == name) else { return Ok(()) };
        let (there, now) = (made.modified, self.options.now);
        let here = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let moved = match there.duration_since(here) {
            Ok(ahead) => now.checked_add(ahead),
            Err(behind) => now.checked_sub(behind.duration()),
        };
        self.options.now = moved.unwrap_or(now);
        Ok(())
    }

    fn finish(&mut self, log: &Log) -> Result<()> {
        let pending = match self.options.dry_run {
            true => log.head()?.pending.is_some(),
            false => commit::finish_pending(&self.place, log)?,
        };
        self.report.finished += u64::from(pending);
        Ok(())
    }

    /// What one write has staged.
    fn write(&mut self, spec: &SinkSpec, staged: &[&HiddenFile]) -> Result<()> {
        let log = Log::for_write(&self.place, spec)?;
        let decided = log.find(&log.head()?, spec)?;
        let manifest = match decided {
            // It may have been decided since the log was brought to its end, by somebody who is about to move the files.
            Some(manifest) if !self.options.dry_run => {
                commit::carry_out(&self.place, &log, &manifest)?;
                manifest
            }
            Some(manifest) => manifest,
            None if !staged.iter().all(|file| self.is_old(file)) => {
                self.report.kept += staged.len() as u64;
                return Ok(());
            }
            None if self.options.dry_run => {
                self.report.aborted += 1;
                self.count(staged, None);
                return Ok(());
            }
            None => match commit::abort_in(&self.place, &log, spec)? {
                // It was alive, and has just decided for itself.
                manifest if manifest.decision == Decision::Publish => {
                    self.report.finished += 1;
                    return Ok(());
                }
                manifest => {
                    self.report.aborted += 1;
                    manifest
                }
            },
        };
        self.count(staged, Some(&manifest));
        if !self.options.dry_run {
            let prefix = format!("{HIDDEN_DIRECTORY}/staging/{}/", spec.identity());
            self.place.clear(&prefix, &manifest.files)?;
        }
        Ok(())
    }

    /// What is needed to know of a write to decide against it, unless its files have gone meanwhile.
    fn spec_of(&self, write: &str, staged: &[&HiddenFile]) -> Result<Option<SinkSpec>> {
        let (Some((job, statement, sink)), Some(first)) = (identity(write), staged.first()) else { return Ok(None) };
        let mut spec = SinkSpec {
            cluster: CLEANER.to_owned(),
            job,
            statement,
            sink,
            target: self.place.shown(""),
            layout: Layout::Directory,
            format: Format::default(),
            partition_by: vec![],
            gathers_partitions: false,
            mode: SinkMode::Append,
            replaces_all: false,
            target_file_bytes: 0,
            nonce: 0,
        };
        if self.place.local().is_none() {
            let Some(bytes) = self.place.read(&first.name)? else { return Ok(None) };
            let record = Record::parse(&bytes, &self.place.shown(&first.name))?;
            spec.layout = record.layout;
            if record.layout == Layout::SingleFile {
                spec.target = format!("{}/{}", spec.target, record.name);
            }
        }
        Ok(Some(spec))
    }

    fn passing(&mut self, file: &HiddenFile) -> Result<()> {
        if !self.is_old(file) {
            self.report.kept += 1;
            return Ok(());
        }
        if !self.options.dry_run {
            self.place.remove(&file.name)?;
        }
        self.report.files += 1;
        self.report.bytes += file.bytes;
        Ok(())
    }

    /// Counts staged files that go. What a manifest names is published, or will be: of an upload only its record goes.
    fn count(&mut self, staged: &[&HiddenFile], manifest: Option<&Manifest>) {
        let published: BTreeSet<&str> =
            manifest.into_iter().flat_map(|m| &m.files).map(|f| f.staged.as_str()).collect();
        for file in staged.iter().filter(|file| !published.contains(file.name.as_str())) {
            if self.place.local().is_some() {
                self.report.files += 1;
                self.report.bytes += file.bytes;
            } else {
                self.report.uploads += 1;
            }
        }
    }

    fn is_old(&self, file: &HiddenFile) -> bool {
        // A file from the future is as young as can be.
        self.options.now.duration_since(file.modified).unwrap_or_default() >= self.options.older_than
    }
}

/// Reads `<job>-<statement>-<sink>`.
fn identity(text: &str) -> Option<(u128, u32, u32)> {
    let mut parts = text.split('-');
    let job = parts.next().filter(|job| job.len() == 32).and_then(|job| u128::from_str_radix(job, 16).ok())?;
    let (statement, sink) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some((job, statement, sink))
}

/// Whether this is the name of a single file that is staged in a file system: `.<name>.<write>.<attempt>.staged`. Such a
/// file is published by renaming it: once it is gone, it is not.
fn is_staged_beside(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.strip_suffix(".staged")?.rsplit_once('.'));
    let Some((rest, attempt)) = parts else { return false };
    let written = rest.rsplit_once('.').and_then(|(_, write)| identity(write));
    written.is_some() && attempt.len() == 32 && attempt.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use windrow_common::AttemptId;

    use super::super::log::manifest;
    use super::super::place::LocalPlace;
    use super::super::staging::{Part, Staging};
    use super::super::written::WrittenFile;
    use super::*;

    #[test]
    fn what_is_decided_while_the_cleaner_looks_is_published_and_not_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let place: PlaceRef = Arc::new(LocalPlace::new(dir.path().to_owned()));
        let spec = SinkSpec::for_test(dir.path().to_str().unwrap());
        let staging = Staging::of(&spec, &*place).unwrap();
        let part = Part { attempt: AttemptId(9), directory: String::new(), partition: 0, index: 0 };
        let (staged, name) = (staging.staged(&part), staging.final_name(&part));
        std::fs::create_dir_all(dir.path().join(&staged).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(&staged), b"rows").unwrap();
        let hidden = place.hidden().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33);
        let options = CleanOptions { older_than: Duration::ZERO, now, dry_run: false };
        let mut cleaner = Cleaner { place: Arc::clone(&place), options, report: CleanReport::default() };
        // Nothing is pending when the cleaner looks at the log. Then the writer decides, and has not moved its file yet.
        let log = Log::of(&place);
        cleaner.finish(&log).unwrap();
        let file = WrittenFile { name: name.clone(), staged, rows: 1, bytes: 4, upload: None, inode: None };
        let decided = Manifest { files: vec![file], ..manifest(&spec, 1, Decision::Publish) };
        assert!(log.append(&decided).unwrap());
        cleaner.write(&spec, &hidden.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"rows");
        assert!(log.is_published(&decided).unwrap());
    }

    #[test]
    fn only_what_is_known_is_touched() {
        let write = format!("{:032x}-0-1", 5);
        let staged = format!("_windrow/staging/{write}/{:032x}/year=2024/part-00000-000.parquet", 7);
        assert_eq!(Hidden::of(&staged), Hidden::Staged(&write));
        let (marker, manifest) = (format!("{:020}-c-{write}.published", 1), format!("{:020}.manifest", 1));
        assert_eq!(Hidden::of(&format!("_windrow/files/x.parquet/{manifest}")), Hidden::FileLog("x.parquet"));
        assert_eq!(Hidden::of(&format!("_windrow/files/x.parquet/{marker}")), Hidden::FileLog("x.parquet"));
        let beside = format!(".x.parquet.{write}.{:032x}.staged", 9);
        for name in ["_windrow/probe-1", "_windrow/files/x/probe-1", "_windrow/a.manifest.0.tmp", beside.as_str()] {
            assert_eq!(Hidden::of(name), Hidden::Passing, "{name}");
        }
        let (manifest, marker) = (format!("_windrow/{manifest}"), format!("_windrow/{marker}"));
        for name in [
            manifest.as_str(),
            &marker,
            "_windrow/staging/mine/x.parquet",
            "_windrow/staging/x.tmp",
            "_windrow/own/probe-1",
            ".x.staged",
            ".x.5-0-1.9.staged",
            "_SUCCESS",
            "part.parquet",
            "_windrowed/probe-1",
        ] {
            assert_eq!(Hidden::of(name), Hidden::Other, "{name}");
        }
    }
}

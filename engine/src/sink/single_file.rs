//! A single file, `COPY … TO 'x.parquet'`: refused early, and published.
//!
//! *In a file system* the rename of the staged file is decision and publication in one: a staged file can be renamed
//! once only, so there is no log.
//!
//! *On an object store* the completion of the upload shows the file, whole and in one step, but decides nothing. It
//! cannot be made to fail when the file is there, so two writers that must not replace a file would both complete. And
//! from the answer "there is no such upload" nobody learns whether it was completed before, or aborted. So each file has
//! a log of decisions like a directory's, `_windrow/files/<name>/`: a writer looks at the file, decides with a manifest
//! that only one writer can create, and completes. Another one that looked at the same time finds its number taken,
//! helps the first to its end and looks again; then it replaces the first one's file or is refused. The manifest holds
//! what the file was before (its ETag and time), so whoever helps can tell the new file from the old one. Readers need no
//! manifest: they see the old file until the new one is there. What knows nothing of these logs and writes the same
//! object at the same moment may be overwritten, as with any store.
//!
//! On Azure two uploads of one name share their blocks: the first completion throws away what the other writer has sent.
//! That one has not decided then, for only one at a time has decided and not completed. Before it does, it notices that
//! the file is not what it was when the upload began, and is refused.

use windrow_common::{Error, ErrorKind, Result, SinkMode};

use super::commit::{PublishSummary, Step, Watch};
use super::place::{Found, Installed, LocalPlace, Place};
use super::spec::SinkSpec;
use super::staging::Staging;
use super::written::WrittenFile;

/// Looks whether the file may be written, and what is there: empty if there is nothing.
pub(super) fn refuse(place: &dyn Place, spec: &SinkSpec) -> Result<String> {
    let name = spec.file_name()?;
    let shown = place.shown(&name);
    let tag = match place.find(&name)? {
        Found::Directory => {
            return Err(Error::user(format!(
                "'{shown}' is a directory; write '{shown}/' to put files into it, or choose another name for a single \
                 file"
            )));
        }
        Found::File { .. } if spec.mode == SinkMode::ErrorIfExists => return Err(already_exists(&shown)),
        Found::File { tag, .. } => tag,
        Found::Nothing => String::new(),
    };
    match spec.mode {
        SinkMode::Append => Err(append()),
        SinkMode::ErrorIfExists | SinkMode::Overwrite => Ok(tag),
    }
}

/// The one file that there is to publish.
pub(super) fn one<'a>(staging: &Staging, files: &'a [WrittenFile]) -> Result<&'a WrittenFile> {
    let [file] = files else {
        let count = files.len();
        return Err(Error::internal(format!("a single file is published from one staged file, not from {count}")));
    };
    staging.part_of(file).map(|_| file)
}

/// Puts the staged file in its place in a file system.
pub(super) fn publish(
    place: &LocalPlace,
    spec: &SinkSpec,
    files: &[WrittenFile],
    watch: Watch<'_>,
) -> Result<PublishSummary> {
    let staging = Staging::of(spec, place)?;
    let file = one(&staging, files)?;
    let replace = match spec.mode {
        SinkMode::Append => return Err(append()),
        SinkMode::Overwrite => true,
        SinkMode::ErrorIfExists => false,
    };
    match place.install(file, replace)? {
        Installed::InPlace => {}
        Installed::Taken => return Err(already_exists(&place.shown(&file.name))),
    }
    watch(Step::Decided)?;
    place.sync()?;
    watch(Step::Published)?;
    super::commit::clear(place, &staging, files);
    watch(Step::Cleaned)?;
    Ok(PublishSummary { rows: file.rows, files: 1, bytes: file.bytes })
}

fn append() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "rows cannot be appended to a single Parquet file; write to a directory (a path that ends with '/')",
    )
}

fn already_exists(shown: &str) -> Error {
    let message = format!("'{shown}' exists; write OPTIONS (mode 'overwrite') to replace it");
    Error::new(ErrorKind::AlreadyExists, message)
}

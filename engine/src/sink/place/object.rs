//! A prefix of an object store.
//!
//! Stores may take a request and lose the answer. So nothing here believes an error: what was created is read back and
//! compared, and a file counts as published when it is there.

use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt, PutMode, PutPayload};
use tokio::runtime::Handle;
use windrow_common::{Error, ErrorKind, Result, limits};

use super::failure::failure;
use super::upload::{Begun, MAX_PARTS_IN_FLIGHT, UploadOutput, part_count};
use super::{EachFile, EachName, Found, HiddenFile, LocalPlace, Place, Record};
use crate::sink::output::{Receipt, Staged, block_on};
use crate::sink::spec::Layout;
use crate::sink::written::{Upload, WrittenFile};
use crate::sink::{HIDDEN_DIRECTORY, is_hidden};
use crate::stores::WritableStore;

/// Times that an object is created or an upload completed before an unclear answer is passed on.
const MAX_UNCLEAR_ANSWERS: u32 = 4;
/// Listed objects that are handed on at once.
const LISTED_AT_ONCE: usize = 1000;

/// A prefix of an object store.
#[derive(Clone, Debug)]
pub(in crate::sink) struct ObjectPlace {
    store: WritableStore,
}

impl ObjectPlace {
    /// The place that `store` names.
    pub(in crate::sink) fn new(store: WritableStore) -> Self {
        Self { store }
    }

    fn key(&self, name: &str) -> Result<Path> {
        let root = self.store.path.as_ref();
        let whole = if root.is_empty() || name.is_empty() { format!("{root}{name}") } else { format!("{root}/{name}") };
        Path::parse(&whole).map_err(|e| Error::user(format!("'{}' cannot be an object's name: {e}", self.shown(name))))
    }

    /// A key as a name in this place.
    fn name_of<'a>(&self, key: &'a Path) -> Option<&'a str> {
        let root = self.store.path.as_ref();
        if root.is_empty() { Some(key.as_ref()) } else { key.as_ref().strip_prefix(root)?.strip_prefix('/') }
    }

    fn failure(&self, doing: &str, name: &str, source: &StoreError) -> Error {
        failure(doing, &self.shown(name), source)
    }

    async fn head(&self, name: &str) -> Result<Option<ObjectMeta>> {
        match self.store.objects.head(&self.key(name)?).await {
            Ok(meta) => Ok(Some(meta)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure("read", name, &error)),
        }
    }

    /// The tag of what is there; empty if nothing is.
    async fn tag(&self, name: &str) -> Result<String> {
        Ok(self.head(name).await?.map(|meta| tag(&meta)).unwrap_or_default())
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let got = match self.store.objects.get(&self.key(name)?).await {
            Ok(result) => result.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure("read", name, &error)),
        }
    }

    async fn create(&self, name: &str, contents: &[u8]) -> Result<bool> {
        let key = self.key(name)?;
        let mut last = None;
        for attempt in 0..MAX_UNCLEAR_ANSWERS {
            if attempt > 0 {
                // Somebody else may be completing it just now.
                tokio::time::sleep(limits::COMMIT_BACKOFF * (1 << attempt)).await;
            }
            let payload = PutPayload::from(contents.to_vec());
            match self.store.objects.put_opts(&key, payload, PutMode::Create.into()).await {
                Ok(_) => return Ok(true),
                Err(error @ (StoreError::NotImplemented { .. } | StoreError::NotSupported { .. })) => {
                    let failed = self.failure("create, only if it is not there,", name, &error);
                    return Err(failed.context("this store cannot tell who comes first"));
                }
                Err(error) => last = Some(error),
            }
            // An error may come after the object did, and the object may be ours from an earlier try.
            if let Some(there) = self.get(name).await? {
                return Ok(there == contents);
            }
        }
        Err(last.map_or_else(|| Error::internal("no answer at all"), |e| self.failure("create", name, &e)))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        match self.store.objects.delete(&self.key(name)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failure("remove", name, &error)),
        }
    }

    fn begun(&self, staged: &str, name: &str, id: String) -> Result<Begun> {
        Ok(Begun {
            objects: Arc::clone(&self.store.objects),
            uploads: Arc::clone(&self.store.uploads),
            path: self.key(name)?,
            id,
            record: self.key(staged)?,
            shown: self.shown(name),
        })
    }

    async fn begin_upload(&self, staged: &str, name: &str, layout: Layout) -> Result<Begun> {
        let path = self.key(name)?;
        let created = self.store.uploads.create_multipart(&path).await;
        let id = created.map_err(|e| self.failure("begin to write", name, &e))?;
        let begun = self.begun(staged, name, id.clone())?;
        let shared = id.is_empty() && layout == Layout::SingleFile;
        let before = if shared { Some(self.tag(name).await?) } else { None };
        let record = Record { name: name.to_owned(), upload: id, layout, before }.encode()?;
        let recorded = match self.create(staged, &record).await {
            Ok(true) => return Ok(begun),
            // The record is of another upload, and stays.
            Ok(false) => Err(Error::internal(format!("'{}' is there already: its attempt runs twice", begun.shown))),
            Err(error) => Err(error),
        };
        let _ = self.store.uploads.abort_multipart(&path, &begun.id).await;
        recorded
    }

    async fn verify_one(&self, file: &WrittenFile) -> Result<()> {
        let upload = self.upload_of(file)?;
        let shown = self.shown(&file.name);
        let (sent, expected) = (upload.parts.len(), part_count(file.bytes));
        if upload.bytes != file.bytes || sent != expected {
            return Err(Error::io(format!(
                "'{shown}' came as {} bytes in {sent} parts, its writer reported {} bytes, which are {expected}",
                upload.bytes, file.bytes
            )));
        }
        let Some(bytes) = self.get(&file.staged).await? else { return Err(self.gone(file)) };
        let record = Record::parse(&bytes, &self.shown(&file.staged))?;
        if record.upload != upload.id || record.name != file.name {
            return Err(Error::internal(format!("'{}' is the record of another file", self.shown(&file.staged))));
        }
        match record.before {
            Some(before) if before != self.tag(&file.name).await? => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("'{shown}' was written by somebody else at the same time, who came first; write it again"),
            )),
            _ => Ok(()),
        }
    }

    fn upload_of<'a>(&self, file: &'a WrittenFile) -> Result<&'a Upload> {
        let missing = || Error::internal(format!("'{}' is to be published without an upload", self.shown(&file.name)));
        file.upload.as_ref().ok_or_else(missing)
    }

    fn gone(&self, file: &WrittenFile) -> Error {
        let shown = self.shown(&file.name);
        Error::io(format!("the upload of '{shown}' is gone; was it removed, or did the store give it up for its age?"))
    }

    /// Completes an upload, unless that has been done. One that somebody else completes at this moment may be gone, and
    /// its object not there yet: so an answer is final only when it has been the same for a while.
    async fn complete(&self, file: &WrittenFile, before: Option<&str>) -> Result<()> {
        let (upload, path) = (self.upload_of(file)?, self.key(&file.name)?);
        let mut last = None;
        for tries in 0..MAX_UNCLEAR_ANSWERS {
            if tries > 0 {
                tokio::time::sleep(limits::COMMIT_BACKOFF * 2u32.pow(tries)).await;
            }
            let parts = upload.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
            match self.store.uploads.complete_multipart(&path, &upload.id, parts).await {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            if self.is_in_place(file, before).await? {
                return Ok(());
            }
        }
        Err(match last {
            Some(StoreError::NotFound { .. }) | None => self.gone(file),
            Some(error) => failure("put into its place", &self.shown(&file.name), &error),
        })
    }

    async fn is_in_place(&self, file: &WrittenFile, before: Option<&str>) -> Result<bool> {
        let arrived = |meta: ObjectMeta| meta.size == file.bytes && before != Some(tag(&meta).as_str());
        Ok(self.head(&file.name).await?.is_some_and(arrived))
    }

    /// Whether a file cannot be published any more. If it seems so, its upload is aborted, so that nobody else can do it
    /// either. (On Azure uploads cannot be aborted; blocks that a store has thrown away do not come back there.)
    async fn is_lost(&self, file: &WrittenFile, before: Option<&str>) -> Result<bool> {
        match self.complete(file, before).await {
            Ok(()) => return Ok(false),
            Err(error) if error.kind == ErrorKind::User => return Err(error),
            Err(_) => {}
        }
        let upload = self.upload_of(file)?;
        match self.store.uploads.abort_multipart(&self.key(&file.name)?, &upload.id).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(self.failure("abort the upload of", &file.name, &error)),
        }
        Ok(!self.is_in_place(file, before).await?)
    }

    async fn clear_one(&self, staged: &str, published: &[WrittenFile]) -> Result<()> {
        // An upload that was completed is not aborted: stores have been seen to take the object with it.
        if published.iter().any(|file| file.staged == staged) {
            return self.delete(staged).await;
        }
        let Some(bytes) = self.get(staged).await? else { return Ok(()) };
        let record = Record::parse(&bytes, &self.shown(staged))?;
        let begun = self.begun(staged, &record.name, record.upload)?;
        begun.abort().await.map_err(|e| self.failure("abort the upload of", &record.name, &e))
    }

    async fn below(&self, directory: &str) -> Result<Vec<HiddenFile>> {
        let prefix = self.key(directory)?;
        let listed = self.store.objects.list(Some(&prefix)).map_err(|e| self.failure("list", directory, &e));
        let files = listed.try_filter_map(|meta| {
            let file = self.name_of(&meta.location).map(|name| HiddenFile {
                name: name.to_owned(),
                bytes: meta.size,
                modified: meta.last_modified.into(),
            });
            std::future::ready(Ok(file))
        });
        files.try_collect().await
    }
}

impl Place for ObjectPlace {
    fn shown(&self, name: &str) -> String {
        let root = self.store.shown.trim_end_matches('/');
        if name.is_empty() { root.to_owned() } else { format!("{root}/{name}") }
    }

    fn local(&self) -> Option<&LocalPlace> {
        None
    }

    fn is_there(&self) -> bool {
        true
    }

    fn refuse_file(&self) -> Result<()> {
        if self.store.path.is_root() {
            return Ok(());
        }
        // Some programs put an empty object where a directory is to be.
        match block_on(self.head(""))?? {
            Some(meta) if meta.size > 0 => Err(Error::user(format!(
                "'{}' is an object, not a directory; remove it or write somewhere else",
                self.shown("")
            ))),
            _ => Ok(()),
        }
    }

    /// There is nothing to make: a prefix is there with its first object.
    fn make_ready(&self) -> Result<()> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        true
    }

    /// Without a directory, only the decision in the log tells a late writer that it is late.
    fn remove_place(&self) -> Result<()> {
        Ok(())
    }

    fn visible(&self, seen: EachName<'_>) -> Result<()> {
        let mut listing = self.store.objects.list(Some(&self.store.path)).ready_chunks(LISTED_AT_ONCE);
        while let Some(chunk) = block_on(listing.next())? {
            for meta in chunk {
                let meta = meta.map_err(|e| self.failure("list", "", &e))?;
                if let Some(name) = self.name_of(&meta.location).filter(|name| is_shown(name)) {
                    seen(name)?;
                }
            }
        }
        Ok(())
    }

    fn names_in(&self, directory: &str) -> Result<Vec<String>> {
        let prefix = self.key(directory)?;
        let listed = block_on(self.store.objects.list_with_delimiter(Some(&prefix)))?;
        let objects = listed.map_err(|e| self.failure("list", directory, &e))?.objects;
        Ok(objects.iter().filter_map(|meta| meta.location.filename()).map(str::to_owned).collect())
    }

    fn hidden(&self) -> Result<Vec<HiddenFile>> {
        block_on(self.below(HIDDEN_DIRECTORY))?
    }

    fn find(&self, name: &str) -> Result<Found> {
        if let Some(meta) = block_on(self.head(name))?? {
            return Ok(Found::File { bytes: meta.size, tag: tag(&meta) });
        }
        let prefix = self.key(name)?;
        let mut below = self.store.objects.list(Some(&prefix));
        match block_on(below.try_next())?.map_err(|e| self.failure("list", name, &e))? {
            Some(_) => Ok(Found::Directory),
            None => Ok(Found::Nothing),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        block_on(self.get(name))?
    }

    fn create_once(&self, name: &str, contents: &[u8]) -> Result<bool> {
        block_on(self.create(name, contents))?
    }

    fn put(&self, name: &str, contents: &[u8]) -> Result<()> {
        let put = block_on(self.store.objects.put(&self.key(name)?, contents.to_vec().into()))?;
        put.map(drop).map_err(|e| self.failure("write", name, &e))
    }

    fn remove(&self, name: &str) -> Result<()> {
        block_on(self.delete(name))?
    }

    fn remove_replaced(&self, names: &[String], removed: EachName<'_>) -> Result<()> {
        let deletes = stream::iter(names).map(|name| async move { self.delete(name).await.map(|()| name) });
        let mut deletes = deletes.buffer_unordered(limits::COMMIT_CONCURRENCY);
        while let Some(name) = block_on(deletes.try_next())?? {
            removed(name)?;
        }
        Ok(())
    }

    fn begin(&self, staged: &str, name: &str, layout: Layout) -> Result<Staged> {
        let begun = block_on(self.begin_upload(staged, name, layout))??;
        let (path, receipt) = (PathBuf::from(&begun.shown), Receipt::with_lanes(MAX_PARTS_IN_FLIGHT));
        // There is a runtime: the upload was begun on it.
        let runtime = Handle::try_current().map_err(|e| Error::internal(e.to_string()))?;
        let output = Box::new(UploadOutput::new(begun, runtime, Arc::clone(&receipt)));
        Ok(Staged { output, path, receipt })
    }

    fn verify(&self, files: &[WrittenFile]) -> Result<()> {
        let checks = stream::iter(files).map(|file| self.verify_one(file));
        block_on(checks.buffer_unordered(limits::COMMIT_CONCURRENCY).try_collect())?
    }

    fn publish(&self, files: &[WrittenFile], before: Option<&str>, done: EachFile<'_>) -> Result<()> {
        let completions = stream::iter(files).map(|file| async move { (file, self.complete(file, before).await) });
        let mut completions = completions.buffer_unordered(limits::COMMIT_CONCURRENCY);
        while let Some((file, completed)) = block_on(completions.next())? {
            done(file, completed)?;
        }
        Ok(())
    }

    fn lost(&self, files: &[WrittenFile], before: Option<&str>) -> Result<Vec<String>> {
        let looks =
            stream::iter(files).map(|file| async move { self.is_lost(file, before).await.map(|is| (is, file)) });
        let found = looks.buffer_unordered(limits::COMMIT_CONCURRENCY);
        let lost = found.try_filter_map(|(is, file)| std::future::ready(Ok(is.then(|| file.name.clone()))));
        let mut lost: Vec<String> = block_on(lost.try_collect())??;
        lost.sort();
        Ok(lost)
    }

    /// What was begun and did not end aborts itself.
    fn discard(&self, _begun: &[String], ended: &[WrittenFile]) {
        let Ok(runtime) = Handle::try_current() else { return };
        for file in ended {
            let Some(upload) = &file.upload else { continue };
            if let Ok(begun) = self.begun(&file.staged, &file.name, upload.id.clone()) {
                begun.abort_later(&runtime);
            }
        }
    }

    fn clear(&self, prefix: &str, published: &[WrittenFile]) -> Result<()> {
        let clear = async {
            let staged = self.below(prefix.trim_end_matches('/')).await?;
            let clears = stream::iter(&staged).map(|file| self.clear_one(&file.name, published));
            clears.buffer_unordered(limits::COMMIT_CONCURRENCY).try_collect().await
        };
        block_on(clear)?
    }
}

/// Whether no part of a name is hidden.
fn is_shown(name: &str) -> bool {
    let (directories, file) = name.rsplit_once('/').unwrap_or(("", name));
    !is_hidden(file, false) && directories.split('/').all(|d| d.is_empty() || !is_hidden(d, true))
}

/// Changes whenever an object is written anew.
fn tag(meta: &ObjectMeta) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{} {} {}", meta.last_modified.to_rfc3339(), text(&meta.e_tag), text(&meta.version))
}

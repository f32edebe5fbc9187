//! An object store in memory that behaves as the real ones do where writers meet them: parts may come in any order, an
//! upload is completed once, Azure's uploads of one name share their blocks; and it fails where a test says so.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult,
};

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Anything that changes nothing.
    Read,
    /// An object, if it is not there.
    Create,
    /// An object.
    Put,
    /// No object.
    Delete,
    /// An upload.
    Begin,
    /// A part of an upload.
    Part,
    /// The end of an upload.
    Complete,
    /// No upload.
    Abort,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done.
    None,
    /// It is not done, and the answer is an error.
    Refused,
    /// It is done, and the answer is an error all the same.
    AnswerLost,
    /// What may be done only once is done again.
    DoneAgain,
    /// The store does not know it.
    Unknown,
    /// Another request is at it: the upload is gone, and the object not there yet.
    NotYet,
}

type Hook = Box<dyn FnMut(Op, &StorePath) -> Fault + Send>;
/// By object and upload: the parts that have come.
type Uploads = BTreeMap<(StorePath, MultipartId), BTreeMap<String, Bytes>>;

/// The store. Clones are the same store.
#[derive(Clone)]
pub struct TestStore {
    objects: InMemory,
    state: Arc<Mutex<State>>,
    /// Whether uploads have no ids of their own.
    azure: bool,
}

#[derive(Default)]
struct State {
    uploads: Uploads,
    next: u64,
    hook: Option<Hook>,
    /// How far its clock is behind ours.
    behind: Duration,
}

impl TestStore {
    /// An empty store.
    pub fn new(azure: bool) -> Self {
        Self { objects: InMemory::new(), state: Arc::default(), azure }
    }

    /// Asks `hook` about every request from now on.
    pub fn fail(&self, hook: impl FnMut(Op, &StorePath) -> Fault + Send + 'static) {
        self.lock().hook = Some(Box::new(hook));
    }

    /// Does everything from now on.
    pub fn heal(&self) {
        self.lock().hook = None;
    }

    /// Sets its clock back.
    pub fn set_behind(&self, behind: Duration) {
        self.lock().behind = behind;
    }

    /// Uploads that have been begun, and neither completed nor aborted.
    pub fn uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fault(&self, op: Op, path: &StorePath) -> Fault {
        self.lock().hook.as_mut().map_or(Fault::None, |hook| hook(op, path))
    }

    /// Does it, or not, and answers, or not.
    fn answer<T>(&self, op: Op, path: &StorePath, work: impl FnOnce(&mut State) -> StoreResult<T>) -> StoreResult<T> {
        match self.fault(op, path) {
            Fault::Refused | Fault::NotYet => Err(broken()),
            Fault::Unknown => Err(unknown()),
            Fault::AnswerLost => work(&mut self.lock()).and(Err(broken())),
            Fault::None | Fault::DoneAgain => work(&mut self.lock()),
        }
    }

    fn read<T>(&self, path: &StorePath, value: T) -> StoreResult<T> {
        self.answer(Op::Read, path, |_| Ok(value))
    }
}

fn broken() -> StoreError {
    StoreError::Generic { store: "test", source: "the connection broke".into() }
}

fn unknown() -> StoreError {
    StoreError::NotImplemented { operation: "this".into(), implementer: "test".into() }
}

fn no_upload(path: &StorePath) -> StoreError {
    StoreError::NotFound { path: path.to_string(), source: "NoSuchUpload".into() }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(
        &self,
        location: &StorePath,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> StoreResult<PutResult> {
        let op = if matches!(opts.mode, PutMode::Create) { Op::Create } else { Op::Put };
        let fault = self.fault(op, location);
        match fault {
            Fault::Refused | Fault::NotYet => return Err(broken()),
            Fault::Unknown => return Err(unknown()),
            Fault::DoneAgain => opts.mode = PutMode::Overwrite,
            Fault::None | Fault::AnswerLost => {}
        }
        let put = self.objects.put_opts(location, payload, opts).await;
        if fault == Fault::AnswerLost { put.and(Err(broken())) } else { put }
    }

    async fn put_multipart_opts(
        &self,
        _location: &StorePath,
        _opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(unknown())
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> StoreResult<GetResult> {
        self.read(location, ())?;
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &StorePath, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.read(location, ())?;
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<StorePath>>,
    ) -> BoxStream<'static, StoreResult<StorePath>> {
        let store = self.clone();
        let deletes = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                let fault = store.fault(Op::Delete, &location);
                if matches!(fault, Fault::Refused | Fault::Unknown) {
                    return Err(broken());
                }
                store.objects.delete(&location).await?;
                if fault == Fault::AnswerLost { Err(broken()) } else { Ok(location) }
            }
        });
        deletes.boxed()
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        match self.read(prefix.unwrap_or(&StorePath::ROOT), ()) {
            Ok(()) => {
                let behind = self.lock().behind;
                let listed = self.objects.list(prefix);
                listed.map_ok(move |meta| ObjectMeta { last_modified: meta.last_modified - behind, ..meta }).boxed()
            }
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> StoreResult<ListResult> {
        self.read(prefix.unwrap_or(&StorePath::ROOT), ())?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _from: &StorePath, _to: &StorePath, _options: CopyOptions) -> StoreResult<()> {
        Err(unknown())
    }
}

#[async_trait]
impl MultipartStore for TestStore {
    async fn create_multipart(&self, path: &StorePath) -> StoreResult<MultipartId> {
        let azure = self.azure;
        self.answer(Op::Begin, path, |state| {
            if azure {
                return Ok(String::new());
            }
            state.next += 1;
            let id = format!("upload-{}", state.next);
            state.uploads.insert((path.clone(), id.clone()), BTreeMap::new());
            Ok(id)
        })
    }

    async fn put_part(
        &self,
        path: &StorePath,
        id: &MultipartId,
        part_idx: usize,
        data: PutPayload,
    ) -> StoreResult<PartId> {
        let azure = self.azure;
        self.answer(Op::Part, path, |state| {
            state.next += 1;
            let content_id = format!("{part_idx}-{}", state.next);
            let key = (path.clone(), id.clone());
            if azure {
                state.uploads.entry(key.clone()).or_default();
            }
            let upload = state.uploads.get_mut(&key).ok_or_else(|| no_upload(path))?;
            upload.insert(content_id.clone(), data.into());
            Ok(PartId { content_id })
        })
    }

    async fn complete_multipart(
        &self,
        path: &StorePath,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> StoreResult<PutResult> {
        let fault = self.fault(Op::Complete, path);
        if matches!(fault, Fault::Refused | Fault::Unknown) {
            return Err(broken());
        }
        if fault == Fault::NotYet {
            return Err(no_upload(path));
        }
        let put = {
            let mut state = self.lock();
            let key = (path.clone(), id.clone());
            let found = state.uploads.get(&key).ok_or_else(|| no_upload(path))?;
            let mut bytes = Vec::new();
            for part in parts {
                // Azure calls this an invalid block list.
                bytes.extend_from_slice(found.get(&part.content_id).ok_or_else(broken)?);
            }
            state.uploads.remove(&key);
            // The upload goes and the object comes in one step; what is in memory is there at once.
            self.objects.put(path, bytes.into()).now_or_never().ok_or_else(broken)?
        };
        if fault == Fault::AnswerLost { put.and(Err(broken())) } else { put }
    }

    async fn abort_multipart(&self, path: &StorePath, id: &MultipartId) -> StoreResult<()> {
        let azure = self.azure;
        self.answer(Op::Abort, path, |state| {
            let aborted = azure || state.uploads.remove(&(path.clone(), id.clone())).is_some();
            if aborted { Ok(()) } else { Err(no_upload(path)) }
        })
    }
}

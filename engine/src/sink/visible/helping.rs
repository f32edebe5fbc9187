//! Bringing a decided write to its end before its files are read: what is staged as an upload cannot be read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, Result};
use windrow_common::Error;

use super::view::{View, generic};
use crate::sink::commit;
use crate::sink::place::ObjectPlace;
use crate::stores::WritableStore;

/// Times that a reader looks whether somebody else has brought a write to its end, when it cannot do that itself.
const MAX_LOOKS: u32 = 20;
/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// How a reader helps.
#[derive(Clone, Debug)]
pub(super) struct Helper {
    objects: Arc<dyn ObjectStore>,
    /// None: it only waits.
    uploads: Option<Uploads>,
}

/// Uploads of a store, and how people call it.
#[derive(Clone)]
struct Uploads {
    store: Arc<dyn MultipartStore>,
    shown: String,
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uploads({})", self.shown)
    }
}

impl Helper {
    /// One that waits for others to help.
    pub(super) fn waiting(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, uploads: None }
    }

    /// One that completes uploads; `shown` is the store as people write it: `s3://bucket`.
    pub(super) fn completing(objects: Arc<dyn ObjectStore>, store: Arc<dyn MultipartStore>, shown: String) -> Self {
        Self { objects, uploads: Some(Uploads { store, shown }) }
    }

    /// What readers see of these directories, none of which has decided files that cannot be read. Should be asked for
    /// as late as possible.
    pub(super) async fn settled(&self, roots: &BTreeSet<Path>) -> Result<View> {
        let mut looks = 0;
        loop {
            let view = View::read(&self.objects, roots).await?;
            let Some(root) = view.unreadable().cloned() else { return Ok(view) };
            let helped = match &self.uploads {
                Some(uploads) => self.complete(uploads, root.clone()).await,
                None => Err(Error::io("the store is read only")),
            };
            let Err(error) = helped else { continue };
            looks += 1;
            if looks > MAX_LOOKS {
                return Err(generic(Error::io(format!(
                    "a write to '/{root}' is decided, but not finished, and cannot be finished from here: {error}; run \
                     'windrow clean' on it with credentials that may write, or try again later"
                ))));
            }
            // Whoever decided it is most likely at work.
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn complete(&self, uploads: &Uploads, root: Path) -> windrow_common::Result<()> {
        let Uploads { store, shown } = uploads;
        let shown = if root.is_root() { shown.clone() } else { format!("{shown}/{root}") };
        let (objects, uploads) = (Arc::clone(&self.objects), Arc::clone(store));
        let place = ObjectPlace::new(WritableStore { objects, uploads, path: root, shown });
        commit::recover_place(Arc::new(place)).await.map(drop)
    }
}

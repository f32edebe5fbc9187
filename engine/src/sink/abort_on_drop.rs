//! Decides against a write that nobody waits for any more.

use std::sync::Arc;

use super::commit::{abort, abort_new};
use super::spec::SinkSpec;
use crate::stores::Stores;

/// Aborts a write when it is dropped, unless it was told to keep it.
#[derive(Debug)]
pub struct AbortOnDrop {
    stores: Arc<Stores>,
    spec: Option<SinkSpec>,
    /// Whether the directory goes with the write.
    new: bool,
}

impl AbortOnDrop {
    /// For this write. With `new`, it alone was to fill its directory, which then goes with it.
    pub fn new(stores: &Arc<Stores>, spec: &SinkSpec, new: bool) -> Self {
        Self { stores: Arc::clone(stores), spec: Some(spec.clone()), new }
    }

    /// Whoever comes next decides.
    pub fn keep(mut self) {
        self.spec = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let Some(spec) = self.spec.take() else { return };
        let aborting = if self.new { abort_new(&self.stores, &spec) } else { abort(&self.stores, &spec) };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Ends by itself: it removes a few files.
            runtime.spawn(async move {
                if let Err(error) = aborting.await {
                    tracing::warn!(%error, "what was written could not be removed");
                }
            });
        }
    }
}

//! The object stores that plans may name, the same on the coordinator and on every worker.

use std::sync::Arc;

use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;

use crate::sink::VisibleStore;

/// A runtime with our stores: local files, of which only published ones are seen.
pub fn runtime_builder() -> RuntimeEnvBuilder {
    let registry = DefaultObjectStoreRegistry::new();
    if let Ok(url) = url::Url::parse("file://") {
        registry.register_store(&url, Arc::new(VisibleStore::local()));
    }
    // A cached listing would show what was there before one of our own writes.
    RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(registry)).with_object_list_cache_limit(0)
}

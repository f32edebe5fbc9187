//! What plans are made and run in.

use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;

/// A runtime over these stores, the same on the coordinator and on every worker.
pub fn runtime_builder(stores: Arc<dyn ObjectStoreRegistry>) -> RuntimeEnvBuilder {
    // A cached listing would show what was there before one of our own writes.
    RuntimeEnvBuilder::new().with_object_store_registry(stores).with_object_list_cache_limit(0)
}

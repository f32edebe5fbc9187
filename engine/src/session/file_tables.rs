//! Files and directories as tables without a definition: `FROM 'path/x.parquet'`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{DynamicFileCatalog, TableProvider, UrlTableFactory};
use datafusion::datasource::dynamic_file::DynamicListTableFactory;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;

/// Makes tables of paths, and says in each error which path it was.
#[derive(Debug)]
struct FileTables(Arc<DynamicListTableFactory>);

#[async_trait]
impl UrlTableFactory for FileTables {
    async fn try_new(&self, url: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.0.try_new(url).await.map_err(|error| error.context(format!("'{url}'")))
    }
}

/// A session in which names that no catalog knows are tried as paths.
pub(super) fn with_file_tables(context: SessionContext) -> SessionContext {
    let factory = Arc::new(DynamicListTableFactory::default());
    let tables = Arc::new(FileTables(Arc::clone(&factory)));
    let state = context.state();
    let catalogs = Arc::new(DynamicFileCatalog::new(Arc::clone(state.catalog_list()), tables));
    let state = SessionStateBuilder::new_from_existing(state).with_catalog_list(catalogs).build();
    let context = SessionContext::new_with_state(state);
    factory.session_store().with_state(context.state_weak_ref());
    context
}

//! Files and directories as tables without a definition: `FROM 'path/*.parquet'`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::{DynamicFileCatalog, TableProvider, UrlTableFactory};
use datafusion::error::Result;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionContext;
use windrow_common::{Error, ErrorKind};

use super::external_table::without_columns;
use super::sink_plan::base_directory;
use crate::error::external;
use crate::files::{FilesRequest, files_table};
use crate::stores::Stores;

/// Makes tables of paths, and says in each error which path it was.
#[derive(Debug)]
struct FileTables {
    stores: Arc<Stores>,
    /// The session, which holds this.
    session: OnceLock<State>,
}

/// Looks at the state of a session that is still there.
struct State(Box<dyn Fn() -> Option<SessionState> + Send + Sync>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

#[async_trait]
impl UrlTableFactory for FileTables {
    async fn try_new(&self, url: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let base = base_directory().map_err(external)?;
        let looks_like_a_path = url.contains(['/', '*']) || crate::files::tells_a_format(url);
        let location = match self.stores.locate(url, &base) {
            Ok(location) => location,
            Err(error) if looks_like_a_path => return Err(external(error)),
            Err(_) => return Ok(None),
        };
        let Some(state) = self.session.get().and_then(|session| (session.0)()) else { return Ok(None) };
        let stores = Arc::clone(&self.stores);
        let request =
            FilesRequest { locations: vec![location], stores, name: url.to_owned(), ..FilesRequest::default() };
        match files_table(&state, request).await {
            Ok(table) if table.file_schema.fields().is_empty() => Err(external(without_columns(&format!("'{url}'")))),
            Ok(table) => Ok(Some(Arc::new(table))),
            // A name that no catalog knows: the planner says so, and what is like it.
            Err(Error { kind: ErrorKind::NotFound, .. }) if !looks_like_a_path => Ok(None),
            Err(error) if error.message.contains(url) => Err(external(error)),
            Err(error) => Err(external(error.context(format!("'{url}'")))),
        }
    }
}

/// A session in which names that no catalog knows are tried as paths.
pub(super) fn with_file_tables(context: SessionContext, stores: Arc<Stores>) -> SessionContext {
    let tables = Arc::new(FileTables { stores, session: OnceLock::new() });
    let state = context.state();
    let factory = Arc::clone(&tables) as Arc<dyn UrlTableFactory>;
    let catalogs = Arc::new(DynamicFileCatalog::new(Arc::clone(state.catalog_list()), factory));
    let state = SessionStateBuilder::new_from_existing(state).with_catalog_list(catalogs).build();
    let context = SessionContext::new_with_state(state);
    // Set once: nobody else has seen it yet.
    let session = context.state_weak_ref();
    let state = State(Box::new(move || Some(session.upgrade()?.read().clone())));
    let _ = tables.session.set(state);
    context
}

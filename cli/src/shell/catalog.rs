//! Asks the session for the names that completion offers, and hands them to the thread that reads lines.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow::Session;
use windrow_common::{Error, Result};

use super::names::Names;

/// Columns that are known at most; nobody completes among more.
const MOST_COLUMNS: usize = 100_000;
/// Functions that are known at most.
const MOST_FUNCTIONS: usize = 10_000;
/// How long the Tab key waits for names that are being asked for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The names, as far as they are known.
#[derive(Debug, Default)]
pub struct Catalog {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct State {
    names: Arc<Names>,
    /// Whether nothing has changed them since they were asked for.
    fresh: bool,
}

impl Catalog {
    /// The names; waits a little for those that are being asked for.
    pub fn names(&self) -> Arc<Names> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(state, PATIENCE, |state| !state.fresh);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.names)
    }

    /// Whether the names must be asked for.
    pub fn is_outdated(&self) -> bool {
        !self.state.lock().unwrap_or_else(PoisonError::into_inner).fresh
    }

    /// A statement may have changed the names.
    pub fn outdate(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).fresh = false;
    }

    /// Takes what [`load`] gave. Where that failed the old names stay: the next statement will say what is wrong.
    pub fn tell(&self, names: Result<Names>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match names {
            Ok(names) => state.names = Arc::new(names),
            Err(error) => tracing::debug!("no names for completion: {error}"),
        }
        state.fresh = true;
        self.told.notify_all();
    }
}

/// Whether a statement may change names.
pub fn changes_names(statement: &str) -> bool {
    let first = super::words::words(statement).into_iter().next();
    first.is_some_and(|word| ["CREATE", "DROP", "ALTER", "SET"].iter().any(|keyword| word.is(keyword)))
}

/// Asks the session for its names. Those with control characters are left out: the editor would pass them on to the
/// terminal.
pub async fn load(session: &Session) -> Result<Names> {
    let mut names = Names::default();
    let columns = format!(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns \
         ORDER BY table_schema, table_name, ordinal_position LIMIT {MOST_COLUMNS}"
    );
    for row in texts(session, &columns).await? {
        if let [schema, table, column] = row.as_slice()
            && !row.iter().any(|name| name.contains(char::is_control))
        {
            names.add_column(schema, table, column);
        }
    }
    let functions = format!(
        "SELECT DISTINCT routine_name FROM information_schema.routines ORDER BY routine_name LIMIT {MOST_FUNCTIONS}"
    );
    // Names of tables are worth having without them.
    for row in texts(session, &functions).await.unwrap_or_default() {
        let name = row.first().filter(|name| !name.contains(char::is_control));
        name.into_iter().for_each(|name| names.add_function(name));
    }
    Ok(names)
}

async fn texts(session: &Session, sql: &str) -> Result<Vec<Vec<String>>> {
    let (batches, _) = session.execute(sql).await?.collect().await?;
    let failed = |error| Error::internal(format!("a name is no text: {error}"));
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_change_names_and_queries_do_not() {
        for (statement, changes) in [
            ("CREATE TABLE t AS SELECT 1", true),
            ("-- first\ndrop view v", true),
            ("SELECT 'create'", false),
            ("", false),
        ] {
            assert_eq!(changes_names(statement), changes, "{statement}");
        }
    }

    #[test]
    fn names_stay_until_newer_ones_are_told() {
        let catalog = Catalog::default();
        assert!(catalog.is_outdated());
        let mut names = Names::default();
        names.add_function("abs");
        catalog.tell(Ok(names.clone()));
        catalog.outdate();
        catalog.tell(Err(Error::unavailable("gone")));
        assert!(!catalog.is_outdated());
        assert_eq!(*catalog.names(), names);
    }
}

//! What can be known of a statement from its text alone, before anything is run.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use windrow_common::{Result, limits};

use super::text_depth;
use crate::error::classify;

/// Whether a statement gives rows to whoever runs it; an error if it cannot be parsed. What `EXECUTE` gives is known only
/// when it runs.
pub fn gives_rows(sql: &str) -> Result<bool> {
    text_depth::check(sql)?;
    // Whoever asks has a stack for serving connections.
    stacker::maybe_grow(limits::THREAD_STACK_BYTES, limits::PLAN_STACK_BYTES, || parsed_gives_rows(sql))
}

fn parsed_gives_rows(sql: &str) -> Result<bool> {
    let mut parser = DFParserBuilder::new(sql).build().map_err(|e| classify(&e))?;
    let statement = parser.parse_statement().map_err(|e| classify(&e))?;
    Ok(match statement {
        Statement::Statement(statement) => matches!(
            *statement,
            ast::Statement::Query(_)
                | ast::Statement::Explain { .. }
                | ast::Statement::ExplainTable { .. }
                | ast::Statement::ShowTables { .. }
                | ast::Statement::ShowColumns { .. }
                | ast::Statement::ShowVariable { .. }
                | ast::Statement::ShowVariables { .. }
                | ast::Statement::ShowFunctions { .. }
                | ast::Statement::ShowCreate { .. }
                | ast::Statement::ShowDatabases { .. }
                | ast::Statement::ShowSchemas { .. }
                | ast::Statement::ShowViews { .. }
        ),
        Statement::Explain(_) => true,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_give_rows_and_writes_and_definitions_do_not() {
        for sql in ["SELECT 1", "VALUES (1)", "WITH a AS (SELECT 1) SELECT * FROM a", "EXPLAIN SELECT 1", "SHOW TABLES"]
        {
            assert!(gives_rows(sql).unwrap(), "{sql}");
        }
        for sql in [
            "COPY (SELECT 1) TO '/x'",
            "INSERT INTO t SELECT 1",
            "CREATE TABLE t AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/x'",
            "SET a.b = 1",
            "DROP TABLE t",
        ] {
            assert!(!gives_rows(sql).unwrap(), "{sql}");
        }
        assert!(gives_rows("SELEC 1").unwrap_err().message.contains("syntax"));
    }
}

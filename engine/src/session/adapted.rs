//! Parsed statements, made into what DataFusion's planner understands: what it refuses is taken out and told beside, and
//! what it would guess is said.

use std::path::Path;

use datafusion::sql::parser::{CopyToStatement, Statement as Parsed};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use windrow_common::{Error, Result};

use super::table_storage::TableStorage;
use crate::sink::FormatName;

/// What was taken out of a statement.
#[derive(Debug, Default)]
pub(super) struct Adapted {
    /// Whether TEMPORARY stood before TABLE.
    pub(super) temporary: bool,
    /// How the rows of CREATE TABLE AS are to be stored.
    pub(super) storage: Option<TableStorage>,
}

/// Takes out what DataFusion's planner refuses, and says what it would guess.
pub(super) fn adapt(statement: &mut Parsed) -> Result<Adapted> {
    match statement {
        Parsed::CopyTo(copy) => adapt_copy(copy)?,
        Parsed::Explain(explain) => {
            if let Parsed::CopyTo(copy) = explain.statement.as_mut() {
                adapt_copy(copy)?;
            }
        }
        Parsed::Statement(statement) => {
            if let Sql::CreateTable(create) = statement.as_mut() {
                let temporary = std::mem::take(&mut create.temporary);
                return Ok(Adapted { temporary, storage: TableStorage::take(create)? });
            }
        }
        _ => {}
    }
    Ok(Adapted::default())
}

/// The planner takes a format that it does not know for none, and then goes by the last extension alone.
fn adapt_copy(copy: &mut CopyToStatement) -> Result<()> {
    let name = match &copy.stored_as {
        Some(text) => FormatName::of_statement(text)?,
        None => {
            let file = Path::new(&copy.target).file_name().and_then(|name| name.to_str());
            file.and_then(FormatName::of_file).ok_or_else(|| {
                let target = &copy.target;
                Error::user(format!(
                    "'{target}' does not say in which format to write; say STORED AS PARQUET, CSV, TSV, JSON, ARROW, \
                     ARROWS or AVRO, or name a file ('name.parquet')"
                ))
            })?
        }
    };
    copy.stored_as = Some(name.text().to_ascii_uppercase());
    copy.partitioned_by.iter_mut().for_each(|column| *column = unquoted(column));
    Ok(())
}

/// An identifier as it is written, as a name: of small letters unless it was quoted.
fn unquoted(written: &str) -> String {
    let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => inner.replace("\"\"", "\""),
        None => written.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_those_of_sql() {
        assert_eq!(unquoted("Year"), "year");
        assert_eq!(unquoted("\"Year\""), "Year");
        assert_eq!(unquoted("\"a\"\"b\""), "a\"b");
    }
}

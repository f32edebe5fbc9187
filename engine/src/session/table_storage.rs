//! How the rows of `CREATE TABLE … AS` are stored.
//!
//! ```sql
//! CREATE TABLE t WITH (format = 'csv', partitioned_by = 'year, month', compression = 'gzip') AS SELECT …
//! CREATE TABLE t PARTITIONED BY (year, month) STORED AS AVRO AS SELECT …
//! ```
//!
//! The parser knows both ways of saying it, of `STORED AS` only the formats that Hive names; DataFusion's planner refuses
//! both. So it is taken out of the statement here.

use datafusion::sql::sqlparser::ast::{
    CreateTable, CreateTableOptions, DataType, Expr, HiveDistributionStyle, HiveIOFormat, Ident, SqlOption, Value,
};
use windrow_common::{Error, Result};

use crate::sink::{Format, FormatName, SinkOptions};

/// What a statement says of how its table is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableStorage {
    format: Option<FormatName>,
    partitioned_by: Vec<String>,
    options: Vec<(String, String)>,
}

impl TableStorage {
    /// Takes it out of a statement; none if that says nothing.
    pub(super) fn take(create: &mut CreateTable) -> Result<Option<Self>> {
        let mut storage = Self::default();
        if let HiveDistributionStyle::PARTITIONED { columns } = &create.hive_distribution {
            for column in columns {
                if column.data_type != DataType::Unspecified || !column.options.is_empty() {
                    let name = &column.name;
                    return Err(Error::user(format!(
                        "PARTITIONED BY of CREATE TABLE AS takes columns of the query by their names: say ({name})"
                    )));
                }
                storage.partitioned_by.push(name_of(&column.name));
            }
            create.hive_distribution = HiveDistributionStyle::NONE;
        }
        if let Some(hive) = &mut create.hive_formats
            && let Some(HiveIOFormat::FileFormat { format }) = &hive.storage
        {
            storage.say_format(&format.to_string())?;
            hive.storage = None;
        }
        if let CreateTableOptions::With(options) | CreateTableOptions::Options(options) = &create.table_options {
            for option in options {
                storage.say(option)?;
            }
            create.table_options = CreateTableOptions::None;
        }
        Ok((storage != Self::default()).then_some(storage))
    }

    /// As a write has it: its options, and the columns by which it is partitioned.
    pub(super) fn options(self) -> Result<(SinkOptions, Vec<String>)> {
        let format = self.format.map_or_else(Format::default, Format::of);
        let said = self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let options = SinkOptions::parse(format, said)?;
        if options.mode.is_some() {
            return Err(Error::user("option 'mode' is not for CREATE TABLE AS; say CREATE OR REPLACE TABLE"));
        }
        Ok((options, self.partitioned_by))
    }

    fn say_format(&mut self, text: &str) -> Result<()> {
        let name = FormatName::of_statement(text.strip_suffix("FILE").filter(|t| *t == "JSON").unwrap_or(text))?;
        match self.format.replace(name) {
            Some(other) if other != name => Err(Error::user(format!(
                "the statement says two formats, {} and {}; say one of them",
                other.text(),
                name.text()
            ))),
            _ => Ok(()),
        }
    }

    fn say(&mut self, option: &SqlOption) -> Result<()> {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(Error::user(format!("the option {option} has no value; say name = 'value'")));
        };
        match key.value.to_ascii_lowercase().as_str() {
            "format" | "stored_as" => self.say_format(&text_of(key, value)?),
            "partitioned_by" | "partition_by" => {
                if !self.partitioned_by.is_empty() {
                    return Err(Error::user("the statement says twice by which columns the table is partitioned"));
                }
                self.partitioned_by = match value {
                    Expr::Array(array) => array.elem.iter().map(|name| text_of(key, name)).collect::<Result<_>>()?,
                    one => text_of(key, one)?.split(',').map(|name| name.trim().to_owned()).collect(),
                };
                Ok(())
            }
            _ => {
                self.options.push((key.value.clone(), text_of(key, value)?));
                Ok(())
            }
        }
    }
}

fn text_of(key: &Ident, value: &Expr) -> Result<String> {
    match value {
        Expr::Identifier(name) => Ok(name_of(name)),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Ok(text.clone()),
            Value::DoubleQuotedString(text) => Ok(text.clone()),
            Value::Number(text, _) => Ok(text.to_string()),
            Value::Boolean(value) => Ok(value.to_string()),
            other => Err(Error::user(format!("option '{key}' cannot be {other}; it takes a text or a number"))),
        },
        other => Err(Error::user(format!("option '{key}' cannot be {other}; it takes a text or a number"))),
    }
}

/// As SQL reads a name: of small letters unless it is quoted.
fn name_of(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::{DFParser, Statement as Parsed};
    use datafusion::sql::sqlparser::ast::Statement as Sql;
    use windrow_common::ByteSize;

    use super::*;

    fn storage(between: &str) -> Result<Option<TableStorage>> {
        let sql = format!("CREATE TABLE t {between} AS SELECT 1 AS a, 2 AS b");
        let mut statements = DFParser::parse_sql(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let Some(Parsed::Statement(statement)) = statements.pop_front() else { panic!("{sql}") };
        let Sql::CreateTable(mut create) = *statement else { panic!("{sql}") };
        let storage = TableStorage::take(&mut create)?;
        assert_eq!(create.table_options, CreateTableOptions::None, "{sql}");
        assert_eq!(create.hive_distribution, HiveDistributionStyle::NONE, "{sql}");
        Ok(storage)
    }

    #[test]
    fn it_is_said_as_hive_or_as_trino_says_it() {
        assert_eq!(storage("").unwrap(), None);
        let (options, partitioned_by) =
            storage("WITH (format = 'csv', partitioned_by = 'b', target_file_size = '1MiB', header = false)")
                .unwrap()
                .unwrap()
                .options()
                .unwrap();
        assert_eq!((options.format.name(), options.target_file_bytes), (FormatName::Csv, ByteSize::mib(1).0));
        assert_eq!(partitioned_by, ["b"]);
        let Format::Csv(csv) = options.format else { panic!("{:?}", options.format) };
        assert!(!csv.header);
        for text in ["PARTITIONED BY (B) STORED AS AVRO", "WITH (format = avro, partitioned_by = ARRAY['b'])"] {
            let (options, partitioned_by) = storage(text).unwrap().unwrap().options().unwrap();
            assert_eq!((options.format.name(), partitioned_by), (FormatName::Avro, vec!["b".to_owned()]), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let says = |text: &str| storage(text).and_then(|s| s.unwrap_or_default().options()).unwrap_err().message;
        assert!(says("STORED AS AVRO WITH (format = 'csv')").contains("two formats"));
        assert!(says("STORED AS ORC").contains("PARQUET"));
        assert!(says("PARTITIONED BY (b INT)").contains("say (b)"));
        assert!(says("WITH (mode = 'append')").contains("CREATE OR REPLACE"));
        assert!(says("WITH (format = 'csv', row_group_rows = 5)").contains("means nothing for csv"));
    }
}

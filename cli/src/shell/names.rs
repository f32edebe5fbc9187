//! The names that completion knows: schemas, tables, columns, functions. What it does not do: ask for them.

use std::collections::BTreeMap;

use super::words::is_word;

/// Known names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    tables: BTreeMap<(String, String), Vec<String>>,
    functions: Vec<String>,
}

/// The schema in which names are looked for that have none.
const DEFAULT_SCHEMA: &str = "public";

impl Names {
    /// Adds a column, behind those of its table that are there.
    pub fn add_column(&mut self, schema: &str, table: &str, column: &str) {
        self.tables.entry((schema.to_owned(), table.to_owned())).or_default().push(column.to_owned());
    }

    /// Adds a function.
    pub fn add_function(&mut self, name: &str) {
        self.functions.push(name.to_owned());
    }

    /// The tables that need no schema in front.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables_of(DEFAULT_SCHEMA)
    }

    /// The tables of a schema.
    pub fn tables_of(&self, schema: &str) -> impl Iterator<Item = &str> {
        self.tables.keys().filter(move |(of, _)| of == schema).map(|(_, table)| table.as_str())
    }

    /// The schemas that have tables.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        self.tables
            .keys()
            .map(|(schema, _)| schema.as_str())
            .filter(move |schema| last.replace(*schema) != Some(*schema))
    }

    /// The columns of a table in their order; none if there is no such table.
    pub fn columns(&self, schema: Option<&str>, table: &str) -> &[String] {
        let key = (schema.unwrap_or(DEFAULT_SCHEMA).to_owned(), table.to_owned());
        self.tables.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The columns of all tables that need no schema in front, each name once.
    pub fn all_columns(&self) -> Vec<&str> {
        let tables = self.tables.iter().filter(|((schema, _), _)| schema == DEFAULT_SCHEMA);
        let mut all: Vec<&str> = tables.flat_map(|(_, columns)| columns).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
    }
}

/// A name as it must be written to be understood: in quotes unless it is plain and in lower case.
pub fn written(name: &str) -> String {
    let plain = !name.is_empty()
        && name.chars().all(|c| is_word(c) && !c.is_uppercase())
        && !name.starts_with(|c: char| c.is_numeric());
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_belong() {
        let mut names = Names::default();
        names.add_column("public", "t", "b");
        names.add_column("public", "t", "a");
        names.add_column("other", "u", "c");
        assert_eq!(names.tables().collect::<Vec<_>>(), ["t"]);
        assert_eq!(names.schemas().collect::<Vec<_>>(), ["other", "public"]);
        assert_eq!(names.tables_of("other").collect::<Vec<_>>(), ["u"]);
        assert_eq!(names.columns(None, "t"), ["b", "a"]);
        assert_eq!(names.columns(Some("other"), "u"), ["c"]);
        assert!(names.columns(None, "u").is_empty());
        assert_eq!(names.all_columns(), ["a", "b"]);
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, expected) in
            [("a_1", "a_1"), ("A", "\"A\""), ("1a", "\"1a\""), ("a b", "\"a b\""), ("a\"b", "\"a\"\"b\"")]
        {
            assert_eq!(written(name), expected);
        }
    }
}

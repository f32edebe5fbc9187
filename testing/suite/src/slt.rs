//! Reads sqllogictest files: statements and queries with the answers that are expected.
//!
//! ```text
//! # a comment
//! statement ok                     statement error TEXT: an error whose message holds TEXT
//! CREATE VIEW v AS SELECT 1
//!
//! query IT rowsort distributed     one letter a column; the order of the rows; several workers must have run it
//! SELECT a, b FROM t
//! ----
//! 1 x                              a line a row, a space between columns; NULL, (empty)
//!
//! # known: why                     it fails now; `known on workers` if on several workers only: ours, as is the next
//! explained TEXT                   an answer in which TEXT stands somewhere
//! EXPLAIN SELECT 1
//! ```

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name, without the ending.
    pub name: String,
    /// What it holds, in order.
    pub records: Vec<Record>,
}

/// A statement and what it must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// The statement.
    pub sql: String,
    /// What it must do.
    pub expected: Expected,
    /// Where it is known to fail.
    pub known: Known,
}

/// Where a record is known to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// Nowhere.
    #[default]
    Right,
    /// On several workers.
    WrongOnWorkers,
    /// Everywhere.
    Wrong,
}

/// What a statement must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Succeed.
    Ok,
    /// Fail with a message that holds this text, whatever its case.
    Error(String),
    /// Give these rows.
    Rows {
        /// Columns of each.
        columns: usize,
        /// The rows, in their order unless `sorted`.
        rows: Vec<String>,
        /// Whether the rows are compared as a sorted list.
        sorted: bool,
        /// Whether tasks must have run on several workers.
        distributed: bool,
    },
    /// Give an answer in which this text stands.
    Contains(String),
}

impl Script {
    /// Reads a file.
    pub fn parse(name: &str, text: &str) -> Result<Script, String> {
        let mut records = Vec::new();
        let mut block: Vec<(usize, &str)> = Vec::new();
        for (index, line) in text.lines().chain([""]).enumerate() {
            if !line.trim().is_empty() {
                block.push((index + 1, line));
                continue;
            }
            let (notes, lines): (Vec<_>, Vec<_>) =
                std::mem::take(&mut block).into_iter().partition(|(_, l)| l.starts_with('#'));
            if let Some((line, head)) = lines.first() {
                let body: Vec<&str> = lines[1..].iter().map(|(_, line)| *line).collect();
                let record = record(*line, head, &body).map_err(|error| format!("{name}.slt:{line}: {error}"))?;
                records.push(Record { known: known(&notes), ..record });
            }
        }
        Ok(Script { name: name.to_owned(), records })
    }
}

fn known(notes: &[(usize, &str)]) -> Known {
    let has = |start: &str| notes.iter().any(|(_, note)| note.starts_with(start));
    if has("# known: ") {
        Known::Wrong
    } else if has("# known on workers: ") {
        Known::WrongOnWorkers
    } else {
        Known::Right
    }
}

fn record(line: usize, head: &str, body: &[&str]) -> Result<Record, String> {
    let cut = body.iter().position(|line| *line == "----");
    let sql = body[..cut.unwrap_or(body.len())].join("\n");
    let (kind, rest) = head.split_once(' ').unwrap_or((head, ""));
    let expected = match kind {
        "statement" if rest == "ok" => Expected::Ok,
        "statement" => Expected::Error(rest.strip_prefix("error").ok_or("neither ok nor error")?.trim().to_owned()),
        "explained" => Expected::Contains(rest.to_owned()),
        "query" => {
            let cut = cut.ok_or("a query without ----")?;
            let mut words = rest.split(' ');
            let columns = words.next().unwrap_or_default().len();
            let (mut sorted, mut distributed) = (false, false);
            for word in words {
                match word {
                    "nosort" => {}
                    "rowsort" => sorted = true,
                    "distributed" => distributed = true,
                    other => return Err(format!("unknown word {other}")),
                }
            }
            let mut rows: Vec<String> = body[cut + 1..].iter().map(|row| (*row).to_owned()).collect();
            if sorted {
                rows.sort();
            }
            Expected::Rows { columns, rows, sorted, distributed }
        }
        other => return Err(format!("unknown record {other}")),
    };
    if sql.is_empty() {
        Err("nothing to run".to_owned())
    } else {
        Ok(Record { line, sql, expected, known: Known::Right })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let text = "# about\nstatement ok\nSET a = 1\n\nquery IT rowsort distributed\nSELECT 1,\n# no\n2\n----\nb 2\na 1\n\n\n\
                    # known: so\nstatement error no such\nSELECT x\n\n# known on workers: so\nexplained Shuffle\nEXPLAIN SELECT 1\n\nquery I\nSELECT 1 WHERE false\n----\n";
        let script = Script::parse("s", text).unwrap();
        let rows = |rows: &[&str], columns, sorted| Expected::Rows {
            columns,
            rows: rows.iter().map(|row| (*row).to_owned()).collect(),
            sorted,
            distributed: sorted,
        };
        let expected = [
            (2, "SET a = 1", Expected::Ok, Known::Right),
            (5, "SELECT 1,\n2", rows(&["a 1", "b 2"], 2, true), Known::Right),
            (15, "SELECT x", Expected::Error("no such".to_owned()), Known::Wrong),
            (19, "EXPLAIN SELECT 1", Expected::Contains("Shuffle".to_owned()), Known::WrongOnWorkers),
            (22, "SELECT 1 WHERE false", rows(&[], 1, false), Known::Right),
        ];
        let expected =
            expected.map(|(line, sql, expected, known)| Record { line, sql: sql.to_owned(), expected, known });
        assert_eq!(script.records, expected);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        for (text, error) in [
            ("\nquery I\nSELECT 1\n", "s.slt:2: a query without ----"),
            ("query I fast\nSELECT 1\n----\n", "s.slt:1: unknown word fast"),
            ("statement\nSELECT 1\n", "s.slt:1: neither"),
            ("quarry\nSELECT 1\n", "s.slt:1: unknown record quarry"),
            ("statement ok\n", "s.slt:1: nothing to run"),
        ] {
            assert!(Script::parse("s", text).unwrap_err().starts_with(error), "{text}");
        }
    }
}

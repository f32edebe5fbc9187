//! How rows leave: as a table for people, as CSV, JSON or Arrow for programs. Rows go out as they come.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::ValueEnum;
use windrow_common::{Error, Result};

use crate::stdout::{Closed, Out, terminal_width};

mod arrow_stream;
mod csv;
pub mod expanded;
mod json;
pub mod table;
mod text;

/// The shapes in which rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns; on a terminal cut to its width
    Table,
    /// Comma-separated values with a header; NULL is an empty field
    Csv,
    /// One JSON object a row and line
    Json,
    /// Arrow IPC stream (binary)
    Arrow,
}

/// What is known when the last row is out.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Rows printed.
    pub rows: u64,
    /// Wall time of the statement, if it is to be told.
    pub elapsed: Option<Duration>,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rows {
            1 => f.write_str("1 row")?,
            rows => write!(f, "{rows} rows")?,
        }
        self.elapsed.map_or(Ok(()), |elapsed| write!(f, ", {:.3} s", elapsed.as_secs_f64()))
    }
}

/// Where rows go.
pub type Destination = Box<dyn Write>;

/// How rows look that are for people.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The width to fit on a terminal; in a pipe or file there is none, and nothing is cut or counted.
    pub terminal: Option<usize>,
    /// How NULL is written; no wider than `NULL`.
    pub null: &'static str,
    /// How one gets to see the columns for which a table has no room.
    pub all_columns: &'static str,
}

impl Look {
    /// As a command prints rows, on a terminal or not.
    pub fn of_stdout() -> Look {
        Look { terminal: terminal_width(), null: "NULL", all_columns: "--format csv" }
    }
}

/// Takes the rows of one statement.
pub trait RowSink {
    /// Takes some rows.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Says that these were all.
    fn finish(&mut self, summary: Summary) -> Result<()>;
}

impl Format {
    /// What `--format` is when it is not given: a table on a terminal, CSV in a pipe or file.
    pub fn default_for_stdout() -> Format {
        if std::io::stdout().is_terminal() { Format::Table } else { Format::Csv }
    }

    /// Refuses what would only upset a terminal.
    pub fn check(self) -> Result<()> {
        if self == Format::Arrow && std::io::stdout().is_terminal() {
            return Err(Error::user(
                "--format arrow is binary and stdout is a terminal; write it to a file: windrow sql … > rows.arrows",
            ));
        }
        Ok(())
    }

    /// A sink on standard output for the rows of one statement. A statement without columns prints none.
    pub fn sink(self, schema: SchemaRef, closed: &Closed) -> Result<Box<dyn RowSink>> {
        if schema.fields().is_empty() {
            return Ok(Box::new(Nothing { on_terminal: terminal_width().is_some() }));
        }
        self.sink_to(schema, Look::of_stdout(), Box::new(Out::new(closed)))
    }

    /// A sink for the rows of one statement somewhere else.
    pub fn sink_to(self, schema: SchemaRef, look: Look, out: Destination) -> Result<Box<dyn RowSink>> {
        Ok(match self {
            Format::Table => Box::new(table::TableSink::new(schema, look, out)),
            Format::Csv => Box::new(csv::CsvSink::new(schema, out)),
            Format::Json => Box::new(json::JsonSink::new(out)),
            Format::Arrow => Box::new(arrow_stream::ArrowSink::new(schema, out)?),
        })
    }
}

/// For statements that have no columns, such as `SET`.
struct Nothing {
    on_terminal: bool,
}

impl RowSink for Nothing {
    fn write(&mut self, _batch: &RecordBatch) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, summary: Summary) -> Result<()> {
        if self.on_terminal {
            crate::stdout::say(&done(summary));
        }
        Ok(())
    }
}

/// What is said of a statement that has no columns.
pub fn done(summary: Summary) -> String {
    summary.elapsed.map_or_else(|| "OK".to_owned(), |elapsed| format!("OK ({:.3} s)", elapsed.as_secs_f64()))
}

/// The error of a write that failed.
fn failed(error: impl std::fmt::Display) -> Error {
    Error::io(format!("cannot write rows: {error}"))
}

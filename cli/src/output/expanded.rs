//! Rows one below the other, a line for each column: for rows that are too wide for a table. Nothing is cut.
//!
//! ```text
//! -[ row 1 ]----+-----------
//! l_returnflag  | A
//! sum_qty       | 380456.00
//! (1 row, 0.012 s)             ← on a terminal only
//! ```

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use console::{Alignment, measure_text_width, pad_str};
use windrow_common::Result;

use super::table::{cells, names};
use super::{Destination, Look, RowSink, Summary, failed};

/// The rule above a row is never longer, however wide the terminal.
const LONGEST_RULE: usize = 60;

/// Prints rows one below the other.
pub struct ExpandedSink<W: Write = Destination> {
    names: Vec<String>,
    width: usize,
    look: Look,
    out: W,
    rows: u64,
}

impl<W: Write> std::fmt::Debug for ExpandedSink<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpandedSink").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write> ExpandedSink<W> {
    /// For rows of this schema.
    pub fn new(schema: &SchemaRef, look: Look, out: W) -> ExpandedSink<W> {
        let names = names(schema);
        let width = names.iter().map(|name| measure_text_width(name)).max().unwrap_or(0);
        ExpandedSink { names, width, look, out, rows: 0 }
    }

    fn print(&mut self, row: &[String]) -> std::io::Result<()> {
        self.rows += 1;
        let head = format!("-[ row {} ]", self.rows);
        let rule = LONGEST_RULE.min(self.look.terminal.unwrap_or(LONGEST_RULE));
        let mut line: String = head.chars().chain(std::iter::repeat('-')).take(rule.max(head.len())).collect();
        if (head.len()..rule).contains(&(self.width + 1)) {
            line.replace_range(self.width + 1..self.width + 2, "+");
        }
        writeln!(self.out, "{line}")?;
        for (name, cell) in self.names.iter().zip(row) {
            let name = pad_str(name, self.width, Alignment::Left, None);
            writeln!(self.out, "{}", format!("{name} | {cell}").trim_end())?;
        }
        Ok(())
    }
}

impl<W: Write> RowSink for ExpandedSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in cells(batch, self.look.null).map_err(failed)? {
            self.print(&row).map_err(failed)?;
        }
        self.out.flush().map_err(failed)
    }

    fn finish(&mut self, summary: Summary) -> Result<()> {
        if self.look.terminal.is_some() {
            writeln!(self.out, "({summary})").map_err(failed)?;
        }
        self.out.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn every_column_has_its_line_and_nothing_is_cut() {
        let long = "x".repeat(100);
        let column = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("a", column(None), true),
            ("a longer name", column(Some(&long)), true),
            ("b", column(Some("")), true),
        ])
        .unwrap();
        let look = Look { terminal: Some(20), null: "NULL", all_columns: "" };
        let mut sink = ExpandedSink::new(&batch.schema(), look, Vec::new());
        sink.write(&batch).unwrap();
        sink.finish(Summary { rows: 1, elapsed: None }).unwrap();
        let text = String::from_utf8(sink.out).unwrap();
        let rule = "-[ row 1 ]----+-----";
        assert_eq!(text, format!("{rule}\na             | NULL\na longer name | {long}\nb             |\n(1 row)\n"));
    }
}

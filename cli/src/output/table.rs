//! Rows as a table for people.
//!
//! Widths are taken from the first rows, then all rows are printed as they come: every row is printed, always. On a
//! terminal the table fits its width: long cells end in `…`, and columns for which there is no room are counted below.
//! In a pipe or file nothing is cut.
//!
//! ```text
//!  l_returnflag | sum_qty
//! --------------+-----------
//!  A            | 380456.00
//! (1 row, 0.012 s)             ← on a terminal only
//! ```

use std::io::Write;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use console::{Alignment, measure_text_width, pad_str, truncate_str};
use windrow_common::Result;

use super::{Destination, Look, RowSink, Summary, failed};
use crate::visible::on_one_line;

/// Rows that are kept back to find the widths.
const SAMPLE_ROWS: usize = 1000;
/// Bytes of cells that are kept back at most.
const SAMPLE_BYTES: usize = 8 << 20;
/// To this a column may be narrowed before another one is left out.
const NARROWEST: usize = 8;

/// Prints a table.
pub(super) struct TableSink<W: Write = Destination> {
    schema: SchemaRef,
    look: Look,
    out: W,
    sample: Vec<Vec<String>>,
    sample_bytes: usize,
    /// Widths of the columns that are shown; there once the header is printed.
    widths: Option<Vec<usize>>,
}

impl<W: Write> TableSink<W> {
    pub(super) fn new(schema: SchemaRef, look: Look, out: W) -> TableSink<W> {
        TableSink { schema, look, out, sample: Vec::new(), sample_bytes: 0, widths: None }
    }

    /// Finds the widths from the sample, prints the header and the sample.
    fn begin(&mut self) -> std::io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let names = names(&self.schema);
        let natural = natural_widths(&names, &self.sample);
        let widths = self.look.terminal.map_or(natural.clone(), |terminal| fit(natural, terminal));
        let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+");
        self.widths = Some(widths);
        self.print(&names)?;
        writeln!(self.out, "{rule}")?;
        for row in std::mem::take(&mut self.sample) {
            self.print(&row)?;
        }
        Ok(())
    }

    fn print(&mut self, cells: &[String]) -> std::io::Result<()> {
        let widths = self.widths.as_deref().unwrap_or_default();
        let mut line = String::new();
        for (index, ((cell, width), field)) in cells.iter().zip(widths).zip(self.schema.fields()).enumerate() {
            line.push_str(if index == 0 { " " } else { " | " });
            let align = if is_number(field.data_type()) { Alignment::Right } else { Alignment::Left };
            let shown = if self.look.terminal.is_some() { truncate_str(cell, *width, "…") } else { cell.into() };
            line.push_str(&pad_str(&shown, *width, align, None));
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    fn write_rows(&mut self, rows: Vec<Vec<String>>) -> std::io::Result<()> {
        for row in rows {
            if self.widths.is_some() {
                self.print(&row)?;
                continue;
            }
            self.sample_bytes += row.iter().map(String::len).sum::<usize>();
            self.sample.push(row);
            if self.sample.len() >= SAMPLE_ROWS || self.sample_bytes >= SAMPLE_BYTES {
                self.begin()?;
            }
        }
        self.out.flush()
    }

    fn end(&mut self, summary: Summary) -> std::io::Result<()> {
        self.begin()?;
        if self.look.terminal.is_some() {
            let hidden = self.schema.fields().len() - self.widths.as_ref().map_or(0, Vec::len);
            let how = self.look.all_columns;
            let note = match hidden {
                0 => String::new(),
                1 => format!("; 1 column has no room here, {how} shows it"),
                n => format!("; {n} columns have no room here, {how} shows them"),
            };
            writeln!(self.out, "({summary}{note})")?;
        }
        self.out.flush()
    }
}

impl<W: Write> RowSink for TableSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = cells(batch, self.look.null).map_err(failed)?;
        self.write_rows(rows).map_err(failed)
    }

    fn finish(&mut self, summary: Summary) -> Result<()> {
        self.end(summary).map_err(failed)
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

/// Whether a terminal of this width has room for all columns of a table with these rows.
pub fn has_room(schema: &SchemaRef, rows: &[RecordBatch], terminal: usize) -> Result<bool> {
    let mut sample = Vec::new();
    for batch in rows {
        sample.extend(cells(batch, "NULL").map_err(failed)?);
    }
    let natural = natural_widths(&names(schema), &sample);
    Ok(fit(natural.clone(), terminal).len() == natural.len())
}

pub(super) fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| on_one_line(field.name())).collect()
}

fn natural_widths(names: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |(column, name): (usize, &String)| {
        let cells = rows.iter().map(|row| measure_text_width(&row[column]));
        cells.chain([measure_text_width(name), 1]).max().unwrap_or(1)
    };
    names.iter().enumerate().map(width).collect()
}

/// The values of each row as text on one line.
pub(super) fn cells(batch: &RecordBatch, null: &str) -> Result<Vec<Vec<String>>, ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let formatters = batch
        .columns()
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    let cell = |row, (column, formatter): &(&ArrayRef, ArrayFormatter<'_>)| {
        if column.is_null(row) { Ok(null.to_owned()) } else { Ok(on_one_line(&formatter.value(row).try_to_string()?)) }
    };
    (0..batch.num_rows()).map(|row| formatters.iter().map(|column| cell(row, column)).collect()).collect()
}

/// Widths with which the columns fit: the widest are narrowed first; the last are left out when that is not enough.
fn fit(mut widths: Vec<usize>, terminal: usize) -> Vec<usize> {
    let total = |widths: &[usize]| widths.iter().map(|width| width + 3).sum::<usize>().saturating_sub(1);
    loop {
        let excess = total(&widths).saturating_sub(terminal);
        if excess == 0 {
            return widths;
        }
        let widest = widths.iter().copied().max().unwrap_or(0);
        if widest <= NARROWEST {
            if widths.len() == 1 {
                return widths;
            }
            widths.pop();
            continue;
        }
        // Down to the next narrower column, or by what is too much: whichever comes first.
        let next = widths.iter().copied().filter(|width| *width < widest).max().unwrap_or(0).max(NARROWEST);
        let count = widths.iter().filter(|width| **width == widest).count();
        let cut = excess.div_ceil(count).min(widest - next).max(1);
        widths.iter_mut().filter(|width| **width == widest).for_each(|width| *width -= cut);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn print(batches: &[RecordBatch], terminal: Option<usize>) -> String {
        let look = Look { terminal, null: "NULL", all_columns: "--format csv" };
        let mut sink = TableSink::new(batches[0].schema(), look, Vec::new());
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        batches.iter().for_each(|batch| sink.write(batch).unwrap());
        sink.finish(Summary { rows, elapsed: Some(Duration::from_millis(12)) }).unwrap();
        String::from_utf8(sink.out).unwrap()
    }

    fn batch(names: &[Option<&str>], numbers: &[i64]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("name", Arc::new(StringArray::from(names.to_vec())) as ArrayRef, true),
            ("n", Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn a_table_in_a_pipe_has_rows_and_nothing_else() {
        let text = print(&[batch(&[Some("a"), None, Some("b\nc")], &[1, 22, 333])], None);
        assert_eq!(text, " name |   n\n------+-----\n a    |   1\n NULL |  22\n b\\nc | 333\n");
    }

    #[test]
    fn on_a_terminal_it_fits_and_counts() {
        let long = "x".repeat(100);
        let text = print(&[batch(&[Some(&long)], &[1])], Some(40));
        assert!(text.lines().all(|line| measure_text_width(line) <= 40), "{text}");
        assert!(text.contains('…') && text.ends_with("(1 row, 0.012 s)\n"), "{text}");
    }

    #[test]
    fn every_row_is_printed_however_many_there_are() {
        let numbers: Vec<i64> = (0..700).collect();
        let rows = || batch(&vec![Some("r"); 700], &numbers);
        let text = print(&[rows(), rows(), rows()], None);
        assert_eq!(text.lines().count(), 2 + 2100);
    }

    #[test]
    fn columns_without_room_are_left_out_and_counted() {
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1_000_000_000_000]));
        let wide = RecordBatch::try_from_iter((0..20).map(|i| (format!("column_{i}"), one.clone()))).unwrap();
        let text = print(&[wide], Some(80));
        assert!(text.lines().take(3).all(|line| line.len() <= 90), "{text}");
        assert!(text.contains("columns have no room here"), "{text}");
    }

    #[test]
    fn the_widest_columns_are_narrowed_first() {
        assert_eq!(fit(vec![5, 60, 30], 80), [5, 37, 30]);
        assert_eq!(fit(vec![5, 10], 80), [5, 10]);
        assert_eq!(fit(vec![100], 4), [NARROWEST]);
        assert_eq!(fit(vec![8; 10], 31), [8, 8]);
    }
}

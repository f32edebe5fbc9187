//! How rows are laid out on the screen: as a table, or one below the other when a table has no room for all columns.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use windrow_common::Result;

use super::backslash::Expanded;
use crate::output::expanded::ExpandedSink;
use crate::output::table::has_room;
use crate::output::{Destination, Format, Look, RowSink, Summary};

/// Rows by which it is decided.
const SAMPLE_ROWS: usize = 1000;
/// Bytes of rows by which it is decided.
const SAMPLE_BYTES: usize = 8 << 20;

/// A sink for rows that people read.
pub fn sink(expanded: Expanded, schema: SchemaRef, look: Look, out: Destination) -> Result<Box<dyn RowSink>> {
    match (expanded, look.terminal) {
        (Expanded::On, _) => Ok(Box::new(ExpandedSink::new(&schema, look, out))),
        (Expanded::Auto, Some(width)) => {
            let held = Held { schema, look, width, out, rows: Vec::new() };
            Ok(Box::new(Undecided { state: State::Held(held) }))
        }
        (Expanded::Off, _) | (Expanded::Auto, None) => Format::Table.sink_to(schema, look, out),
    }
}

/// Decides when it has seen some rows.
struct Undecided {
    state: State,
}

enum State {
    Held(Held),
    Decided(Box<dyn RowSink>),
    /// Only while one state becomes the other, and for good when that failed.
    Failed,
}

struct Held {
    schema: SchemaRef,
    look: Look,
    width: usize,
    out: Destination,
    rows: Vec<RecordBatch>,
}

impl Held {
    fn is_enough(&self) -> bool {
        let rows: usize = self.rows.iter().map(RecordBatch::num_rows).sum();
        let bytes: usize = self.rows.iter().map(RecordBatch::get_array_memory_size).sum();
        rows >= SAMPLE_ROWS || bytes >= SAMPLE_BYTES
    }

    fn decide(self) -> Result<Box<dyn RowSink>> {
        let has_room = has_room(&self.schema, &self.rows, self.width)?;
        // Without rows there is nothing to put below the names: a table says at least what there would be.
        let expanded = if has_room || self.rows.is_empty() { Expanded::Off } else { Expanded::On };
        let mut sink = sink(expanded, self.schema, self.look, self.out)?;
        self.rows.iter().try_for_each(|batch| sink.write(batch))?;
        Ok(sink)
    }
}

impl Undecided {
    fn decide(&mut self) -> Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Held(held) => State::Decided(held.decide()?),
            decided => decided,
        };
        Ok(())
    }
}

impl RowSink for Undecided {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.state {
            State::Decided(sink) => sink.write(batch),
            State::Failed => Ok(()),
            State::Held(held) => {
                if batch.num_rows() > 0 {
                    held.rows.push(batch.clone());
                }
                if held.is_enough() { self.decide() } else { Ok(()) }
            }
        }
    }

    fn finish(&mut self, summary: Summary) -> Result<()> {
        self.decide()?;
        if let State::Decided(sink) = &mut self.state { sink.finish(summary) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Write;
    use std::rc::Rc;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn print(columns: usize, rows: usize, expanded: Expanded) -> String {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![123_456_789; rows]));
        let batch = RecordBatch::try_from_iter((0..columns).map(|i| (format!("column_{i}"), column.clone()))).unwrap();
        let paper = Paper::default();
        let look = Look { terminal: Some(80), null: "NULL", all_columns: "\\x on" };
        let mut sink = sink(expanded, batch.schema(), look, Box::new(paper.clone())).unwrap();
        sink.write(&batch).unwrap();
        sink.write(&batch).unwrap();
        sink.finish(Summary { rows: 2 * rows as u64, elapsed: None }).unwrap();
        drop(sink);
        String::from_utf8(paper.0.take()).unwrap()
    }

    #[test]
    fn forty_columns_on_eighty_characters_are_all_there() {
        let text = print(40, 3, Expanded::Auto);
        assert!((0..40).all(|i| text.contains(&format!("column_{i}  | 123456789\n")) || i > 9), "{text}");
        assert!(text.contains("column_39 | 123456789\n") && text.contains("-[ row 6 ]"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80) && text.ends_with("(6 rows)\n"), "{text}");
    }

    #[test]
    fn few_columns_are_a_table_and_no_rows_are_too() {
        assert!(print(3, 700, Expanded::Auto).contains("column_0 |  column_1"), "{}", print(3, 1, Expanded::Auto));
        assert!(print(40, 0, Expanded::Auto).contains(" | "));
        assert!(print(40, 1, Expanded::Off).contains("columns have no room here, \\x on shows them"));
        assert!(print(1, 1, Expanded::On).starts_with("-[ row 1 ]"));
    }
}

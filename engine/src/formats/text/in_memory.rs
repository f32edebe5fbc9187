//! Reading text that is all in memory, range by range as tasks do: what tests and fuzzers compare with reading it whole.

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::bad_row::BadRow;
use super::boundary::{Boundary, FIRST_WINDOW, Finder, INSIDE_WINDOW};
use super::dialect::State;
use super::parser::RowParser;
use super::reader::{Fault, Item, RangeEnd, Reading, RecordReader};
use super::scanner::Scanner;

/// What came of reading a range.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// The records left out.
    pub bad: Vec<BadRow>,
    /// Whether the reader of the next range would begin elsewhere than where this one ended.
    pub contradicted: bool,
}

/// Looks at windows that grow, and stops with the first answer, or behind `limit` bytes.
pub fn look(finder: &mut Finder, text: &[u8], limit: usize) -> Boundary {
    let (mut from, mut window) = (0_usize, FIRST_WINDOW);
    loop {
        let to = from.saturating_add(window).min(text.len());
        let found = finder.look(&text[from..to], to == text.len());
        if found != Boundary::Undecided || to == text.len() || to > limit {
            return found;
        }
        (from, window) = (to, (window * 2).min(8 << 20));
    }
}

/// Where the first record that begins at `start` or later begins.
pub fn range_start(reading: &Reading, text: &[u8], start: usize) -> usize {
    if start == 0 {
        return 0;
    }
    let mut finder = Finder::new(reading.dialect, text[start - 1], reading.max_record);
    if let Boundary::At(at) = look(&mut finder, &text[start..], usize::MAX) {
        return start + at as usize;
    }
    let mut scanner = Scanner::new(reading.dialect, State::Start);
    scanner.run(&text[..start]);
    if scanner.state == State::Start {
        return start;
    }
    scanner.find_boundary(&text[start..]).boundary.map_or(text.len(), |at| start + at)
}

/// Whether the next range's reader would find another first record than the one that follows `end`.
pub fn contradicted(reading: &Reading, text: &[u8], end: usize, truth: RangeEnd) -> bool {
    if end == 0 || end >= text.len() {
        return false;
    }
    let mut finder = Finder::new(reading.dialect, text[end - 1], reading.max_record);
    let limit = if truth.state.is_quoted() { usize::MAX } else { INSIDE_WINDOW };
    Finder::contradicts(look(&mut finder, &text[end..], limit), truth.next - end as u64)
}

/// Reads the records that begin in a range, given to the reader in pieces of the given size.
pub fn read_range(
    reading: Reading,
    parser: Box<dyn RowParser>,
    text: &Bytes,
    range: std::ops::Range<usize>,
    piece: usize,
) -> Result<Rows, Fault> {
    let start = range_start(&reading, text, range.start);
    let mut reader = RecordReader::new(reading, parser, start as u64, Some(range.end as u64));
    let (mut rows, mut at) = (Rows::default(), start);
    while reader.done().is_none() && at < text.len() {
        let to = (at + piece.max(1)).min(text.len());
        reader.push(&text.slice(at..to))?;
        at = to;
    }
    reader.finish()?;
    while let Some(item) = reader.item() {
        match item {
            Item::Batch(batch) => rows.batches.push(batch),
            Item::Bad(row) => rows.bad.push(row),
        }
    }
    if let Some(truth) = reader.done() {
        rows.contradicted = contradicted(&reading, text, range.end, truth);
    }
    Ok(rows)
}

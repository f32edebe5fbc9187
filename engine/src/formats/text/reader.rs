//! From pieces of text to batches: divides the text into whole records, has them parsed many at once, and looks at single
//! records only when something is wrong with them. Knows nothing of files.
//!
//! ```text
//! piece ──► [ rest of the record begun before │ whole records │ begun ] ──► parser ──► batch
//!                                                     └─ an error: halves, and halves of those, down to the bad record
//! ```

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::Bytes;

use super::bad_row::{BadRow, KEPT_TEXT};
use super::dialect::{Dialect, State};
use super::parser::RowParser;
use super::scanner::Scanner;

/// Bytes that are gone through at once.
const STEP: usize = 1 << 20;

/// How text is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// What divides records.
    pub dialect: Dialect,
    /// Bytes of the longest record.
    pub max_record: usize,
    /// Whether bad records are left out.
    pub skip: bool,
}

/// Why reading cannot go on.
#[derive(Debug)]
pub enum Fault {
    /// A record is bad, and bad records are not to be left out.
    Bad(BadRow),
    /// Something else.
    Other(ArrowError),
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Self::Other(error)
    }
}

/// Where a range ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeEnd {
    /// The state at its very end.
    pub state: State,
    /// Where the next range's first record begins, if the text went on that far.
    pub next: u64,
}

/// What comes out of reading, in the order of the file: no batch has rows from before and behind a bad record.
#[derive(Debug)]
pub enum Item {
    /// Rows.
    Batch(RecordBatch),
    /// A record that is left out.
    Bad(BadRow),
}

/// A record that has begun and not ended.
#[derive(Debug, Default)]
struct Begun {
    offset: u64,
    bytes: Vec<u8>,
    length: usize,
    violation: bool,
}

/// Reads the records that begin in a range.
pub struct RecordReader {
    reading: Reading,
    parser: Box<dyn RowParser>,
    scanner: Scanner,
    /// Of the next byte.
    offset: u64,
    end: Option<u64>,
    begun: Begun,
    /// The whole records that the parser has taken and not given back as a batch.
    taken: Vec<(u64, Bytes)>,
    items: VecDeque<Item>,
    at_end: Option<State>,
    done: Option<RangeEnd>,
}

impl RecordReader {
    /// Begins with a record at `offset`; ends with the last record that begins before `end`.
    pub fn new(reading: Reading, parser: Box<dyn RowParser>, offset: u64, end: Option<u64>) -> Self {
        let scanner = Scanner::new(reading.dialect, State::Start);
        // A record from before goes on beyond the range; nobody here knows in which state the range ends.
        let done = end.filter(|end| *end <= offset).map(|_| RangeEnd { state: State::Quoted, next: offset });
        Self {
            reading,
            parser,
            scanner,
            offset,
            end,
            begun: Begun::default(),
            taken: vec![],
            items: VecDeque::new(),
            at_end: None,
            done,
        }
    }

    /// What comes next, if it is ready.
    pub fn item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// How the range ended, if it has.
    pub fn done(&self) -> Option<RangeEnd> {
        self.done
    }

    /// Goes on with the text that follows.
    pub fn push(&mut self, text: &Bytes) -> Result<(), Fault> {
        let mut from = 0;
        while from < text.len() && self.done.is_none() {
            let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.offset));
            let step = STEP.min(self.reading.max_record).min(text.len() - from);
            if left > 0 {
                let to = from + (step as u64).min(left) as usize;
                self.take(&text.slice(from..to))?;
                from = to;
            } else {
                from += self.beyond(&text.slice(from..from + step))?;
            }
            if self.end == Some(self.offset) && self.at_end.is_none() {
                self.reach_end()?;
            }
        }
        Ok(())
    }

    /// The text has come to its end.
    pub fn finish(&mut self) -> Result<(), Fault> {
        if self.done.is_some() {
            return Ok(());
        }
        let state = self.scanner.state;
        if state.is_open() {
            let reason = "a quote is never closed";
            self.reject_begun(reason)?;
        } else if self.begun.length > 0 {
            // The parser knows that a record is over by what follows it.
            self.begun.bytes.push(self.reading.dialect.terminator.unwrap_or(b'\n'));
            self.end_begun()?;
        }
        self.flush()?;
        self.done = Some(RangeEnd { state: self.at_end.unwrap_or(State::Start), next: self.offset });
        Ok(())
    }

    fn reach_end(&mut self) -> Result<(), Fault> {
        self.at_end = Some(self.scanner.state);
        if self.scanner.state == State::Start { self.complete() } else { Ok(()) }
    }

    fn complete(&mut self) -> Result<(), Fault> {
        self.flush()?;
        self.done = Some(RangeEnd { state: self.at_end.unwrap_or(State::Start), next: self.offset });
        Ok(())
    }

    /// Behind the range's end: the rest of the record that began in it.
    fn beyond(&mut self, piece: &Bytes) -> Result<usize, Fault> {
        let read = self.go_on(piece)?;
        if self.scanner.state == State::Start {
            self.complete()?;
        }
        Ok(read)
    }

    fn take(&mut self, piece: &Bytes) -> Result<(), Fault> {
        let mut from = 0;
        if self.begun.length > 0 {
            from = self.go_on(piece)?;
            if from == piece.len() {
                return Ok(());
            }
        }
        let rest = piece.slice(from..);
        let seen = self.scanner.run(&rest);
        let whole = seen.boundary.unwrap_or(0);
        let offset = self.offset;
        self.offset += rest.len() as u64;
        self.begin(offset + whole as u64, &rest[whole..], seen.violation.is_some());
        match seen.violation {
            Some(at) if at < whole => self.one_by_one(offset, &rest.slice(..whole)),
            _ => self.many(offset, &rest.slice(..whole)),
        }
    }

    fn begin(&mut self, offset: u64, bytes: &[u8], suspicious: bool) {
        // The scanner tells only of the first wrong byte of a piece.
        let violation = suspicious && Scanner::new(self.reading.dialect, State::Start).run(bytes).violation.is_some();
        self.begun = Begun { offset, bytes: bytes.to_vec(), length: bytes.len(), violation };
    }

    /// Goes on with the record that has begun; says how many bytes belong to it.
    fn go_on(&mut self, piece: &Bytes) -> Result<usize, Fault> {
        let seen = self.scanner.find_boundary(piece);
        let begun = &mut self.begun;
        begun.length += seen.read;
        begun.violation |= seen.violation.is_some();
        self.offset += seen.read as u64;
        if begun.length <= self.reading.max_record {
            begun.bytes.extend_from_slice(&piece[..seen.read]);
        } else {
            begun.bytes.truncate(KEPT_TEXT);
            if !self.reading.skip {
                self.too_long()?;
            }
        }
        if seen.boundary.is_some() {
            self.end_begun()?;
        }
        Ok(seen.read)
    }

    fn too_long(&mut self) -> Result<(), Fault> {
        self.reject_begun(&format!(
            "it is longer than {} bytes; if records may be that long, raise OPTIONS (max_record_size '…')",
            self.reading.max_record
        ))
    }

    fn end_begun(&mut self) -> Result<(), Fault> {
        if self.begun.length > self.reading.max_record {
            return self.too_long();
        }
        let begun = std::mem::take(&mut self.begun);
        let text = Bytes::from(begun.bytes);
        if begun.violation { self.one_by_one(begun.offset, &text) } else { self.many(begun.offset, &text) }
    }

    fn reject_begun(&mut self, reason: &str) -> Result<(), Fault> {
        let begun = std::mem::take(&mut self.begun);
        // Rows come out, and errors are found, in the order of the file.
        self.flush()?;
        self.reject(BadRow::new(begun.offset, reason, &begun.bytes))
    }

    fn reject(&mut self, row: BadRow) -> Result<(), Fault> {
        if !self.reading.skip {
            return Err(Fault::Bad(row));
        }
        self.items.push_back(Item::Bad(row));
        Ok(())
    }

    /// Whole records in which nothing wrong was seen yet.
    fn many(&mut self, offset: u64, records: &Bytes) -> Result<(), Fault> {
        let mut from = 0;
        while from < records.len() {
            match self.parser.decode(&records[from..]) {
                Ok(0) if !self.parser.is_full() => {
                    return Err(ArrowError::ComputeError("a parser of text does not go on".into()).into());
                }
                Ok(read) => {
                    self.taken.push((offset + from as u64, records.slice(from..from + read)));
                    from += read;
                }
                Err(_) => {
                    self.taken.push((offset + from as u64, records.slice(from..)));
                    return self.look_closer();
                }
            }
            if self.parser.is_full() {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        match self.parser.flush() {
            Ok(batch) => {
                self.items.extend(batch.map(Item::Batch));
                self.taken.clear();
                Ok(())
            }
            Err(_) => self.look_closer(),
        }
    }

    /// Records among which one is known to be bad.
    fn one_by_one(&mut self, offset: u64, records: &Bytes) -> Result<(), Fault> {
        self.flush()?;
        self.taken.push((offset, records.clone()));
        self.look_closer()
    }

    /// Finds the bad records among those that the parser has taken; the others become rows.
    fn look_closer(&mut self) -> Result<(), Fault> {
        let taken = std::mem::take(&mut self.taken);
        let mut good: Vec<(u64, Bytes)> = vec![];
        for (offset, text) in taken {
            let mut scanner = Scanner::new(self.reading.dialect, State::Start);
            let mut from = 0;
            while from < text.len() {
                let seen = scanner.find_boundary(&text[from..]);
                let record = (offset + from as u64, text.slice(from..from + seen.read));
                from += seen.read;
                if seen.violation.is_none() {
                    good.push(record);
                    continue;
                }
                self.halve(&std::mem::take(&mut good))?;
                self.reject(BadRow::new(record.0, "a closing quote is followed by other text", &record.1))?;
            }
        }
        self.halve(&good)?;
        self.parser.reset(None)?;
        Ok(())
    }

    fn halve(&mut self, records: &[(u64, Bytes)]) -> Result<(), Fault> {
        let mut pending = vec![records];
        while let Some(records) = pending.pop() {
            match (self.parse(records), records) {
                (Ok(batches), _) => self.items.extend(batches.into_iter().map(Item::Batch)),
                (Err(error), [(offset, record)]) => {
                    let reason = self.parser.reason(record, &error);
                    self.reject(BadRow::new(*offset, reason, record))?;
                }
                (Err(_), _) => {
                    let (first, second) = records.split_at(records.len() / 2);
                    pending.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    fn parse(&mut self, records: &[(u64, Bytes)]) -> Result<Vec<RecordBatch>, ArrowError> {
        self.parser.reset(Some(records.len()))?;
        let mut batches = vec![];
        for (_, record) in records {
            let mut from = 0;
            while from < record.len() {
                let read = self.parser.decode(&record[from..])?;
                if self.parser.is_full() {
                    batches.extend(self.parser.flush()?);
                } else if read == 0 {
                    return Err(ArrowError::ComputeError("a parser of text does not go on".into()));
                }
                from += read;
            }
        }
        batches.extend(self.parser.flush()?);
        Ok(batches)
    }
}

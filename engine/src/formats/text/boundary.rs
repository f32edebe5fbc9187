//! Where the first record of a range begins, when the range begins anywhere in a file whose fields may hold line ends.
//!
//! Nobody can tell from the middle of a file whether a byte is inside a quoted field. So every state that the bytes before
//! the range allow is tried (outside quotes, inside, after an escape, in a comment), and those are struck out in which the
//! text that follows breaks the rules: a closing quote followed by anything but a delimiter, a line end or a second quote,
//! a record longer than records may be, a file that ends inside quotes. If the states that are left agree, that is the
//! answer. If none is left, or those that are left do not agree within the longest record there may be, nothing was
//! found out, and the range's reader goes through the file from its beginning, which is exact.
//!
//! *Why this is right.* In a file without errors of quoting the true state is never struck out, so an answer is the true
//! one. In a file with such errors it can be: then the answer may be wrong. But the reader of the range before, which
//! reads its last record to its end, knows the true state where it ends; it looks for the same boundary by the same
//! means ([`Finder::contradicts`]), and an answer that is not what it knows is an error. The reader of a file's first
//! range begins at its beginning, so by induction every range begins right, or the scan fails. Only a scan that stops
//! early, by a LIMIT, may not get to see the error.

use super::dialect::{Dialect, State};
use super::scanner::Scanner;

/// An answer that takes being inside quotes for true must be found within so many bytes; it bounds what the reader of the
/// range before has to read again.
pub const INSIDE_WINDOW: usize = 256 << 10;
/// Bytes that are looked at first; then twice as many, and so on.
pub const FIRST_WINDOW: usize = 64 << 10;

/// What is known of where a range's first record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// At this offset, counted from the beginning of the range; there is a record only if the file goes on.
    At(u64),
    /// The file has to be read from its beginning.
    Unknown,
    /// More bytes have to be seen.
    Undecided,
}

/// A state that may be the true one.
#[derive(Clone, Copy, Debug)]
struct Guess {
    scanner: Scanner,
    /// Whether it takes the range's beginning for the inside of a quoted field.
    inside: bool,
    /// Where its first record begins.
    first: Option<u64>,
    /// Where the record that it is in begins.
    record: u64,
}

/// Looks for the first record of a range.
#[derive(Clone, Debug)]
pub struct Finder {
    guesses: Vec<Guess>,
    read: u64,
    max_record: u64,
}

impl Finder {
    /// For a range behind the byte `before`.
    pub fn new(dialect: Dialect, before: u8, max_record: usize) -> Self {
        let mut states = vec![dialect.outside(before)];
        if let Some(quote) = dialect.quote {
            states.push(State::Quoted);
            if before == quote {
                states.push(State::QuoteSeen);
            }
        }
        if dialect.escape == Some(before) {
            states.push(State::Escaped);
        }
        if dialect.comment.is_some() {
            // A comment ends with its line.
            states.push(if before == b'\n' { State::Start } else { State::Comment });
        }
        let guess = |state| Guess {
            scanner: Scanner::new(dialect, state),
            inside: state.is_quoted(),
            first: (state == State::Start).then_some(0),
            record: 0,
        };
        let guesses = states.into_iter().map(guess).collect();
        Self { guesses, read: 0, max_record: max_record as u64 }
    }

    /// Looks at the bytes that follow; `last` if the file ends with them.
    pub fn look(&mut self, bytes: &[u8], last: bool) -> Boundary {
        let (read, max_record) = (self.read, self.max_record);
        self.guesses.retain_mut(|guess| guess.look(bytes, read, last, max_record));
        self.read += bytes.len() as u64;
        self.answer(last)
    }

    fn answer(&self, last: bool) -> Boundary {
        let Some(one) = self.guesses.first() else { return Boundary::Unknown };
        let agree = self.guesses.iter().all(|g| g.first == one.first && g.scanner.state == one.scanner.state);
        if agree && (one.first.is_some() || last || self.guesses.len() == 1) {
            let inside = self.guesses.iter().all(|guess| guess.inside);
            if inside && self.read > INSIDE_WINDOW as u64 {
                return Boundary::Unknown;
            }
            match one.first {
                Some(at) => return Boundary::At(at),
                None if last => return Boundary::At(self.read),
                // A lonely guess may still be in its first record.
                None => {}
            }
        }
        if last || self.read > self.max_record { Boundary::Unknown } else { Boundary::Undecided }
    }

    /// Whether what was found so far is not what the reader of the range before knows: that the first record begins at
    /// `truth`.
    pub fn contradicts(found: Boundary, truth: u64) -> bool {
        matches!(found, Boundary::At(at) if at != truth)
    }
}

impl Guess {
    fn look(&mut self, bytes: &[u8], read: u64, last: bool, max_record: u64) -> bool {
        let mut at = 0;
        if self.first.is_none() {
            let seen = self.scanner.find_boundary(bytes);
            if seen.violation.is_some() {
                return false;
            }
            at = seen.read;
            if let Some(boundary) = seen.boundary {
                self.first = Some(read + boundary as u64);
                self.record = read + boundary as u64;
            }
        }
        let seen = self.scanner.run(&bytes[at..]);
        if let Some(boundary) = seen.boundary {
            self.record = read + (at + boundary) as u64;
        }
        let length = read + bytes.len() as u64 - self.record;
        let open = self.scanner.state.is_open();
        seen.violation.is_none() && !(open && (last || length > max_record))
    }
}

//! Finding where records end without reading their fields: one pass that looks at quotes and line ends only, by vector
//! instructions. What is not as it should be in quoting is noticed: a quote that closes a field must be followed by a
//! delimiter or by the end of the record.

use memchr::{memchr, memchr2, memchr3, memrchr, memrchr2};

use super::dialect::{Dialect, State};

/// Goes through a text piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    dialect: Dialect,
    /// Where it is.
    pub state: State,
}

/// What was seen in a piece of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many bytes were gone through.
    pub read: usize,
    /// Behind the last record (or comment, or empty line) that ended in the piece.
    pub boundary: Option<usize>,
    /// The first byte that may not follow a closing quote.
    pub violation: Option<usize>,
    /// Delimiters between fields; only [`Scanner::find_boundary`] counts them.
    pub delimiters: usize,
}

impl Scanner {
    /// A scanner in the given state.
    pub fn new(dialect: Dialect, state: State) -> Self {
        Self { dialect, state }
    }

    /// Goes through all of a piece.
    pub fn run(&mut self, piece: &[u8]) -> Seen {
        self.scan(piece, false)
    }

    /// Goes on until a record, a comment or an empty line ends, or the piece does.
    pub fn find_boundary(&mut self, piece: &[u8]) -> Seen {
        self.scan(piece, true)
    }

    fn scan(&mut self, piece: &[u8], stop: bool) -> Seen {
        let mut seen = Seen::default();
        while seen.read < piece.len() && !(stop && seen.boundary.is_some()) {
            match self.state {
                State::Start | State::Field => self.begin_field(piece, &mut seen),
                State::Plain => self.plain(piece, &mut seen, stop),
                State::Quoted => self.quoted(piece, &mut seen),
                State::Escaped => {
                    seen.read += 1;
                    self.state = State::Quoted;
                }
                State::QuoteSeen => self.after_quote(piece, &mut seen),
                State::Comment => match memchr(b'\n', &piece[seen.read..]) {
                    Some(at) => self.end_record(&mut seen, at + 1),
                    None => seen.read = piece.len(),
                },
            }
        }
        seen
    }

    fn end_record(&mut self, seen: &mut Seen, bytes: usize) {
        seen.read += bytes;
        seen.boundary = Some(seen.read);
        self.state = State::Start;
    }

    fn begin_field(&mut self, piece: &[u8], seen: &mut Seen) {
        let byte = piece[seen.read];
        let first = self.state == State::Start;
        if self.dialect.ends(byte) {
            return self.end_record(seen, 1);
        }
        seen.read += 1;
        self.state = if first && self.dialect.comment == Some(byte) {
            State::Comment
        } else if self.dialect.quote == Some(byte) {
            State::Quoted
        } else {
            seen.delimiters += usize::from(byte == self.dialect.delimiter);
            self.dialect.outside(byte)
        };
    }

    fn quoted(&mut self, piece: &[u8], seen: &mut Seen) {
        let rest = &piece[seen.read..];
        // The state is only reached when there are quotes.
        let quote = self.dialect.quote.unwrap_or(b'"');
        let found = match self.dialect.escape {
            Some(escape) => memchr2(quote, escape, rest),
            None => memchr(quote, rest),
        };
        match found {
            Some(at) => {
                self.state = if rest[at] == quote { State::QuoteSeen } else { State::Escaped };
                seen.read += at + 1;
            }
            None => seen.read = piece.len(),
        }
    }

    fn after_quote(&mut self, piece: &[u8], seen: &mut Seen) {
        let byte = piece[seen.read];
        if self.dialect.quote == Some(byte) {
            self.state = State::Quoted;
        } else if self.dialect.ends(byte) {
            return self.end_record(seen, 1);
        } else if byte == self.dialect.delimiter {
            self.state = State::Field;
            seen.delimiters += 1;
        } else {
            seen.violation.get_or_insert(seen.read);
            self.state = State::Plain;
        }
        seen.read += 1;
    }

    /// Fields without quotes, over as many records as follow, up to the next quoted field.
    fn plain(&mut self, piece: &[u8], seen: &mut Seen, stop: bool) {
        // A comment begins with a record, so every record has to be looked at.
        if stop || self.dialect.comment.is_some() {
            return self.plain_record(piece, seen);
        }
        let from = seen.read;
        let mut next = from;
        let end = loop {
            let quote = self.dialect.quote.and_then(|quote| memchr(quote, &piece[next..]));
            let Some(at) = quote.map(|at| next + at) else { break piece.len() };
            // A quote amid a field is a letter like others; `from` itself is amid one.
            if at > from && self.dialect.outside(piece[at - 1]) != State::Plain {
                break at;
            }
            next = at + 1;
        };
        if let Some(at) = self.last_end(&piece[from..end]) {
            seen.boundary = Some(from + at + 1);
        }
        self.state = self.dialect.outside(piece[end - 1]);
        seen.read = end;
    }

    fn last_end(&self, text: &[u8]) -> Option<usize> {
        match self.dialect.terminator {
            Some(terminator) => memrchr(terminator, text),
            None => memrchr2(b'\n', b'\r', text),
        }
    }

    fn plain_record(&mut self, piece: &[u8], seen: &mut Seen) {
        let rest = &piece[seen.read..];
        let delimiter = self.dialect.delimiter;
        let found = match self.dialect.terminator {
            Some(terminator) => memchr2(terminator, delimiter, rest),
            None => memchr3(b'\n', b'\r', delimiter, rest),
        };
        match found {
            Some(at) if self.dialect.ends(rest[at]) => self.end_record(seen, at + 1),
            Some(at) => {
                self.state = State::Field;
                seen.read += at + 1;
                seen.delimiters += 1;
            }
            None => seen.read = piece.len(),
        }
    }
}

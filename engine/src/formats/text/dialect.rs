//! The bytes by which a text file is divided into records, and the state of whoever reads it byte after byte. The rules
//! are those of the `csv-core` parser, with which arrow-csv reads the fields: what it takes for a record is one here.

/// The bytes that divide records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields that hold delimiters, line ends or quotes; none: no byte is special.
    pub quote: Option<u8>,
    /// Before a byte of a quoted field that is to be taken as it is.
    pub escape: Option<u8>,
    /// A line that begins with it is not a record.
    pub comment: Option<u8>,
    /// What ends a record; none: `\n`, `\r` or both.
    pub terminator: Option<u8>,
}

impl Dialect {
    /// Every line is a record.
    pub const LINES: Self =
        Self { delimiter: b'\n', quote: None, escape: None, comment: None, terminator: Some(b'\n') };

    /// Whether the byte ends a record, outside quotes.
    pub fn ends(&self, byte: u8) -> bool {
        match self.terminator {
            Some(terminator) => byte == terminator,
            None => byte == b'\n' || byte == b'\r',
        }
    }

    /// The state after a byte that stands outside quotes and comments.
    pub fn outside(&self, byte: u8) -> State {
        if self.ends(byte) {
            State::Start
        } else if byte == self.delimiter {
            State::Field
        } else {
            State::Plain
        }
    }
}

/// Where in the text a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Before a record.
    Start,
    /// Before a field that is not the first of its record.
    Field,
    /// In a field without quotes.
    Plain,
    /// In a quoted field.
    Quoted,
    /// In a quoted field, after a quote that either ends it or is the first of two.
    QuoteSeen,
    /// In a quoted field, after an escape.
    Escaped,
    /// In a comment.
    Comment,
}

impl State {
    /// Whether a file that ends here ends inside a quoted field.
    pub fn is_open(self) -> bool {
        matches!(self, State::Quoted | State::Escaped)
    }

    /// Whether it is in a quoted field, or may be.
    pub fn is_quoted(self) -> bool {
        self.is_open() || self == State::QuoteSeen
    }
}

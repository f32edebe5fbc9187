//! Records that end before their last fields, in files where an empty field is not null: they get the fields that they
//! lack, each with a text that is.

use std::borrow::Cow;

use crate::formats::text::dialect::{Dialect, State};
use crate::formats::text::scanner::Scanner;

/// Stands for a missing value. Unicode keeps this letter for the inner use of programs; it is not text.
pub const MISSING: &str = "\u{fdd0}";

/// Fills records up.
#[derive(Clone, Copy, Debug)]
pub struct Padding {
    /// What divides records and fields.
    pub dialect: Dialect,
    /// The fields of a whole record.
    pub fields: usize,
}

impl Padding {
    /// The first record of these: its length, and all of its fields.
    pub fn record<'a>(&self, records: &'a [u8]) -> (usize, Cow<'a, [u8]>) {
        let mut scanner = Scanner::new(self.dialect, State::Start);
        let seen = scanner.find_boundary(records);
        let record = &records[..seen.read];
        let first = record.first().copied();
        let nothing = first.is_none_or(|byte| self.dialect.ends(byte) || self.dialect.comment == Some(byte));
        let fields = seen.delimiters + 1;
        if nothing || fields >= self.fields {
            return (seen.read, Cow::Borrowed(record));
        }
        let (content, end) = record.split_at(record.len() - usize::from(seen.boundary.is_some()));
        let mut padded = content.to_vec();
        for _ in fields..self.fields {
            padded.push(self.dialect.delimiter);
            padded.extend_from_slice(MISSING.as_bytes());
        }
        padded.extend_from_slice(end);
        (seen.read, Cow::Owned(padded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_get_the_fields_that_they_lack() {
        let dialect =
            Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comment: Some(b'#'), terminator: None };
        let padding = Padding { dialect, fields: 3 };
        for (records, length, padded) in [
            ("1,2,3\n4\n", 6, "1,2,3\n".to_owned()),
            ("1\r\n2", 2, format!("1,{MISSING},{MISSING}\r")),
            ("\"a,b\",\n", 7, format!("\"a,b\",,{MISSING}\n")),
            (",\"\n\"\n", 5, format!(",\"\n\",{MISSING}\n")),
            ("1,2,3,4\n", 8, "1,2,3,4\n".to_owned()),
            ("\n1\n", 1, "\n".to_owned()),
            ("#1,2\n1\n", 5, "#1,2\n".to_owned()),
            ("1", 1, format!("1,{MISSING},{MISSING}")),
        ] {
            let (read, record) = padding.record(records.as_bytes());
            assert_eq!((read, String::from_utf8(record.into_owned()).unwrap()), (length, padded), "{records:?}");
        }
    }
}

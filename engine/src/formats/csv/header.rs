//! A CSV file's header: where it ends, the names in it, and which of a table's columns they are.

use std::collections::BTreeSet;

use arrow::csv::reader::Format;
use arrow::datatypes::Schema;
use bytes::{Bytes, BytesMut};
use datafusion::error::Result;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::formats::fetch::Source;
use crate::formats::text::dialect::{Dialect, State};
use crate::formats::text::file::TextFile;
use crate::formats::text::reader::Reading;
use crate::formats::text::scanner::Scanner;

/// The beginning of a file.
#[derive(Debug)]
pub struct Head {
    /// The names in the header; none if the file has no record at all.
    pub names: Option<Vec<String>>,
    /// Where the records begin that follow.
    pub end: u64,
    /// What was read of them.
    pub rest: Bytes,
}

/// Reads the header from a file's text.
pub async fn read_head(
    source: &Source,
    text: &mut BoxStream<'static, Result<Bytes>>,
    reading: &Reading,
    format: &Format,
) -> Result<Head> {
    let mut read = BytesMut::new();
    loop {
        let piece = text.try_next().await.map_err(|error| source.named(&error))?;
        let last = piece.is_none();
        read.extend_from_slice(&piece.unwrap_or_default());
        if let Some((record, end)) = first_record(&reading.dialect, &read, last) {
            let names = names(format, &read[record..end]).map_err(|e| source.error(format!("its header: {e}")))?;
            let rest = read.freeze().slice(end..);
            return Ok(Head { names: Some(names), end: end as u64, rest });
        }
        if last {
            return Ok(Head { names: None, end: read.len() as u64, rest: Bytes::new() });
        }
        if read.len() > reading.max_record {
            return Err(source.error(format!("its header is longer than {} bytes", reading.max_record)));
        }
    }
}

/// The first record, behind empty lines and comments; none if it does not end in the text and the text goes on.
fn first_record(dialect: &Dialect, text: &[u8], last: bool) -> Option<(usize, usize)> {
    let mut from = TextFile::mark(text);
    let mut scanner = Scanner::new(*dialect, State::Start);
    while from < text.len() {
        let other = dialect.ends(text[from]) || dialect.comment == Some(text[from]);
        let seen = scanner.find_boundary(&text[from..]);
        let ended = seen.boundary.is_some() || (last && !scanner.state.is_open());
        if !ended {
            return None;
        }
        if !other {
            return Some((from, from + seen.read));
        }
        from += seen.read;
    }
    None
}

/// The names in a header, each once: names that were there before get a number, and missing ones are made up.
pub fn names(format: &Format, header: &[u8]) -> Result<Vec<String>, arrow::error::ArrowError> {
    let (schema, _) = format.clone().with_header(true).infer_schema(header, Some(0))?;
    let mut taken = BTreeSet::new();
    let unique = |(place, name): (usize, &String)| {
        let name = if name.trim().is_empty() { format!("column_{}", place + 1) } else { name.clone() };
        let mut unique = name.clone();
        let mut number = 2;
        while !taken.insert(unique.to_ascii_lowercase()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    };
    Ok(schema.fields().iter().map(|field| field.name()).enumerate().map(unique).collect())
}

/// For each of a table's columns its place in the file, by name: the same letters, else the same letters in another case.
/// An error if the file has none of the columns.
pub fn places(names: &[String], columns: &Schema) -> Result<Vec<Option<usize>>, String> {
    let find = |column: &String| {
        let exact = names.iter().position(|name| name == column);
        // What is another column's by its very letters is not this one's too.
        let free = |name: &String| name.eq_ignore_ascii_case(column) && columns.index_of(name).is_err();
        exact.or_else(|| names.iter().position(free))
    };
    let places: Vec<Option<usize>> = columns.fields().iter().map(|field| find(field.name())).collect();
    if places.iter().all(Option::is_none) && !columns.fields().is_empty() {
        let few = |names: Vec<&String>| {
            let more = if names.len() > 5 { ", …" } else { "" };
            let quoted: Vec<String> = names.iter().take(5).map(|name| format!("'{}'", name.escape_debug())).collect();
            format!("{}{more}", quoted.join(", "))
        };
        let columns: Vec<&String> = columns.fields().iter().map(|field| field.name()).collect();
        return Err(format!(
            "its header has none of the columns: there are {}, and the columns are {}. If the file has no header, say \
             OPTIONS (has_header 'false')",
            few(names.iter().collect()),
            few(columns)
        ));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    const DIALECT: Dialect =
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comment: Some(b'#'), terminator: None };

    #[test]
    fn the_header_is_the_first_record_behind_mark_comments_and_empty_lines() {
        let text = "\u{feff}\n# \"a,b\r\n\r\nid,\"na\nme\",id,\n1,2,3,4\n".as_bytes();
        let (from, to) = first_record(&DIALECT, text, false).unwrap();
        assert_eq!(&text[from..to], b"id,\"na\nme\",id,\n");
        assert_eq!(names(&Format::default(), &text[from..to]).unwrap(), ["id", "na\nme", "id_2", "column_4"]);
        assert_eq!(first_record(&DIALECT, b"id,\"na\nme", false), None);
        assert_eq!(first_record(&DIALECT, b"id,name", false), None);
        assert_eq!(first_record(&DIALECT, b"id,name", true), Some((0, 7)));
        assert_eq!(first_record(&DIALECT, b"\n#x", true), None);
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        let field = |name: &str| Field::new(name, DataType::Utf8, true);
        let columns = Schema::new(vec![field("a"), field("b"), field("missing")]);
        let names = ["B".to_owned(), "x".to_owned(), "a".to_owned()];
        assert_eq!(places(&names, &columns).unwrap(), [Some(2), Some(0), None]);
        let both = Schema::new(vec![field("id"), field("ID")]);
        assert_eq!(places(&["ID".to_owned()], &both).unwrap(), [None, Some(0)], "one value is not in two columns");
        let error = places(&["1".to_owned(), "2".to_owned()], &columns).unwrap_err();
        assert!(error.contains("'1', '2'") && error.contains("has_header 'false'"), "{error}");
    }
}

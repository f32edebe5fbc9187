//! Conditional requests: `If-Match` and its like, for reading and for writing.

use crate::clock::parse_http_date;
use crate::head::Head;
use crate::objects::Object;

/// Why an object is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotRead {
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Why an object is not written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotWritten {
    /// `If-None-Match: *`, and it is there.
    Exists,
    /// `If-Match`, and it is another.
    Changed,
    /// `If-Match`, and it is not there.
    Missing,
}

/// Whether a list of ETags holds this one.
fn lists(header: &str, etag: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    header.trim() == "*" || header.split(',').any(|one| bare(one) == etag)
}

/// Whether the object may be read as the request wants.
pub(crate) fn for_reading(head: &Head, object: &Object) -> Result<(), NotRead> {
    let date = |name: &str| head.header(name).and_then(parse_http_date);
    match head.header("if-match") {
        Some(etags) if !lists(etags, &object.etag) => return Err(NotRead::Failed),
        Some(_) => {}
        None if date("if-unmodified-since").is_some_and(|since| object.modified > since) => {
            return Err(NotRead::Failed);
        }
        None => {}
    }
    match head.header("if-none-match") {
        Some(etags) if lists(etags, &object.etag) => Err(NotRead::NotModified),
        Some(_) => Ok(()),
        None if date("if-modified-since").is_some_and(|since| object.modified <= since) => Err(NotRead::NotModified),
        None => Ok(()),
    }
}

/// Whether what is there now may be written over as the request wants.
pub(crate) fn for_writing(head: &Head, current: Option<&Object>) -> Result<(), NotWritten> {
    if let Some(etags) = head.header("if-none-match")
        && current.is_some_and(|object| lists(etags, &object.etag))
    {
        return Err(NotWritten::Exists);
    }
    match (head.header("if-match"), current) {
        (Some(_), None) => Err(NotWritten::Missing),
        (Some(etags), Some(object)) if !lists(etags, &object.etag) => Err(NotWritten::Changed),
        _ => Ok(()),
    }
}

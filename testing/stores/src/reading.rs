//! Answers to GET and HEAD, alike in every protocol but for the texts of errors.

use crate::answer::Answer;
use crate::clock::http_date;
use crate::conditions::{NotRead, for_reading};
use crate::head::Head;
use crate::objects::Object;
use crate::ranges::{Asked, asked};

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// 304: the client has it.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416: the object has so many bytes.
    OutOfRange(usize),
}

/// The object, or the part of it that is asked for. `range` is the header that counts; without one the whole is given.
pub(crate) fn read(head: &Head, object: &Object, range: Option<&str>) -> Result<Answer, Refused> {
    for_reading(head, object).map_err(|refused| match refused {
        NotRead::NotModified => Refused::NotModified,
        NotRead::Failed => Refused::PreconditionFailed,
    })?;
    let size = object.body.len();
    let mut answer = match asked(range, size) {
        Asked::Whole => Answer::with_body(200, object.body.clone()),
        Asked::Nothing => return Err(Refused::OutOfRange(size)),
        Asked::Part(part) => {
            let said = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            Answer::with_body(206, object.body.slice(part)).header("content-range", &said)
        }
    };
    for (name, value) in &object.headers {
        answer = answer.header(name, value);
    }
    if !object.etag.is_empty() {
        answer = answer.header("etag", &format!("\"{}\"", object.etag));
    }
    Ok(answer.header("last-modified", &http_date(object.modified)))
}

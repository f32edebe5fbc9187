//! [`Error`] as a gRPC [`Status`] and back. Typed all the way: the kind, the text (at most
//! [`limits::MAX_ERROR_BYTES`]) and the lost attempts ride in the status' details; the status' own text is short, for
//! people with other clients, because it is percent-encoded into a header of limited size.
//!
//! A status without our details was not made by our code: a broken connection, or a foreign server. [`from_status`]
//! gives it the nearest kind; [`is_ours`] tells the two apart.

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};
use windrow_common::{AttemptId, Error, ErrorKind, limits};

#[allow(missing_docs, clippy::all, clippy::pedantic)]
mod wire {
    tonic::include_proto!("windrow.status.v1");
}

/// Lost attempts named in one status. Those left out are found when the reader tries again.
const MAX_LOST_ATTEMPTS: usize = 128;
/// Bytes of the text that foreign clients see.
const MAX_SUMMARY_BYTES: usize = 512;
/// Bytes of the text that foreign clients see when there are no details: percent-encoded, it must fit into headers of
/// 8 KiB.
const MAX_FOREIGN_BYTES: usize = 2 << 10;

/// The status that carries this error.
pub fn to_status(error: &Error) -> Status {
    let detail = detail_of(error);
    let summary = truncated(&error.message, MAX_SUMMARY_BYTES);
    Status::with_details(code(&error.kind), summary, Bytes::from(detail.encode_to_vec()))
}

/// The status that carries this error to clients of others: those that speak gRPC's own error model would take our
/// details for something else, so the kind is in the code and the text in the message.
pub fn to_foreign_status(error: &Error) -> Status {
    Status::new(code(&error.kind), truncated(&error.message, MAX_FOREIGN_BYTES))
}

fn detail_of(error: &Error) -> wire::ErrorDetail {
    wire::ErrorDetail {
        kind: kind_to_wire(&error.kind) as i32,
        message: truncated(&error.message, limits::MAX_ERROR_BYTES),
        attempts: match &error.kind {
            ErrorKind::LostInput(attempts) => attempts.iter().take(MAX_LOST_ATTEMPTS).map(|a| id_bytes(a.0)).collect(),
            _ => Vec::new(),
        },
    }
}

/// The error that a status carries; for a status without our details, the nearest kind.
pub fn from_status(status: &Status) -> Error {
    match detail(status) {
        Some(detail) => Error::new(kind_from_wire(&detail), detail.message),
        None => Error::new(kind_of_code(status.code()), foreign_message(status)),
    }
}

/// Whether the status was made by [`to_status`], and not by a broken connection or a foreign server.
pub fn is_ours(status: &Status) -> bool {
    detail(status).is_some()
}

/// An error inside a message of the control protocol.
pub fn failure_to_wire(error: &Error) -> crate::control::Failure {
    let detail = detail_of(error);
    crate::control::Failure { kind: detail.kind as u32, message: detail.message, attempts: detail.attempts }
}

/// The inverse of [`failure_to_wire`].
pub fn failure_from_wire(failure: crate::control::Failure) -> Error {
    let kind = i32::try_from(failure.kind).unwrap_or_default();
    let detail = wire::ErrorDetail { kind, message: failure.message, attempts: failure.attempts };
    Error::new(kind_from_wire(&detail), detail.message)
}

/// A 128-bit id as it travels: 16 bytes, big-endian.
pub fn id_bytes(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

/// The 128-bit id in these bytes; none unless there are exactly 16.
pub fn id_from_bytes(bytes: &[u8]) -> Option<u128> {
    Some(u128::from_be_bytes(bytes.try_into().ok()?))
}

fn detail(status: &Status) -> Option<wire::ErrorDetail> {
    if status.details().is_empty() {
        return None;
    }
    let detail = wire::ErrorDetail::decode(status.details()).ok()?;
    (detail.kind() != wire::ErrorKind::Unspecified).then_some(detail)
}

fn foreign_message(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    truncated(&text, limits::MAX_ERROR_BYTES)
}

/// The longest prefix of at most `max` bytes that ends at a character, with a sign when something was cut off.
fn truncated(text: &str, max: usize) -> String {
    const CUT: &str = " …";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

fn code(kind: &ErrorKind) -> Code {
    match kind {
        ErrorKind::User => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Io => Code::Aborted,
        ErrorKind::OutOfMemory | ErrorKind::Limit => Code::ResourceExhausted,
        ErrorKind::LostInput(_) => Code::DataLoss,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Version => Code::FailedPrecondition,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    }
}

fn kind_of_code(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument => ErrorKind::User,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::Aborted | Code::DataLoss => ErrorKind::Io,
        Code::ResourceExhausted | Code::OutOfRange => ErrorKind::Limit,
        Code::Unavailable | Code::Unknown | Code::DeadlineExceeded => ErrorKind::Unavailable,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::FailedPrecondition => ErrorKind::Version,
        Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Unsupported,
        Code::Internal | Code::Ok => ErrorKind::Internal,
    }
}

fn kind_to_wire(kind: &ErrorKind) -> wire::ErrorKind {
    match kind {
        ErrorKind::User => wire::ErrorKind::User,
        ErrorKind::NotFound => wire::ErrorKind::NotFound,
        ErrorKind::AlreadyExists => wire::ErrorKind::AlreadyExists,
        ErrorKind::Io => wire::ErrorKind::Io,
        ErrorKind::OutOfMemory => wire::ErrorKind::OutOfMemory,
        ErrorKind::LostInput(_) => wire::ErrorKind::LostInput,
        ErrorKind::Unavailable => wire::ErrorKind::Unavailable,
        ErrorKind::Cancelled => wire::ErrorKind::Cancelled,
        ErrorKind::Limit => wire::ErrorKind::Limit,
        ErrorKind::Version => wire::ErrorKind::Version,
        ErrorKind::Unsupported => wire::ErrorKind::Unsupported,
        ErrorKind::Internal => wire::ErrorKind::Internal,
    }
}

fn kind_from_wire(detail: &wire::ErrorDetail) -> ErrorKind {
    match detail.kind() {
        wire::ErrorKind::User => ErrorKind::User,
        wire::ErrorKind::NotFound => ErrorKind::NotFound,
        wire::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        wire::ErrorKind::Io => ErrorKind::Io,
        wire::ErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
        wire::ErrorKind::LostInput => {
            ErrorKind::LostInput(detail.attempts.iter().filter_map(|a| id_from_bytes(a)).map(AttemptId).collect())
        }
        wire::ErrorKind::Unavailable => ErrorKind::Unavailable,
        wire::ErrorKind::Cancelled => ErrorKind::Cancelled,
        wire::ErrorKind::Limit => ErrorKind::Limit,
        wire::ErrorKind::Version => ErrorKind::Version,
        wire::ErrorKind::Unsupported => ErrorKind::Unsupported,
        wire::ErrorKind::Internal | wire::ErrorKind::Unspecified => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        let lost = ErrorKind::LostInput(vec![AttemptId(1), AttemptId(u128::MAX)]);
        for kind in [
            ErrorKind::User,
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Io,
            ErrorKind::OutOfMemory,
            lost,
            ErrorKind::Unavailable,
            ErrorKind::Cancelled,
            ErrorKind::Limit,
            ErrorKind::Version,
            ErrorKind::Unsupported,
            ErrorKind::Internal,
        ] {
            let error = Error::new(kind, "what → was wrong");
            let status = to_status(&error);
            assert!(is_ours(&status));
            assert_eq!(from_status(&status), error);
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let error = Error::user("→".repeat(10_000));
        let back = from_status(&to_status(&error));
        assert!(
            back.message.len() <= limits::MAX_ERROR_BYTES && back.message.ends_with(" …"),
            "{}",
            back.message.len()
        );
        assert!(to_status(&error).details().len() + MAX_SUMMARY_BYTES * 3 < 8 << 10);
    }

    #[test]
    fn foreign_statuses_get_the_nearest_kind() {
        assert!(!is_ours(&Status::unavailable("x")));
        assert_eq!(from_status(&Status::unavailable("gone")).kind, ErrorKind::Unavailable);
        let garbage = Status::with_details(Code::Unknown, "x", Bytes::from_static(b"\xff\xff\xff"));
        assert_eq!(from_status(&garbage).kind, ErrorKind::Unavailable);
    }
}

//! An answer before it is sent: status, headers, all of the body.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;

/// What a protocol answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the length is said at all; without it the body is sent in chunks.
    pub(crate) says_length: bool,
}

impl Answer {
    /// This status and no body.
    pub(crate) fn empty(status: u16) -> Answer {
        Answer::with_body(status, Bytes::new())
    }

    pub(crate) fn with_body(status: u16, body: Bytes) -> Answer {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Answer { status, headers: HeaderMap::new(), body, says_length: true }
    }

    pub(crate) fn xml(status: u16, text: &str) -> Answer {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
        Answer::with_body(status, Bytes::from(text)).header("content-type", "application/xml")
    }

    pub(crate) fn text(status: u16, text: &str) -> Answer {
        Answer::with_body(status, Bytes::from(text.to_owned())).header("content-type", "text/plain")
    }

    /// Adds a header; one that cannot be sent is left out.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Answer {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
        self
    }
}

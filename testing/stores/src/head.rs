//! The head of a request: method, path, query and headers, decoded as every protocol here needs them.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What the signatures of S3 do not encode.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request without its body.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// The path as it was sent, with its slash.
    pub(crate) raw_path: String,
    /// The query, decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
}

impl Head {
    pub(crate) fn of(parts: &Parts) -> Head {
        let raw_query = parts.uri.query().unwrap_or_default();
        let query = raw_query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_form(name), decode_form(value))
        });
        Head {
            method: parts.method.clone(),
            raw_path: parts.uri.path().to_owned(),
            query: query.collect(),
            headers: parts.headers.clone(),
        }
    }

    /// The value of this name in the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A header, as far as it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first part of the path, and the rest without the slash between, both decoded.
    pub(crate) fn bucket_and_key(&self) -> (String, String) {
        let path = self.raw_path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (decode(bucket), decode(key))
    }
}

/// Undoes percent encoding.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The same for queries, where a plus is a space.
fn decode_form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

/// Encodes everything but letters, digits and `-_.~`.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, &UNRESERVED).to_string()
}

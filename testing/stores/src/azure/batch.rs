//! Batches: many deletes in one request, each signed for itself.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;

use super::blobs::{Blobs, refusal};
use crate::answer::Answer;
use crate::front::Protocol;
use crate::head::Head;
use crate::seen::Operation;

/// The most requests of a batch.
const MOST: usize = 256;
const BOUNDARY: &str = "batchresponse_test";

/// One part of a batch: the id that its answer is known by, and the request.
fn part(text: &str) -> Option<(String, Head)> {
    let (own, request) = text.split_once("\r\n\r\n")?;
    let id = headers(own).get("content-id")?.to_str().ok()?.to_owned();
    let (line, rest) = request.split_once("\r\n")?;
    let path = line.strip_prefix("DELETE ")?.strip_suffix(" HTTP/1.1")?;
    let head = Head { method: Method::DELETE, raw_path: path.to_owned(), query: Vec::new(), headers: headers(rest) };
    Some((id, head))
}

fn headers(text: &str) -> HeaderMap {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(value.trim()).ok()?))
        })
        .collect()
}

impl Blobs {
    pub(super) fn batch(&self, head: &Head, body: &[u8]) -> Answer {
        let boundary = head.header("content-type").and_then(|kind| kind.strip_prefix("multipart/mixed; boundary="));
        let (Some(boundary), Ok(body)) = (boundary, std::str::from_utf8(body)) else {
            return refusal(400, "InvalidHeaderValue");
        };
        let marker = format!("--{boundary}");
        // What stands before the first marker is nothing, and after the last `--`.
        let texts = body.split(marker.as_str()).skip(1).filter(|text| !text.starts_with("--"));
        let Some(parts) = texts.map(|text| part(text.trim_start())).collect::<Option<Vec<_>>>() else {
            return refusal(400, "InvalidInput");
        };
        if parts.is_empty() || parts.len() > MOST {
            return refusal(400, "InvalidInput");
        }
        let mut answers = String::new();
        for (id, head) in parts {
            let seen = self.seen(&head);
            let answer = match seen.operation {
                Operation::Delete => self.carry_out(&seen, &head, Bytes::new()),
                _ => refusal(400, "InvalidInput"),
            };
            let code = answer.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok()).unwrap_or("Accepted");
            answers += &format!(
                "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\nHTTP/1.1 {} {code}\r\n\
                 x-ms-request-id: test\r\n\r\n",
                answer.status.as_u16()
            );
        }
        answers += &format!("--{BOUNDARY}--\r\n");
        let kind = format!("multipart/mixed; boundary={BOUNDARY}");
        Answer::with_body(202, Bytes::from(answers)).header("content-type", &kind)
    }
}

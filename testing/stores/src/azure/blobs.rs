//! Blobs: which request is for what, who may ask, and what is there.

use std::sync::{Mutex, MutexGuard};

use axum::http::Method;
use bytes::Bytes;

use super::blocks::Blocks;
use super::shared_key::is_signed;
use crate::answer::Answer;
use crate::clock::{http_date, true_time};
use crate::conditions::{NotWritten, for_writing};
use crate::front::Protocol;
use crate::head::{Head, decode};
use crate::listing::{Start, page};
use crate::objects::{Bucket, Object};
use crate::reading::{Refused, read};
use crate::seen::{Operation, Seen};
use crate::xml::escape;

/// The most names of a page.
const PAGE: usize = 5000;
/// Properties that are given with `x-ms-blob-…` and read without.
const PROPERTIES: [&str; 5] =
    ["content-type", "content-encoding", "content-language", "content-disposition", "cache-control"];

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) bucket: Bucket,
    pub(super) blocks: Blocks,
}

/// The account behind a server, with its one container.
#[derive(Debug)]
pub(super) struct Blobs {
    account: String,
    key: String,
    container: String,
    held: Mutex<Held>,
}

impl Blobs {
    pub(super) fn new(account: &str, key: &str, container: &str) -> Blobs {
        let (account, key, container) = (account.to_owned(), key.to_owned(), container.to_owned());
        Blobs { account, key, container, held: Mutex::default() }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub(super) fn put(&self, key: &str, contents: Bytes) {
        self.held().bucket.put(key, Object::new(contents, true_time(), Vec::new()));
    }

    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        self.held().bucket.get(key).map(|object| object.body)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.held().bucket.stored_keys()
    }

    pub(super) fn carry_out(&self, seen: &Seen, head: &Head, body: Bytes) -> Answer {
        if head.header("authorization").is_none() {
            return refusal(401, "NoAuthenticationInformation");
        }
        if !is_signed(head, &self.account, &self.key) {
            return refusal(403, "AuthenticationFailed");
        }
        if seen.bucket != self.container {
            return refusal(404, "ContainerNotFound");
        }
        match seen.operation {
            Operation::Get | Operation::Head => self.read(seen, head),
            Operation::Put => self.write(seen, head, body, properties(head)),
            Operation::Copy => self.copy(seen, head),
            Operation::Delete => self.remove(seen),
            Operation::DeleteMany => self.batch(head, &body),
            Operation::List => self.list(head),
            Operation::UploadPart => self.put_block(seen, head, body),
            Operation::CompleteUpload => self.put_block_list(seen, head, &body),
            _ => refusal(501, "NotImplemented"),
        }
    }

    fn read(&self, seen: &Seen, head: &Head) -> Answer {
        let Some(object) = self.held().bucket.get(&seen.key) else { return refusal(404, "BlobNotFound") };
        // Azure knows no suffixes; it takes such a header for none.
        let range = head.header("x-ms-range").or(head.header("range")).filter(|range| !range.starts_with("bytes=-"));
        match read(head, &object, range) {
            Ok(answer) => answer.header("x-ms-blob-type", "BlockBlob").header("accept-ranges", "bytes"),
            Err(Refused::NotModified) => Answer::empty(304),
            Err(Refused::PreconditionFailed) => refusal(412, "ConditionNotMet"),
            Err(Refused::OutOfRange(_)) => refusal(416, "InvalidRange"),
        }
    }

    pub(super) fn write(&self, seen: &Seen, head: &Head, body: Bytes, properties: Vec<(String, String)>) -> Answer {
        let object = Object::new(body, true_time(), properties);
        let mut held = self.held();
        match for_writing(head, held.bucket.get(&seen.key).as_ref()) {
            Err(NotWritten::Exists) => return refusal(409, "BlobAlreadyExists"),
            Err(_) => return refusal(412, "ConditionNotMet"),
            Ok(()) => {}
        }
        let answer = Answer::empty(201).header("etag", &format!("\"{}\"", object.etag));
        let answer = answer.header("last-modified", &http_date(object.modified));
        held.bucket.put(&seen.key, object);
        held.blocks.forget(&seen.key);
        answer
    }

    fn copy(&self, seen: &Seen, head: &Head) -> Answer {
        let source = head.header("x-ms-copy-source").unwrap_or("");
        let marker = format!("/{}/{}/", self.account, self.container);
        let key = source.split_once(&marker).map(|(_, key)| decode(key.split('?').next().unwrap_or(key)));
        let Some(object) = key.and_then(|key| self.held().bucket.get(&key)) else {
            return refusal(404, "CannotVerifyCopySource");
        };
        let mut answer = self.write(seen, head, object.body, object.headers);
        if answer.status == 201 {
            answer = answer.header("x-ms-copy-status", "success").header("x-ms-copy-id", "test");
            answer.status = axum::http::StatusCode::ACCEPTED;
        }
        answer
    }

    fn remove(&self, seen: &Seen) -> Answer {
        match self.held().bucket.delete(&seen.key) {
            true => Answer::empty(202),
            false => refusal(404, "BlobNotFound"),
        }
    }

    fn list(&self, head: &Head) -> Answer {
        let (prefix, delimiter) = (head.query("prefix").unwrap_or(""), head.query("delimiter").unwrap_or(""));
        let most = head.query("maxresults").and_then(|most| most.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let start = match head.query("marker").filter(|marker| !marker.is_empty()) {
            Some(marker) => match Start::of_token(marker) {
                Some(start) => Some(start),
                None => return refusal(400, "OutOfRangeInput"),
            },
            None => head.query("startFrom").map(|name| Start::At(name.to_owned())),
        };
        let page = page(&self.held().bucket, prefix, delimiter, start.as_ref(), most);
        let mut xml = format!("<EnumerationResults ContainerName=\"{}\"><Blobs>", escape(&self.container));
        for (name, object) in &page.objects {
            let kind = object.headers.iter().find(|(name, _)| name == "content-type");
            let kind = kind.map_or("application/octet-stream", |(_, value)| value);
            xml += &format!(
                "<Blob><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
                 <Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><BlobType>BlockBlob</BlobType>\
                 </Properties></Blob>",
                escape(name),
                http_date(object.modified),
                object.etag,
                object.body.len(),
                escape(kind)
            );
        }
        for name in &page.prefixes {
            xml += &format!("<BlobPrefix><Name>{}</Name></BlobPrefix>", escape(name));
        }
        let next = page.next.map(|next| next.token()).unwrap_or_default();
        Answer::xml(200, &format!("{xml}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"))
    }
}

/// What of a write belongs to the blob.
pub(super) fn properties(head: &Head) -> Vec<(String, String)> {
    let named = PROPERTIES.iter().filter_map(|name| {
        let value = head.header(&format!("x-ms-blob-{name}"))?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let meta = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-meta-"));
    named
        .chain(meta.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))))
        .collect()
}

/// An error as Azure says it.
pub(super) fn refusal(status: u16, code: &str) -> Answer {
    let answer = Answer::xml(status, &format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"));
    let answer = answer.header("x-ms-error-code", code);
    if status == 503 { answer.header("retry-after", "1") } else { answer }
}

impl Protocol for Blobs {
    fn seen(&self, head: &Head) -> Seen {
        let (_account, rest) = head.raw_path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let (container, name) = rest.split_once('/').unwrap_or((rest, ""));
        let comp = head.query("comp").unwrap_or("");
        let operation = match (head.method.as_str(), name.is_empty(), comp) {
            ("GET", true, "list") => Operation::List,
            ("GET", false, "") => Operation::Get,
            ("HEAD", false, "") => Operation::Head,
            ("PUT", false, "block") => Operation::UploadPart,
            ("PUT", false, "blocklist") => Operation::CompleteUpload,
            ("PUT", false, "") if head.header("x-ms-copy-source").is_some() => Operation::Copy,
            ("PUT", false, "") => Operation::Put,
            ("POST", true, "batch") => Operation::DeleteMany,
            ("DELETE", false, "") => Operation::Delete,
            _ => Operation::Other,
        };
        Seen {
            operation,
            method: head.method.to_string(),
            bucket: decode(container),
            key: decode(name),
            query: head.query.clone(),
            range: head.header("x-ms-range").or(head.header("range")).map(str::to_owned),
        }
    }

    fn answer(&self, seen: &Seen, head: &Head, body: Bytes, ignore_conditions: bool) -> Answer {
        if ignore_conditions && matches!(head.method, Method::PUT) && is_signed(head, &self.account, &self.key) {
            // What is there is taken away first, so that nothing is in the way of a condition.
            self.held().bucket.delete(&seen.key);
        }
        self.carry_out(seen, head, body)
    }

    fn error(&self, status: u16, _seen: &Seen) -> Answer {
        match status {
            500 => refusal(500, "InternalError"),
            503 => refusal(503, "ServerBusy"),
            status => refusal(status, "AnErrorThatWasAskedFor"),
        }
    }

    fn replace(&self, _bucket: &str, key: &str, contents: Option<Bytes>) {
        match contents {
            Some(contents) => self.put(key, contents),
            None => {
                self.held().bucket.delete(key);
            }
        }
    }
}

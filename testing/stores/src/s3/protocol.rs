//! Which request is for what, who may ask, and what is there. GCS's XML protocol is a dialect of the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use axum::http::Method;
use bytes::Bytes;

use super::chunked;
use super::config::Config;
use super::refusal::Refusal;
use super::signature::{self, Keys};
use crate::answer::Answer;
use crate::clock::Clock;
use crate::front::Protocol;
use crate::gcs::Issuer;
use crate::head::Head;
use crate::objects::{Bucket, Object};
use crate::seen::{Operation, Seen};
use crate::uploads::Uploads;

/// What a request that was carried out, or not, is answered with.
pub(super) type Outcome = Result<Answer, Refusal>;

/// How requests are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    S3,
    Gcs,
}

/// Who may ask.
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// Everybody.
    Open,
    /// Who has these keys.
    Signature(Keys),
    /// Who has a token that this issuer's key has signed.
    Token(Issuer),
}

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) uploads: Uploads,
}

/// The store behind a server.
#[derive(Debug)]
pub(crate) struct S3 {
    pub(super) dialect: Dialect,
    guard: Guard,
    held: Mutex<Held>,
    clock: Clock,
    pub(super) least_part: usize,
    conditions: bool,
}

impl S3 {
    pub(crate) fn new(config: &Config, dialect: Dialect, guard: Guard) -> S3 {
        let mut held = Held::default();
        for (index, name) in config.buckets.iter().enumerate() {
            let synthetic = if index == 0 { config.synthetic.clone() } else { Vec::new() };
            held.buckets.insert(name.clone(), Bucket::with_synthetic(synthetic));
        }
        S3 {
            dialect,
            guard,
            held: Mutex::new(held),
            clock: Clock::default(),
            least_part: config.least_part,
            conditions: config.conditions,
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, contents: Bytes) {
        let object = Object::new(contents, self.now(), Vec::new());
        self.held().buckets.entry(bucket.to_owned()).or_default().put(key, object);
    }

    pub(crate) fn get(&self, bucket: &str, key: &str) -> Option<Object> {
        self.held().buckets.get(bucket)?.get(key)
    }

    pub(crate) fn delete(&self, bucket: &str, key: &str) -> bool {
        self.held().buckets.get_mut(bucket).is_some_and(|bucket| bucket.delete(key))
    }

    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        self.held().buckets.get(bucket).map(Bucket::stored_keys).unwrap_or_default()
    }

    pub(crate) fn uploads(&self, bucket: &str) -> Vec<(String, String)> {
        self.held().uploads.of_bucket(bucket).into_keys().collect()
    }

    /// The name of a header in this dialect: `x-amz-…` or `x-goog-…`.
    pub(super) fn own(&self, name: &str) -> String {
        match self.dialect {
            Dialect::S3 => format!("x-amz-{name}"),
            Dialect::Gcs => format!("x-goog-{name}"),
        }
    }

    fn admit(&self, head: &Head, body: &[u8]) -> Result<(), Refusal> {
        match &self.guard {
            Guard::Open => Ok(()),
            Guard::Signature(keys) => signature::verify(head, body, keys),
            Guard::Token(issuer) => issuer.verify(head.header("authorization")),
        }
    }

    fn operation(&self, head: &Head, key: &str) -> Operation {
        let has = |name: &str| head.query(name).is_some();
        let copies = head.headers.contains_key(self.own("copy-source"));
        match (head.method.as_str(), key.is_empty()) {
            ("GET", true) if has("uploads") => Operation::ListUploads,
            ("GET", true) if has("list-type") => Operation::List,
            ("GET", false) if has("uploadId") => Operation::ListParts,
            ("GET", false) => Operation::Get,
            ("HEAD", false) => Operation::Head,
            ("PUT", false) if has("partNumber") => Operation::UploadPart,
            ("PUT", false) if copies => Operation::Copy,
            ("PUT", false) => Operation::Put,
            ("POST", true) if has("delete") => Operation::DeleteMany,
            ("POST", false) if has("uploads") => Operation::CreateUpload,
            ("POST", false) if has("uploadId") => Operation::CompleteUpload,
            ("DELETE", false) if has("uploadId") => Operation::AbortUpload,
            ("DELETE", false) => Operation::Delete,
            _ => Operation::Other,
        }
    }

    fn carry_out(&self, seen: &Seen, head: &Head, body: Bytes) -> Outcome {
        refuse_what_is_not_there(head, seen)?;
        let body = chunked::decoded(head, body)?;
        if seen.operation == Operation::Other {
            return self.bucket_itself(seen, head);
        }
        if !self.held().buckets.contains_key(&seen.bucket) {
            return Err(Refusal::new(404, "NoSuchBucket", format!("There is no bucket '{}'.", seen.bucket)));
        }
        match seen.operation {
            Operation::Get | Operation::Head => self.read(seen, head),
            Operation::Put => self.write(seen, head, body),
            Operation::Copy => self.copy(seen, head),
            Operation::Delete => self.remove(seen),
            Operation::DeleteMany => self.remove_many(seen, head, &body),
            Operation::List => self.list(seen, head),
            Operation::CreateUpload => self.begin_upload(seen, head),
            Operation::UploadPart => self.upload_part(seen, head, body),
            Operation::CompleteUpload => self.complete_upload(seen, head, &body),
            Operation::AbortUpload => self.abort_upload(seen, head),
            Operation::ListUploads => self.list_uploads(seen, head),
            Operation::ListParts => self.list_parts(seen, head),
            Operation::Other => Err(Refusal::not_implemented("such request")),
        }
    }
}

/// Parts of the protocol that this server does not have, by what names them in the query.
fn refuse_what_is_not_there(head: &Head, seen: &Seen) -> Result<(), Refusal> {
    for name in ["tagging", "acl", "versions", "attributes", "retention", "legal-hold", "policy", "select", "torrent"] {
        if head.query(name).is_some() {
            return Err(Refusal::not_implemented(name));
        }
    }
    if head.query("versionId").is_some_and(|version| version != "null") {
        return Err(Refusal::new(404, "NoSuchVersion", "The specified version does not exist."));
    }
    if seen.operation == Operation::Get && head.query("partNumber").is_some() {
        return Err(Refusal::not_implemented("reading of single parts"));
    }
    Ok(())
}

fn without_conditions(head: &Head) -> Head {
    let mut plain = head.clone();
    for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "x-goog-if-generation-match"]
    {
        plain.headers.remove(name);
    }
    plain
}

impl Protocol for S3 {
    fn seen(&self, head: &Head) -> Seen {
        let (bucket, key) = head.bucket_and_key();
        Seen {
            operation: self.operation(head, &key),
            method: head.method.to_string(),
            bucket,
            key,
            query: head.query.clone(),
            range: head.header("range").map(str::to_owned),
        }
    }

    fn answer(&self, seen: &Seen, head: &Head, body: Bytes, ignore_conditions: bool) -> Answer {
        let ignored = ignore_conditions || (!self.conditions && matches!(head.method, Method::PUT | Method::POST));
        // Signatures are of what was sent, so that conditions go only after they were verified.
        self.admit(head, &body)
            .and_then(|()| match ignored {
                true => self.carry_out(seen, &without_conditions(head), body),
                false => self.carry_out(seen, head, body),
            })
            .unwrap_or_else(|refusal| refusal.answer(&head.raw_path))
    }

    fn error(&self, status: u16, seen: &Seen) -> Answer {
        Refusal::of_status(status).answer(&format!("/{}/{}", seen.bucket, seen.key))
    }

    fn replace(&self, bucket: &str, key: &str, contents: Option<Bytes>) {
        match contents {
            Some(contents) => self.put(bucket, key, contents),
            None => {
                self.delete(bucket, key);
            }
        }
    }
}

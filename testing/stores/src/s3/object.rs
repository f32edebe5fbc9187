//! Objects: reading, writing, copying, deleting.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use sha2::Sha256;

use super::protocol::{Dialect, Held, Outcome, S3};
use super::refusal::Refusal;
use crate::answer::Answer;
use crate::clock::iso;
use crate::conditions::{NotWritten, for_writing};
use crate::head::{Head, decode};
use crate::objects::Object;
use crate::reading::{Refused, read};
use crate::seen::Seen;

/// Headers of a write that reads give back, beside those that begin with `x-amz-meta-` or `x-goog-meta-`.
const KEPT: [&str; 6] =
    ["content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires"];

/// What of a write belongs to the object.
pub(super) fn kept_headers(head: &Head) -> Vec<(String, String)> {
    let ours = |name: &str| KEPT.contains(&name) || name.starts_with("x-amz-meta-") || name.starts_with("x-goog-meta-");
    let headers = head.headers.iter().filter(|(name, _)| ours(name.as_str()));
    let texts = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    // How the body travelled is no property of the object.
    texts.filter(|(name, value)| name != "content-encoding" || value != "aws-chunked").collect()
}

/// What clients say of a body that is not as they say.
pub(super) fn check_digests(head: &Head, body: &[u8]) -> Result<(), Refusal> {
    let differs =
        |name: &str, digest: &[u8]| head.header(name).is_some_and(|said| said != BASE64_STANDARD.encode(digest));
    let has = |name: &str| head.headers.contains_key(name);
    let wrong = has("content-md5") && differs("content-md5", &Md5::digest(body))
        || has("x-amz-checksum-sha256") && differs("x-amz-checksum-sha256", &Sha256::digest(body));
    if wrong {
        return Err(Refusal::new(400, "BadDigest", "The checksum you specified did not match what we received."));
    }
    Ok(())
}

/// Gives back what the client has said of checksums.
pub(super) fn with_checksums(head: &Head, mut answer: Answer) -> Answer {
    for (name, value) in &head.headers {
        let sum = name.as_str().starts_with("x-amz-checksum-") && !name.as_str().ends_with("-algorithm");
        if let (true, Ok(value)) = (sum, value.to_str()) {
            answer = answer.header(name.as_str(), value);
        }
    }
    answer
}

/// The error of a write whose conditions do not hold.
pub(super) fn not_written(why: NotWritten) -> Refusal {
    match why {
        NotWritten::Missing => Refusal::of_status(404),
        NotWritten::Exists | NotWritten::Changed => Refusal::of_status(412),
    }
}

impl S3 {
    pub(super) fn read(&self, seen: &Seen, head: &Head) -> Outcome {
        let missing = || Refusal::of_status(404);
        let object = self.get(&seen.bucket, &seen.key).ok_or_else(missing)?;
        let generation = object.generation.to_string();
        match read(head, &object, head.header("range")) {
            Ok(answer) => Ok(self.with_generation(answer, &generation).header("accept-ranges", "bytes")),
            Err(Refused::NotModified) => Ok(Answer::empty(304).header("etag", &format!("\"{}\"", object.etag))),
            Err(Refused::PreconditionFailed) => Err(Refusal::of_status(412)),
            Err(Refused::OutOfRange(size)) => {
                let refusal = Refusal::new(416, "InvalidRange", "The requested range is not satisfiable");
                Ok(refusal.answer(&head.raw_path).header("content-range", &format!("bytes */{size}")))
            }
        }
    }

    pub(super) fn with_generation(&self, answer: Answer, generation: &str) -> Answer {
        match self.dialect {
            Dialect::S3 => answer,
            Dialect::Gcs => answer.header("x-goog-generation", generation),
        }
    }

    /// Whether the conditions of a write hold, in either dialect.
    pub(super) fn may_write(&self, held: &Held, seen: &Seen, head: &Head) -> Result<(), Refusal> {
        let current = held.buckets.get(&seen.bucket).and_then(|bucket| bucket.get(&seen.key));
        if let Some(wanted) = head.header("x-goog-if-generation-match") {
            let there = current.as_ref().map_or(0, |object| object.generation).to_string();
            return if wanted == there { Ok(()) } else { Err(Refusal::of_status(412)) };
        }
        for_writing(head, current.as_ref()).map_err(not_written)
    }

    /// Stores it if the conditions hold; the headers of the answer.
    pub(super) fn store(&self, held: &mut Held, seen: &Seen, head: &Head, object: Object) -> Outcome {
        self.may_write(held, seen, head)?;
        let etag = format!("\"{}\"", object.etag);
        let bucket = held.buckets.get_mut(&seen.bucket).ok_or_else(|| Refusal::of_status(404))?;
        let generation = bucket.put(&seen.key, object).to_string();
        Ok(self.with_generation(Answer::empty(200), &generation).header("etag", &etag))
    }

    pub(super) fn write(&self, seen: &Seen, head: &Head, body: Bytes) -> Outcome {
        check_digests(head, &body)?;
        let object = Object::new(body, self.now(), kept_headers(head));
        self.store(&mut self.held(), seen, head, object).map(|answer| with_checksums(head, answer))
    }

    /// The object that a copy is made of.
    pub(super) fn copied(&self, head: &Head) -> Result<Object, Refusal> {
        let source = head.header(&self.own("copy-source")).map(decode).unwrap_or_default();
        let source = source.strip_prefix('/').unwrap_or(&source);
        let (bucket, key) = source.split_once('/').unwrap_or((source, ""));
        let object = self.get(bucket, key).ok_or_else(|| Refusal::of_status(404))?;
        let bare = |name: &str| head.header(&self.own(name)).map(|etag| etag.trim_matches('"').to_owned());
        let changed = bare("copy-source-if-match").is_some_and(|etag| etag != object.etag);
        let same = bare("copy-source-if-none-match").is_some_and(|etag| etag == object.etag);
        if changed || same { Err(Refusal::of_status(412)) } else { Ok(object) }
    }

    pub(super) fn copy(&self, seen: &Seen, head: &Head) -> Outcome {
        let mut object = Object { modified: self.now(), ..self.copied(head)? };
        if head.header(&self.own("metadata-directive")) == Some("REPLACE") {
            object.headers = kept_headers(head);
        }
        let text = format!(
            "<CopyObjectResult><ETag>&quot;{}&quot;</ETag><LastModified>{}</LastModified></CopyObjectResult>",
            object.etag,
            iso(object.modified)
        );
        self.store(&mut self.held(), seen, head, object)?;
        Ok(Answer::xml(200, &text))
    }

    /// Deleting what is not there succeeds, as in S3; GCS says that it is not.
    pub(super) fn remove(&self, seen: &Seen) -> Outcome {
        match self.delete(&seen.bucket, &seen.key) || self.dialect == Dialect::S3 {
            true => Ok(Answer::empty(204)),
            false => Err(Refusal::of_status(404)),
        }
    }
}

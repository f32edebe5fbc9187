//! Uploads in parts.

use bytes::Bytes;

use super::bucket::{PAGE, page_size};
use super::object::{check_digests, kept_headers, with_checksums};
use super::protocol::{Outcome, S3};
use super::refusal::Refusal;
use crate::answer::Answer;
use crate::clock::iso;
use crate::head::Head;
use crate::objects::Object;
use crate::ranges::{Asked, asked};
use crate::seen::Seen;
use crate::uploads::{Incomplete, Part};
use crate::xml::{elements, escape, text};

/// The greatest number of a part.
const MAX_PARTS: u32 = 10_000;

fn no_such_upload() -> Refusal {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                   aborted or completed.";
    Refusal::new(404, "NoSuchUpload", message)
}

fn incomplete(why: Incomplete) -> Refusal {
    match why {
        Incomplete::Nothing => Refusal::new(400, "MalformedXML", "The XML you provided was not well-formed."),
        Incomplete::Part(number) => {
            Refusal::new(400, "InvalidPart", format!("Part {number} could not be found, or its ETag is another."))
        }
        Incomplete::Order => Refusal::new(400, "InvalidPartOrder", "The list of parts was not in ascending order."),
        Incomplete::Small(number) => {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            Refusal::new(400, "EntityTooSmall", format!("{message} (part {number})"))
        }
    }
}

impl S3 {
    pub(super) fn begin_upload(&self, seen: &Seen, head: &Head) -> Outcome {
        let id = self.held().uploads.begin(&seen.bucket, &seen.key, self.now(), kept_headers(head));
        let xml = format!(
            "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
             </InitiateMultipartUploadResult>",
            escape(&seen.bucket),
            escape(&seen.key)
        );
        Ok(Answer::xml(200, &xml))
    }

    pub(super) fn upload_part(&self, seen: &Seen, head: &Head, body: Bytes) -> Outcome {
        let number = head.query("partNumber").and_then(|number| number.parse().ok());
        let number = number.filter(|number| (1..=MAX_PARTS).contains(number)).ok_or_else(|| {
            Refusal::new(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        })?;
        check_digests(head, &body)?;
        let copies = head.headers.contains_key(self.own("copy-source"));
        let body = if copies { self.copied_part(head)? } else { body };
        let etag = Object::new(body.clone(), 0, Vec::new()).etag;
        let part = Part { body, etag: etag.clone(), modified: self.now() };
        let mut held = self.held();
        let id = head.query("uploadId").unwrap_or_default();
        let upload = held.uploads.get(&seen.bucket, &seen.key, id).ok_or_else(no_such_upload)?;
        let modified = iso(part.modified);
        upload.parts.insert(number, part);
        if copies {
            let xml = format!("<ETag>&quot;{etag}&quot;</ETag><LastModified>{modified}</LastModified>");
            return Ok(Answer::xml(200, &format!("<CopyPartResult>{xml}</CopyPartResult>")));
        }
        Ok(with_checksums(head, Answer::empty(200).header("etag", &format!("\"{etag}\""))))
    }

    fn copied_part(&self, head: &Head) -> Result<Bytes, Refusal> {
        let object = self.copied(head)?;
        match asked(head.header(&self.own("copy-source-range")), object.body.len()) {
            Asked::Whole => Ok(object.body),
            Asked::Part(part) => Ok(object.body.slice(part)),
            Asked::Nothing => Err(Refusal::new(416, "InvalidRange", "The requested range is not satisfiable")),
        }
    }

    pub(super) fn complete_upload(&self, seen: &Seen, head: &Head, body: &[u8]) -> Outcome {
        let malformed = || incomplete(Incomplete::Nothing);
        let request = std::str::from_utf8(body).map_err(|_| malformed())?;
        let named = elements(request, "Part").into_iter().map(|part| {
            let number = text(part, "PartNumber").and_then(|number| number.parse().ok());
            number.zip(text(part, "ETag")).ok_or_else(malformed)
        });
        let named = named.collect::<Result<Vec<(u32, String)>, Refusal>>()?;
        let id = head.query("uploadId").unwrap_or_default();
        let now = self.now();
        let mut held = self.held();
        let upload = held.uploads.get(&seen.bucket, &seen.key, id).ok_or_else(no_such_upload)?;
        let object = upload.complete(&named, self.least_part, now).map_err(incomplete)?;
        let etag = object.etag.clone();
        // An upload whose conditions do not hold stays: it may be completed later, or given up.
        let stored = self.store(&mut held, seen, head, object)?;
        held.uploads.remove(id);
        let xml = format!(
            "<CompleteMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><ETag>&quot;{etag}&quot;</ETag>\
             </CompleteMultipartUploadResult>",
            escape(&seen.bucket),
            escape(&seen.key)
        );
        let mut answer = Answer::xml(200, &xml);
        answer.headers.extend(stored.headers);
        Ok(answer)
    }

    pub(super) fn abort_upload(&self, seen: &Seen, head: &Head) -> Outcome {
        let id = head.query("uploadId").unwrap_or_default();
        let mut held = self.held();
        held.uploads.get(&seen.bucket, &seen.key, id).ok_or_else(no_such_upload)?;
        held.uploads.remove(id);
        Ok(Answer::empty(204))
    }

    /// Uploads by key and id, after `key-marker` and `upload-id-marker`.
    pub(super) fn list_uploads(&self, seen: &Seen, head: &Head) -> Outcome {
        let prefix = head.query("prefix").unwrap_or("");
        if head.query("delimiter").is_some_and(|delimiter| !delimiter.is_empty()) {
            return Err(Refusal::not_implemented("delimiter in listings of uploads"));
        }
        let most = page_size(head, "max-uploads")?;
        let after = head.query("key-marker").map(|key| {
            // Without an id, the marker is past every upload of its key.
            let id = head.query("upload-id-marker").filter(|id| !id.is_empty()).unwrap_or("\u{10ffff}");
            (key.to_owned(), id.to_owned())
        });
        let uploads = self.held().uploads.of_bucket(&seen.bucket);
        let mut left = uploads
            .into_iter()
            .filter(|(at, upload)| upload.key.starts_with(prefix) && after.as_ref().is_none_or(|after| at > after));
        let (mut xml, mut last) = (String::new(), None);
        for ((key, id), upload) in left.by_ref().take(most) {
            xml += &format!(
                "<Upload><Key>{}</Key><UploadId>{id}</UploadId><Initiated>{}</Initiated></Upload>",
                escape(&key),
                iso(upload.started)
            );
            last = Some((key, id));
        }
        let truncated = left.next().is_some();
        if let (true, Some((key, id))) = (truncated, last) {
            let key = escape(&key);
            xml += &format!("<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>");
        }
        let bucket = escape(&seen.bucket);
        let start =
            format!("<ListMultipartUploadsResult><Bucket>{bucket}</Bucket><IsTruncated>{truncated}</IsTruncated>");
        Ok(Answer::xml(200, &format!("{start}{xml}</ListMultipartUploadsResult>")))
    }

    pub(super) fn list_parts(&self, seen: &Seen, head: &Head) -> Outcome {
        let id = head.query("uploadId").unwrap_or_default();
        let after: u32 = head.query("part-number-marker").and_then(|number| number.parse().ok()).unwrap_or(0);
        let mut held = self.held();
        let upload = held.uploads.get(&seen.bucket, &seen.key, id).ok_or_else(no_such_upload)?;
        let mut left = upload.parts.range(after + 1..);
        let mut xml = format!("<ListPartsResult><UploadId>{id}</UploadId>");
        let mut last = 0;
        for (number, part) in left.by_ref().take(PAGE) {
            last = *number;
            xml += &format!(
                "<Part><PartNumber>{number}</PartNumber><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag>\
                 <Size>{}</Size></Part>",
                iso(part.modified),
                part.etag,
                part.body.len()
            );
        }
        let more = left.next().is_some();
        let end = format!("<IsTruncated>{more}</IsTruncated><NextPartNumberMarker>{last}</NextPartNumberMarker>");
        Ok(Answer::xml(200, &format!("{xml}{end}</ListPartsResult>")))
    }
}

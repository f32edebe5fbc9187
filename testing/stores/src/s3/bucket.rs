//! Buckets: listings, deleting many objects at once, and as much of buckets themselves as clients ask for on their way.

use super::object::check_digests;
use super::protocol::{Outcome, S3};
use super::refusal::Refusal;
use crate::answer::Answer;
use crate::clock::iso;
use crate::head::{Head, encode};
use crate::listing::{Page, Start, page};
use crate::seen::Seen;
use crate::xml::{elements, escape, text};

/// The most keys of a page.
pub(super) const PAGE: usize = 1000;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// How many entries of a page are asked for.
pub(super) fn page_size(head: &Head, name: &str) -> Result<usize, Refusal> {
    let invalid = || Refusal::new(400, "InvalidArgument", format!("{name} is not a number of keys."));
    head.query(name).map_or(Ok(PAGE), |text| text.parse().map(|most: usize| most.min(PAGE)).map_err(|_| invalid()))
}

/// The part of the answer to a listing that is the objects and the common prefixes.
fn entries(page: &Page, name: impl Fn(&str) -> String) -> String {
    let mut xml = String::new();
    for (key, object) in &page.objects {
        xml += &format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            name(key),
            iso(object.modified),
            object.etag,
            object.body.len()
        );
    }
    for prefix in &page.prefixes {
        xml += &format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", name(prefix));
    }
    xml
}

/// The digests of a request to delete many, which S3 demands.
fn check_many(head: &Head, body: &[u8]) -> Result<(), Refusal> {
    let given = head.headers.keys().any(|name| name == "content-md5" || name.as_str().starts_with("x-amz-checksum-"));
    if !given {
        return Err(Refusal::new(400, "InvalidRequest", "Missing required header for this request: Content-MD5"));
    }
    check_digests(head, body)
}

impl S3 {
    pub(super) fn list(&self, seen: &Seen, head: &Head) -> Outcome {
        if head.query("list-type") != Some("2") {
            return Err(Refusal::not_implemented("list-type but 2"));
        }
        let (prefix, delimiter) = (head.query("prefix").unwrap_or(""), head.query("delimiter").unwrap_or(""));
        let most = page_size(head, "max-keys")?;
        let start =
            match head.query("continuation-token") {
                Some(token) => Some(Start::of_token(token).ok_or_else(|| {
                    Refusal::new(400, "InvalidArgument", "The continuation token provided is incorrect")
                })?),
                None => head.query("start-after").map(|key| Start::After(key.to_owned())),
            };
        let page = match self.held().buckets.get(&seen.bucket) {
            Some(bucket) => page(bucket, prefix, delimiter, start.as_ref(), most),
            None => Page::default(),
        };
        let as_url = head.query("encoding-type") == Some("url");
        let name = |text: &str| if as_url { encode(text).replace("%2F", "/") } else { escape(text) };
        let mut xml = format!(
            "<ListBucketResult xmlns=\"{NAMESPACE}\"><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount>\
             <MaxKeys>{most}</MaxKeys><IsTruncated>{}</IsTruncated>",
            escape(&seen.bucket),
            name(prefix),
            page.objects.len() + page.prefixes.len(),
            page.next.is_some()
        );
        if !delimiter.is_empty() {
            xml += &format!("<Delimiter>{}</Delimiter>", name(delimiter));
        }
        if as_url {
            xml += "<EncodingType>url</EncodingType>";
        }
        if let Some(next) = &page.next {
            xml += &format!("<NextContinuationToken>{}</NextContinuationToken>", next.token());
        }
        Ok(Answer::xml(200, &format!("{xml}{}</ListBucketResult>", entries(&page, name))))
    }

    pub(super) fn remove_many(&self, seen: &Seen, head: &Head, body: &[u8]) -> Outcome {
        check_many(head, body)?;
        let malformed = || Refusal::new(400, "MalformedXML", "The XML you provided was not well-formed.");
        let request = std::str::from_utf8(body).map_err(|_| malformed())?;
        let objects = elements(request, "Object");
        if objects.is_empty() || objects.len() > PAGE {
            return Err(malformed());
        }
        let quiet = text(request, "Quiet").as_deref() == Some("true");
        let mut xml = format!("<DeleteResult xmlns=\"{NAMESPACE}\">");
        for object in objects {
            let key = text(object, "Key").ok_or_else(malformed)?;
            self.delete(&seen.bucket, &key);
            if !quiet {
                xml += &format!("<Deleted><Key>{}</Key></Deleted>", escape(&key));
            }
        }
        Ok(Answer::xml(200, &format!("{xml}</DeleteResult>")))
    }

    /// Requests for a bucket as such, or for the list of them.
    pub(super) fn bucket_itself(&self, seen: &Seen, head: &Head) -> Outcome {
        let mut held = self.held();
        let there = held.buckets.contains_key(&seen.bucket);
        let missing = || Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist");
        match head.method.as_str() {
            "GET" if seen.bucket.is_empty() => {
                let one =
                    |name| format!("<Bucket><Name>{}</Name><CreationDate>{}</CreationDate></Bucket>", name, iso(0));
                let buckets: String = held.buckets.keys().map(|name| one(escape(name))).collect();
                let owner = "<Owner><ID>test</ID></Owner>";
                let open = format!("<ListAllMyBucketsResult xmlns=\"{NAMESPACE}\">{owner}<Buckets>");
                Ok(Answer::xml(200, &format!("{open}{buckets}</Buckets></ListAllMyBucketsResult>")))
            }
            "PUT" if seen.key.is_empty() && !seen.bucket.is_empty() && head.query.is_empty() => {
                held.buckets.entry(seen.bucket.clone()).or_default();
                Ok(Answer::empty(200).header("location", &format!("/{}", seen.bucket)))
            }
            _ if !there => Err(missing()),
            "HEAD" if seen.key.is_empty() => Ok(Answer::empty(200).header("x-amz-bucket-region", "us-east-1")),
            "GET" if head.query("location").is_some() => {
                Ok(Answer::xml(200, &format!("<LocationConstraint xmlns=\"{NAMESPACE}\"/>")))
            }
            _ => Err(Refusal::not_implemented("such request; of listings it has the second version")),
        }
    }
}

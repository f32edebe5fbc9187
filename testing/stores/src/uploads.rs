//! Uploads in parts that were begun and not completed.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};

use crate::objects::{Object, hex};

/// One part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
    pub(crate) modified: u64,
}

/// One upload.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) started: u64,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) parts: BTreeMap<u32, Part>,
}

/// Why an upload is not completed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Incomplete {
    /// No parts are named.
    Nothing,
    /// A part is not there, or is another than the one that is meant.
    Part(u32),
    /// The parts are not in order.
    Order,
    /// A part that is not the last is too small.
    Small(u32),
}

/// All of them, by id.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    begun: BTreeMap<String, Upload>,
    count: u64,
}

impl Uploads {
    /// Begins one; its id.
    pub(crate) fn begin(&mut self, bucket: &str, key: &str, started: u64, headers: Vec<(String, String)>) -> String {
        self.count += 1;
        // Ids do not tell the order, as those of S3 do not.
        let id = hex(&Md5::digest(format!("upload {}", self.count)));
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.begun.insert(id.clone(), Upload { bucket, key, started, headers, parts: BTreeMap::new() });
        id
    }

    pub(crate) fn get(&mut self, bucket: &str, key: &str, id: &str) -> Option<&mut Upload> {
        self.begun.get_mut(id).filter(|upload| upload.bucket == bucket && upload.key == key)
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.begun.remove(id);
    }

    /// Those of a bucket by key and id.
    pub(crate) fn of_bucket(&self, bucket: &str) -> BTreeMap<(String, String), Upload> {
        let ours = self.begun.iter().filter(|(_, upload)| upload.bucket == bucket);
        ours.map(|(id, upload)| ((upload.key.clone(), id.clone()), upload.clone())).collect()
    }
}

impl Upload {
    /// The object that these parts, by number and ETag, make. Every part but the last must hold `least` bytes.
    pub(crate) fn complete(&self, named: &[(u32, String)], least: usize, now: u64) -> Result<Object, Incomplete> {
        let Some((last, _)) = named.last() else { return Err(Incomplete::Nothing) };
        if !named.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Incomplete::Order);
        }
        let (mut body, mut digests) = (BytesMut::new(), Md5::new());
        for (number, etag) in named {
            let part = self.parts.get(number).filter(|part| part.etag == etag.trim_matches('"'));
            let part = part.ok_or(Incomplete::Part(*number))?;
            if number != last && part.body.len() < least {
                return Err(Incomplete::Small(*number));
            }
            body.extend_from_slice(&part.body);
            digests.update(Md5::digest(&part.body));
        }
        let etag = format!("{}-{}", hex(&digests.finalize()), named.len());
        Ok(Object { body: body.freeze(), etag, modified: now, generation: 0, headers: self.headers.clone() })
    }
}

//! The objects of a bucket, in memory, in the order of their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::synthetic::Synthetic;

/// The date of synthetic objects: 1 January 2024.
const SYNTHETIC_DATE: u64 = 1_704_067_200;

/// One object. Its contents are shared, so that it is cheap to copy.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) body: Bytes,
    /// Without quotes.
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified: u64,
    /// Another number for each write to the bucket.
    pub(crate) generation: u64,
    /// Headers that were given with it and are given back.
    pub(crate) headers: Vec<(String, String)>,
}

impl Object {
    pub(crate) fn new(body: Bytes, modified: u64, headers: Vec<(String, String)>) -> Object {
        let etag = hex(&Md5::digest(&body));
        Object { body, etag, modified, generation: 0, headers }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Objects by key, and the synthetic ones beside them.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    stored: BTreeMap<String, Object>,
    synthetic: Vec<Synthetic>,
    /// Synthetic keys that were deleted.
    removed: BTreeSet<String>,
    writes: u64,
}

impl Bucket {
    pub(crate) fn with_synthetic(synthetic: Vec<Synthetic>) -> Bucket {
        Bucket { synthetic, ..Bucket::default() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Object> {
        if let Some(object) = self.stored.get(key) {
            return Some(object.clone());
        }
        let body = self.synthetic.iter().find_map(|keys| keys.get(key)).filter(|_| !self.removed.contains(key))?;
        Some(Object::new(body, SYNTHETIC_DATE, Vec::new()))
    }

    /// Stores it, and gives it its generation.
    pub(crate) fn put(&mut self, key: &str, mut object: Object) -> u64 {
        self.writes += 1;
        object.generation = self.writes;
        self.stored.insert(key.to_owned(), object);
        self.writes
    }

    /// Whether it was there.
    pub(crate) fn delete(&mut self, key: &str) -> bool {
        let was = self.get(key).is_some();
        self.stored.remove(key);
        if self.synthetic.iter().any(|keys| keys.get(key).is_some()) {
            self.removed.insert(key.to_owned());
        }
        was
    }

    pub(crate) fn stored_keys(&self) -> Vec<String> {
        self.stored.keys().cloned().collect()
    }

    /// The first object in these bounds.
    pub(crate) fn first(&self, from: Bound<&str>) -> Option<(String, Object)> {
        let stored = self.stored.range::<str, _>((from, Bound::Unbounded)).next().map(|(key, _)| key.clone());
        let made = self.synthetic.iter().filter_map(|keys| self.first_left(keys, from));
        let key = stored.into_iter().chain(made).min()?;
        self.get(&key).map(|object| (key, object))
    }

    /// The first of these keys that was not deleted.
    fn first_left(&self, keys: &Synthetic, from: Bound<&str>) -> Option<String> {
        let mut key = keys.first(from)?;
        while self.removed.contains(&key) {
            key = keys.first(Bound::Excluded(&key))?;
        }
        Some(key)
    }
}

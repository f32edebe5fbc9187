//! Keys that nobody has stored: so many of them that a listing must be read page by page, each with small contents that are
//! computed when they are asked for.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

/// Digits of the number in a key.
const DIGITS: usize = 8;

type Contents = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// `count` keys: the prefix, a number of eight digits from 0 on, the suffix.
#[derive(Clone)]
pub struct Synthetic {
    prefix: String,
    count: u64,
    suffix: String,
    contents: Contents,
}

impl fmt::Debug for Synthetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{0..{}}}{}", self.prefix, self.count, self.suffix)
    }
}

impl Synthetic {
    /// These keys, at most 100,000,000; what is in one is a CSV of one row: `number`, and below it its own.
    pub fn new(prefix: &str, count: u64, suffix: &str) -> Synthetic {
        assert!(count <= 10_u64.pow(DIGITS as u32), "at most 10^{DIGITS} synthetic keys");
        let contents: Contents = Arc::new(|number| Bytes::from(format!("number\n{number}\n")));
        Synthetic { prefix: prefix.to_owned(), count, suffix: suffix.to_owned(), contents }
    }

    /// The same keys with what this function says in them.
    pub fn with_contents(self, contents: impl Fn(u64) -> Bytes + Send + Sync + 'static) -> Synthetic {
        Synthetic { contents: Arc::new(contents), ..self }
    }

    fn key(&self, number: u64) -> String {
        format!("{}{number:0DIGITS$}{}", self.prefix, self.suffix)
    }

    fn number(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        let number = digits.parse().ok().filter(|_| digits.len() == DIGITS)?;
        (number < self.count).then_some(number)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
        self.number(key).map(|number| (self.contents)(number))
    }

    /// The first key in these bounds.
    pub(crate) fn first(&self, from: Bound<&str>) -> Option<String> {
        let number = match from {
            Bound::Unbounded => 0,
            Bound::Included(key) => self.number(key).unwrap_or_else(|| self.search(key)),
            Bound::Excluded(key) => self.number(key).map_or_else(|| self.search(key), |number| number + 1),
        };
        (number < self.count).then(|| self.key(number))
    }

    /// The number of the first key that is not less than this one, which is none of ours.
    fn search(&self, key: &str) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle).as_str() < key { low = middle + 1 } else { high = middle }
        }
        low
    }
}

//! Pages of a listing: prefix, delimiter, where to go on.

use std::ops::Bound;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::objects::{Bucket, Object};

/// Where a page begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Start {
    /// With this key.
    At(String),
    /// After this key.
    After(String),
    /// After every key that begins with this.
    Past(String),
}

impl Start {
    /// Opaque text for a client, who gives it back.
    pub(crate) fn token(&self) -> String {
        let (kind, text) = match self {
            Start::At(text) => ('@', text),
            Start::After(text) => ('+', text),
            Start::Past(text) => ('/', text),
        };
        BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}{text}"))
    }

    /// Of a token; none if we have not made it.
    pub(crate) fn of_token(token: &str) -> Option<Start> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (kind, rest) = text.split_at_checked(1)?;
        match kind {
            "@" => Some(Start::At(rest.to_owned())),
            "+" => Some(Start::After(rest.to_owned())),
            "/" => Some(Start::Past(rest.to_owned())),
            _ => None,
        }
    }
}

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Object)>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next one begins, if there is more.
    pub(crate) next: Option<Start>,
}

/// The least text that is greater than all that begin with this.
fn past(prefix: &str) -> Option<String> {
    let last = prefix.chars().next_back()?;
    let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32)?;
    Some(format!("{}{next}", &prefix[..prefix.len() - last.len_utf8()]))
}

/// At most `most` objects and common prefixes together, in order.
pub(crate) fn page(bucket: &Bucket, prefix: &str, delimiter: &str, start: Option<&Start>, most: usize) -> Page {
    let mut page = Page::default();
    let mut from = match start {
        Some(Start::At(key)) if key.as_str() >= prefix => Bound::Included(key.clone()),
        Some(Start::After(key)) if key.as_str() >= prefix => Bound::Excluded(key.clone()),
        Some(Start::Past(key)) if key.as_str() >= prefix => match past(key) {
            Some(next) => Bound::Included(next),
            None => return page,
        },
        _ => Bound::Included(prefix.to_owned()),
    };
    let mut last = None;
    let mut count = 0;
    while let Some((key, object)) = bucket.first(from.as_ref().map(String::as_str)) {
        if !key.starts_with(prefix) {
            break;
        }
        if count == most {
            page.next = last;
            break;
        }
        count += 1;
        let cut = if delimiter.is_empty() { None } else { key[prefix.len()..].find(delimiter) };
        if let Some(at) = cut {
            let common = key[..prefix.len() + at + delimiter.len()].to_owned();
            page.prefixes.push(common.clone());
            last = Some(Start::Past(common.clone()));
            match past(&common) {
                Some(next) => from = Bound::Included(next),
                None => break,
            }
        } else {
            last = Some(Start::After(key.clone()));
            from = Bound::Excluded(key.clone());
            page.objects.push((key, object));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Synthetic;
    use bytes::Bytes;

    fn bucket() -> Bucket {
        let mut bucket = Bucket::with_synthetic(vec![Synthetic::new("a/many/", 25, ".csv")]);
        for key in ["a/b/1", "a/b/2", "a/c", "a/many/00000007.csv", "a/zé/1", "b"] {
            bucket.put(key, Object::new(Bytes::from_static(b"x"), 0, Vec::new()));
        }
        bucket
    }

    fn all(prefix: &str, delimiter: &str, most: usize) -> (Vec<String>, Vec<String>) {
        let bucket = bucket();
        let (mut keys, mut prefixes, mut start) = (Vec::new(), Vec::new(), None);
        loop {
            let page = page(&bucket, prefix, delimiter, start.as_ref(), most);
            assert!(page.objects.len() + page.prefixes.len() <= most);
            keys.extend(page.objects.into_iter().map(|(key, _)| key));
            prefixes.extend(page.prefixes);
            match page.next {
                Some(next) => start = Some(Start::of_token(&next.token()).unwrap()),
                None => return (keys, prefixes),
            }
        }
    }

    #[test]
    fn pages_of_every_size_hold_the_same() {
        let whole = all("", "", 1000);
        assert_eq!(whole.0.len(), 30);
        assert!(whole.0.is_sorted());
        let grouped = all("a/", "/", 1000);
        assert_eq!(grouped, (vec!["a/c".to_owned()], vec!["a/b/".into(), "a/many/".into(), "a/zé/".into()]));
        for most in [1, 2, 3, 7] {
            assert_eq!(all("", "", most), whole);
            assert_eq!(all("a/", "/", most), grouped);
            assert_eq!(all("a/many/0000001", "", most).0.len(), 10);
        }
        assert_eq!(all("nothing", "", 10), (vec![], vec![]));
    }

    #[test]
    fn a_listing_goes_on_after_a_key() {
        let bucket = bucket();
        let keys = |start: Start| {
            page(&bucket, "a/", "", Some(&start), 2).objects.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(keys(Start::After("a/b/1".into())), ["a/b/2", "a/c"]);
        assert_eq!(keys(Start::At("a/b/1".into())), ["a/b/1", "a/b/2"]);
        assert_eq!(keys(Start::Past("a/b/".into())), ["a/c", "a/many/00000000.csv"]);
        assert_eq!(keys(Start::After("a/many/00000023.csv".into())), ["a/many/00000024.csv", "a/zé/1"]);
    }
}

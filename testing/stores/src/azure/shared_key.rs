//! Requests that are signed with the key of an account (`SharedKey`).

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::head::Head;
use crate::s3::hmac_sha256;

/// The headers of a signature, in their order.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Whether the request is signed with this key, in Base64.
pub(super) fn is_signed(head: &Head, account: &str, key: &str) -> bool {
    let Ok(key) = BASE64_STANDARD.decode(key) else { return false };
    let signature = BASE64_STANDARD.encode(hmac_sha256(&key, text(head, account).as_bytes()));
    head.header("authorization") == Some(&format!("SharedKey {account}:{signature}"))
}

/// What is signed.
fn text(head: &Head, account: &str) -> String {
    let value = |name: &str| match (name, head.header(name).unwrap_or("")) {
        ("content-length", "0") => String::new(),
        (_, value) => value.to_owned(),
    };
    let plain: Vec<String> = SIGNED.iter().map(|name| value(name)).collect();
    let ours: BTreeMap<&str, &str> = (head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-")))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("")))
        .collect();
    let ours: String = ours.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in &head.query {
        values.entry(name.to_lowercase()).or_default().push(value);
    }
    let mut query = String::new();
    for (name, mut values) in values {
        values.sort_unstable();
        query += &format!("\n{name}:{}", values.join(","));
    }
    format!("{}\n{}\n{ours}/{account}{}{query}", head.method, plain.join("\n"), head.raw_path)
}

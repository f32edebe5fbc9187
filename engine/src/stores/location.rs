//! What the text of a location means: `/data/x.csv`, `data/*.parquet`, `file:///data/`, `s3://bucket/dir/`, `https://host/x.csv`.

use std::fmt;
use std::path::{Component, Path as FilePath, PathBuf};

use datafusion::execution::object_store::ObjectStoreUrl;
use glob::{MatchOptions, Pattern};
use object_store::path::Path;
use url::Url;
use windrow_common::{Error, ErrorKind, Result};

/// Schemes that are understood, each with the one that it means.
const SCHEMES: [(&str, &str); 12] = [
    ("file", "file"),
    ("s3", "s3"),
    ("s3a", "s3"),
    ("gs", "gs"),
    ("gcs", "gs"),
    ("az", "az"),
    ("azure", "az"),
    ("adl", "az"),
    ("abfs", "abfss"),
    ("abfss", "abfss"),
    ("http", "http"),
    ("https", "https"),
];
/// A star stays within one directory; `**` crosses them. What is hidden is not there at all, so dots need no care.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// A file, a directory or a pattern in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Scheme and authority, without secrets: `file://`, `s3://bucket`.
    store: String,
    /// The place in the store; of a pattern, the directory that its matches are in.
    path: Path,
    /// The rest of a pattern, relative to `path`.
    pattern: Option<Pattern>,
    /// Whether the text said that it is a directory.
    directory: bool,
}

impl Location {
    /// Reads a location's text; relative paths start at `base`.
    pub fn parse(text: &str, base: &FilePath) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(Error::user(
                "the location is empty; name a file, a directory or a pattern like 'data/*.parquet'",
            ));
        }
        let (store, place) = match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            None => ("file://".to_owned(), local_text(text, base)?),
            Some((scheme, rest)) => in_store(text, scheme, rest)?,
        };
        let directory = place.is_empty() || place.ends_with('/');
        let literal = store == "file://" && FilePath::new(&format!("/{place}")).exists();
        let (place, pattern) = if literal { (place.as_str(), None) } else { split_pattern(&place) };
        let pattern =
            pattern.map(|p| Pattern::new(p).map_err(|e| Error::user(format!("'{text}': {e}")))).transpose()?;
        let path = Path::parse(place).map_err(|e| Error::user(format!("'{text}': {e}")))?;
        Ok(Self { store, path, pattern, directory })
    }

    /// A directory or file of a store.
    pub fn of(store: &ObjectStoreUrl, path: Path) -> Self {
        Self { store: bare_store(store.as_str()).to_owned(), path, pattern: None, directory: false }
    }

    /// Scheme and authority.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Scheme and authority, as DataFusion names a store.
    pub fn store_url(&self) -> Result<ObjectStoreUrl> {
        ObjectStoreUrl::parse(&self.store).map_err(|e| Error::user(format!("'{self}': {e}")))
    }

    /// The place in the store; of a pattern, the directory that its matches are in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a pattern.
    pub fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// Whether its text ended with a slash.
    pub fn says_directory(&self) -> bool {
        self.directory && self.pattern.is_none()
    }

    /// Whether it lies in this machine's file system.
    pub fn is_local(&self) -> bool {
        self.store == "file://"
    }

    /// Whether it is on a web server: one file, which nobody can list.
    pub fn is_web(&self) -> bool {
        self.store.starts_with("http://") || self.store.starts_with("https://")
    }

    /// The path of a file below the location's directory, with `/` between its parts; none if it lies elsewhere.
    pub fn relative<'a>(&self, file: &'a Path) -> Option<&'a str> {
        let rest = file.as_ref().strip_prefix(self.path.as_ref())?;
        if rest.is_empty() || self.path.as_ref().is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// Whether a relative path is one that the pattern means; without a pattern, all are.
    pub fn matches(&self, relative: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches_with(relative, MATCHING))
    }

    /// Its path in this machine's file system, if it lies there.
    pub fn local_path(&self) -> Option<PathBuf> {
        self.is_local().then(|| PathBuf::from(format!("/{}", self.path)))
    }

    /// The last part of its path, if it has one and is no pattern.
    pub fn last_part(&self) -> Option<&str> {
        self.path.filename().filter(|_| self.pattern.is_none())
    }

    /// The URL, as it stands in the definition of a table: reading it gives this location again.
    pub fn url(&self) -> String {
        let place = self.place();
        // Where URLs are decoded when they are read; names in object stores are taken as they stand.
        let place = match self.is_local() || self.is_web() {
            true => place.replace('%', "%25").replace('#', "%23"),
            false => place,
        };
        format!("{}/{place}", self.store)
    }

    /// The place in the store as its text has it.
    fn place(&self) -> String {
        let slash = if self.directory && !self.path.as_ref().is_empty() && self.pattern.is_none() { "/" } else { "" };
        match &self.pattern {
            None => format!("{}{slash}", self.path),
            Some(pattern) if self.path.as_ref().is_empty() => pattern.to_string(),
            Some(pattern) => format!("{}/{pattern}", self.path),
        }
    }
}

/// As people write it: local files without a scheme. Reading it gives this location again.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_local() { write!(f, "/{}", self.place()) } else { f.write_str(&self.url()) }
    }
}

/// Scheme and authority of a store's URL: `s3://b` of `s3://b/`, `file://` of `file:///`.
pub fn bare_store(url: &str) -> &str {
    if url.ends_with("://") { url } else { url.strip_suffix('/').unwrap_or(url) }
}

/// What people call a file of a store.
pub fn file_name(store: &str, path: &Path) -> String {
    let store = bare_store(store);
    format!("{}/{path}", store.strip_prefix("file://").unwrap_or(store))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn in_store(text: &str, scheme: &str, rest: &str) -> Result<(String, String)> {
    let lower = scheme.to_ascii_lowercase();
    let Some((_, scheme)) = SCHEMES.iter().find(|(known, _)| *known == lower) else {
        let shown = without_secrets(text);
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "'{shown}': there is no store '{scheme}://'; there are local paths, file://, s3://, gs://, az://, abfss:// and http(s)://"
            ),
        ));
    };
    let (authority, place) = rest.split_once('/').unwrap_or((rest, ""));
    // Table names, plans and logs show a location as it was written.
    if has_password(authority) {
        return Err(Error::user(format!(
            "'{}': a location may not contain a password; the environment or the file of stores says it",
            without_secrets(text)
        )));
    }
    match *scheme {
        "file" if !matches!(authority, "" | "localhost") => {
            Err(Error::user(format!("'{text}' names a host; a file:// URL has three slashes: file:///tmp/x.csv")))
        }
        "file" => {
            let path = decoded(text, place)?;
            Ok(("file://".to_owned(), with_slash(&normal(FilePath::new(&format!("/{path}"))), &path)))
        }
        "http" | "https" => on_the_web(text),
        _ if authority.is_empty() => {
            Err(Error::user(format!("'{text}' names no bucket; write {scheme}://bucket/path")))
        }
        _ => Ok((format!("{scheme}://{authority}"), place.to_owned())),
    }
}

/// Web addresses are URLs to the letter; names in object stores are taken as they stand.
fn on_the_web(text: &str) -> Result<(String, String)> {
    let url = Url::parse(text).map_err(|e| Error::user(format!("'{}': {e}", without_secrets(text))))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "web addresses with '?' or '#' cannot be read; download the file, or name it without them",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::user(
            "a web address may not contain a user or a password; files of servers that ask for one are not read",
        ));
    }
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let place = decoded(text, url.path().trim_start_matches('/'))?;
    Ok((format!("{}://{authority}", url.scheme()), place))
}

fn has_password(authority: &str) -> bool {
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// A text that was refused, for errors: without what may be a password, and without a query, which may be signed.
fn without_secrets(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    match text.split_once("://") {
        // A password may contain any sign.
        Some((scheme, rest)) if rest.split('/').next().is_some_and(|authority| authority.contains([':', '@'])) => {
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        }
        _ => text.to_owned(),
    }
}

/// An absolute local path without its first slash.
fn local_text(text: &str, base: &FilePath) -> Result<String> {
    let path = normal(&base.join(text));
    if path.to_str().is_none() {
        return Err(Error::user(format!("'{}' is not UTF-8", path.display())));
    }
    Ok(with_slash(&path, text))
}

fn with_slash(path: &FilePath, text: &str) -> String {
    let mut place = path.to_string_lossy().trim_start_matches('/').to_owned();
    if text.ends_with('/') && !place.is_empty() {
        place.push('/');
    }
    place
}

/// Without `.` and `..`, which stores do not have.
fn normal(path: &FilePath) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

fn decoded(text: &str, path: &str) -> Result<String> {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = path.as_bytes();
    if (0..bytes.len()).any(|i| bytes[i] == b'%' && !(is_digit(bytes.get(i + 1)) && is_digit(bytes.get(i + 2)))) {
        return Err(Error::user(format!("'{text}' has a '%' that is not followed by the two digits of a character")));
    }
    percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map(|path| path.into_owned())
        .map_err(|_| Error::user(format!("'{text}' is not UTF-8 behind its percent signs")))
}

/// The directory in front of the first part with a wildcard, and the pattern.
fn split_pattern(place: &str) -> (&str, Option<&str>) {
    let Some(first) = place.find(['*', '?', '[']) else { return (place, None) };
    match place[..first].rfind('/') {
        Some(slash) => (&place[..slash], Some(&place[slash + 1..])),
        None => ("", Some(place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, Option<String>, bool) {
        let location = Location::parse(text, FilePath::new("/base")).unwrap();
        let pattern = location.pattern.as_ref().map(|p| p.as_str().to_owned());
        (location.store.clone(), location.path.to_string(), pattern, location.says_directory())
    }

    #[test]
    fn locations_mean_what_they_look_like() {
        for (text, store, path, pattern, directory) in [
            ("x.csv", "file://", "base/x.csv", None, false),
            ("../data/", "file://", "data", None, true),
            ("/data/*.parquet", "file://", "data", Some("*.parquet"), false),
            ("*.parquet", "file://", "base", Some("*.parquet"), false),
            ("file:///a%20b/x.csv", "file://", "a b/x.csv", None, false),
            ("s3://lake/a/b=1%2F2/x.csv", "s3://lake", "a/b=1%2F2/x.csv", None, false),
            ("S3A://lake/a b/", "s3://lake", "a b", None, true),
            ("s3://lake", "s3://lake", "", None, true),
            ("s3://lake/y=*/m=[12]/*.csv", "s3://lake", "", Some("y=*/m=[12]/*.csv"), false),
            ("abfss://c@acc.dfs.core.windows.net/x", "abfss://c@acc.dfs.core.windows.net", "x", None, false),
            ("http://127.0.0.1:80/a%20b.csv", "http://127.0.0.1", "a b.csv", None, false),
        ] {
            let expected = (store.to_owned(), path.to_owned(), pattern.map(str::to_owned), directory);
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("", "empty"),
            ("hdfs://x/y", "there is no store 'hdfs://'"),
            ("s3:///x", "names no bucket"),
            ("file://host/x", "three slashes"),
            ("https://h/x?sig=secret", "cannot be read"),
            ("https://user:secret@h/x", "may not contain"),
            ("file:///x%2", "two digits"),
            ("https://user@h/x", "may not contain"),
            ("abfss://c:secret@acc.dfs.core.windows.net/x", "may not contain a password"),
            ("s3://key:secret@lake/a//b", "may not contain a password"),
            ("postgres://user:se@secret/x@h/x", "there is no store"),
            ("https://h:99999/x?sig=secret", "port"),
        ] {
            let error = Location::parse(text, FilePath::new("/")).unwrap_err().message;
            assert!(error.contains(says) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_down_is_read_as_the_same_place() {
        for text in [
            "/data/a%20b/x.csv",
            "/data/50%/",
            "/data/%2e%2e%2fx/",
            "/data/y=*/*.csv",
            "file:///a%20b/100%25.csv",
            "a #1/x.csv",
            "file:///a%20b/",
            "/",
            "s3://lake/a/b=1%2F2/",
            "s3://lake/a b#c.csv",
            "s3://lake",
            "az://c/x/*.csv",
            "https://h/a%2520b.csv",
        ] {
            let location = Location::parse(text, FilePath::new("/base")).unwrap();
            for written in [location.url(), location.to_string()] {
                let read = Location::parse(&written, FilePath::new("/other")).unwrap();
                assert_eq!(read, location, "{text} → {written}");
            }
        }
        let local = Location::parse("/data/a%20b/", FilePath::new("/")).unwrap();
        assert_eq!(local.local_path(), Some(PathBuf::from("/data/a%20b")), "a path is taken as it stands");
    }

    #[test]
    fn files_have_one_name() {
        let file = Path::from("a/b.csv");
        for (store, name) in [("file:///", "/a/b.csv"), ("file://", "/a/b.csv"), ("s3://b/", "s3://b/a/b.csv")] {
            assert_eq!(file_name(store, &file), name);
        }
    }

    #[test]
    fn stars_stay_in_their_directory() {
        let location = Location::parse("s3://b/t/**/x-*.csv", FilePath::new("/")).unwrap();
        let relative = |file: &str| location.relative(&Path::from(file)).map(str::to_owned);
        assert_eq!(relative("t/a/x-1.csv").as_deref(), Some("a/x-1.csv"));
        assert_eq!(relative("tt/x-1.csv"), None);
        assert!(location.matches("a/b/x-1.csv") && location.matches("x-1.csv"));
        assert!(!location.matches("a/b/x-1/y.csv"));
    }
}

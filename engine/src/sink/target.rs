//! Where a statement writes to: what the text of `COPY … TO '…'` or of a table's location means.

use std::path::{Component, Path, PathBuf};

use windrow_common::{Error, ErrorKind, Result};

use super::format::FileName;
use super::spec::Layout;

/// A place to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its absolute path.
    pub path: PathBuf,
    /// A single file or a directory.
    pub layout: Layout,
    /// What the name of a single file says of its contents.
    pub file: Option<FileName>,
}

impl Target {
    /// Reads a target's text. Relative paths start at `base`. A path that ends with `/`, or without the extension of a
    /// file format, is a directory.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let local = local_path(text)?;
        if text.trim().is_empty() {
            return Err(Error::user("the target is empty; name a directory ('out/') or a file ('out.parquet')"));
        }
        if let Some(sign) = text.chars().find(|c| matches!(c, '*' | '?' | '[' | '\0')) {
            return Err(Error::user(format!(
                "'{sign}' cannot be part of a target; it would not be found again: '{text}'"
            )));
        }
        let path = normal(&base.join(local));
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| !text.ends_with('/'));
        // Other extensions (`/data/v1.2`) mean a directory.
        let file = name.map(FileName::parse).transpose()?.flatten();
        let layout = if file.is_some() { Layout::SingleFile } else { Layout::Directory };
        Ok(Self { path, layout, file })
    }

    /// The text for [`super::SinkSpec::target`].
    pub fn text(&self) -> Result<String> {
        self.path
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::user(format!("'{}' is not UTF-8", self.path.display())))
    }
}

/// The path of a `file://` URL or of a plain path; other schemes are refused.
pub(super) fn local_path(text: &str) -> Result<PathBuf> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Ok(PathBuf::from(text));
    };
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("'{text}': nothing can be written to {scheme}:// yet; a path or a file:// URL can"),
        ));
    }
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(Error::user(format!("'{text}' names a host; a file:// URL has three slashes: file:///tmp/out/")));
    }
    percent_decoded(path)
        .map(PathBuf::from)
        .ok_or_else(|| Error::user(format!("'{text}' has a '%' that is not followed by the two digits of a character")))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Without `.` and `..`, which stores do not have. Like URLs, and like the readers, this does not look at links.
fn normal(path: &Path) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_they_look_like() {
        let parse =
            |text: &str| Target::parse(text, Path::new("/base")).map(|t| (t.path.display().to_string(), t.layout));
        for (text, path, layout) in [
            ("out/", "/base/out", Layout::Directory),
            ("out", "/base/out", Layout::Directory),
            ("/data/v1.2", "/data/v1.2", Layout::Directory),
            ("x.parquet", "/base/x.parquet", Layout::SingleFile),
            ("x.PARQUET", "/base/x.PARQUET", Layout::SingleFile),
            ("x.parquet/", "/base/x.parquet", Layout::Directory),
            ("x.csv.gz", "/base/x.csv.gz", Layout::SingleFile),
            ("x.gz/", "/base/x.gz", Layout::Directory),
            ("x.ndjson", "/base/x.ndjson", Layout::SingleFile),
            ("../a/./b.parquet", "/a/b.parquet", Layout::SingleFile),
            ("file:///tmp/a%20b/", "/tmp/a b", Layout::Directory),
            ("file://localhost/tmp/x.parquet", "/tmp/x.parquet", Layout::SingleFile),
            ("a%20b", "/base/a%20b", Layout::Directory),
        ] {
            assert_eq!(parse(text).unwrap(), (path.to_owned(), layout), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_says_what_can() {
        let fails = |text: &str| Target::parse(text, Path::new("/base")).unwrap_err();
        for (text, kind, says) in [
            ("s3://bucket/x/", ErrorKind::Unsupported, "a path or a file:// URL can"),
            ("x.orc", ErrorKind::Unsupported, "name.parquet"),
            ("x.csv.bz2", ErrorKind::Unsupported, "gz and zst can"),
            ("x.gz", ErrorKind::User, "name.csv.gz"),
            ("", ErrorKind::User, "empty"),
            ("a*/", ErrorKind::User, "'*'"),
            ("file://host/x/", ErrorKind::User, "three slashes"),
            ("file:///x%2", ErrorKind::User, "digits"),
        ] {
            let error = fails(text);
            assert_eq!(error.kind, kind, "{text}: {error}");
            assert!(error.message.contains(says), "{text}: {error}");
        }
    }
}

//! Where a statement writes to: what the text of `COPY … TO '…'` or of a table's location means.

use std::path::{Component, Path, PathBuf};

use object_store::path::Path as StorePath;
use url::Url;
use windrow_common::{Error, ErrorKind, Result};

use super::format::FileName;
use super::spec::Layout;

/// Schemes of the object stores that are written to.
const STORE_SCHEMES: [&str; 6] = ["s3", "s3a", "gs", "az", "abfs", "abfss"];

/// Where something lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file system.
    Path(PathBuf),
    /// In an object store.
    Url(Url),
}

/// A place to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is; a path is absolute.
    pub location: Location,
    /// A single file or a directory.
    pub layout: Layout,
    /// What the name of a single file says of its contents.
    pub file: Option<FileName>,
}

impl Location {
    /// Reads a path or a URL, as it is.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, _)) if STORE_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
                store_url(text).map(Location::Url)
            }
            _ => local_path(text).map(Location::Path),
        }
    }
}

impl Target {
    /// Reads a target's text. Relative paths start at `base`. A path that ends with `/`, or without the extension of a
    /// file format, is a directory.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let location = Location::parse(text)?;
        if text.trim().is_empty() {
            return Err(Error::user("the target is empty; name a directory ('out/') or a file ('out.parquet')"));
        }
        if let Some(sign) = text.chars().find(|c| matches!(c, '*' | '?' | '[' | '\0')) {
            return Err(Error::user(format!(
                "'{sign}' cannot be part of a target; it would not be found again: '{text}'"
            )));
        }
        let location = match location {
            Location::Path(local) => Location::Path(normal(&base.join(local))),
            url @ Location::Url(_) => url,
        };
        let name = location.last_part().filter(|_| !text.ends_with('/'));
        // Other extensions (`/data/v1.2`) mean a directory.
        let file = name.as_deref().map(FileName::parse).transpose()?.flatten();
        let layout = if file.is_some() { Layout::SingleFile } else { Layout::Directory };
        Ok(Self { location, layout, file })
    }

    /// The text for [`super::SinkSpec::target`].
    pub fn text(&self) -> Result<String> {
        match &self.location {
            Location::Path(path) => {
                let text = path.to_str().map(str::to_owned);
                text.ok_or_else(|| Error::user(format!("'{}' is not UTF-8", path.display())))
            }
            Location::Url(url) => Ok(url.as_str().to_owned()),
        }
    }

    /// The last part of a single file's path.
    pub(super) fn file_name(&self) -> Result<String> {
        self.location.last_part().ok_or_else(|| self.no_file_name())
    }

    /// The directory that names are relative to: `path` itself, or what the single file lies in.
    pub(super) fn root_of(&self, path: &Path) -> Result<PathBuf> {
        match self.layout {
            Layout::Directory => Ok(path.to_path_buf()),
            Layout::SingleFile => path.parent().map(Path::to_path_buf).ok_or_else(|| self.no_file_name()),
        }
    }

    fn no_file_name(&self) -> Error {
        match &self.location {
            Location::Path(path) => Error::user(format!("'{}' does not name a file", path.display())),
            Location::Url(url) => Error::user(format!("'{url}' does not name a file")),
        }
    }
}

impl Location {
    /// The last part of the path, if it is a name.
    fn last_part(&self) -> Option<String> {
        match self {
            Location::Path(path) => path.file_name().and_then(|name| name.to_str()).map(str::to_owned),
            Location::Url(url) => store_path(url).ok()?.filename().map(str::to_owned),
        }
    }
}

/// The URL of a place in an object store. What is written into plans and logs must hold no secrets.
fn store_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| Error::user(format!("'{text}' is not a URL: {e}")))?;
    let container_before_host = matches!(url.scheme(), "az" | "abfs" | "abfss");
    if url.password().is_some() || !url.username().is_empty() && !container_before_host {
        return Err(Error::user(format!(
            "a URL of {}:// holds no credentials; they come from the environment",
            url.scheme()
        )));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Error::user(format!("'{text}' names no bucket; write for example s3://bucket/directory/")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::user(format!("'{text}' has a '?' or '#'; write %3F or %23 for a sign in a name")));
    }
    store_path(&url)?;
    Ok(url)
}

/// The path of a URL in its store.
fn store_path(url: &Url) -> Result<StorePath> {
    let path = StorePath::from_url_path(url.path());
    path.map_err(|e| Error::user(format!("'{url}' cannot be a place in an object store: {e}")))
}

/// The path of a `file://` URL or of a plain path; other schemes are refused.
fn local_path(text: &str) -> Result<PathBuf> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Ok(PathBuf::from(text));
    };
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "'{text}': nothing can be written to {scheme}://; a path, a file:// URL, and s3://, gs://, az:// and \
                 abfs:// URLs can"
            ),
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
        let parse = |text: &str| Target::parse(text, Path::new("/base")).map(|t| (t.text().unwrap(), t.layout));
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
            ("s3://bucket", "s3://bucket", Layout::Directory),
            ("s3://bucket/a/../b/", "s3://bucket/b/", Layout::Directory),
            ("S3A://bucket/v1.2", "s3a://bucket/v1.2", Layout::Directory),
            ("gs://bucket/a b/x.parquet", "gs://bucket/a%20b/x.parquet", Layout::SingleFile),
            (
                "abfss://data@account.dfs.core.windows.net/x/",
                "abfss://data@account.dfs.core.windows.net/x/",
                Layout::Directory,
            ),
        ] {
            assert_eq!(parse(text).unwrap(), (path.to_owned(), layout), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_says_what_can() {
        let fails = |text: &str| Target::parse(text, Path::new("/base")).unwrap_err();
        for (text, kind, says) in [
            ("http://host/x/", ErrorKind::Unsupported, "a file:// URL"),
            ("ftp://host/x/", ErrorKind::Unsupported, "s3://"),
            ("s3:///x/", ErrorKind::User, "names no bucket"),
            ("s3://key:secret@bucket/x/", ErrorKind::User, "no credentials"),
            ("s3://bucket/a#b/", ErrorKind::User, "%23"),
            ("s3://bucket/a//b/", ErrorKind::User, "cannot be a place"),
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

//! Where a statement writes to: what the text of `COPY … TO '…'` or of a table's location means.

use std::path::{Path, PathBuf};

use windrow_common::{Error, ErrorKind, Result};

use super::format::FileName;
use super::spec::Layout;
use crate::stores::Location;

/// A place to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is, as readers understand it too.
    pub location: Location,
    /// A single file or a directory.
    pub layout: Layout,
    /// What the name of a single file says of its contents.
    pub file: Option<FileName>,
}

impl Target {
    /// Reads a target's text. Relative paths start at `base`. A path that ends with `/`, or without the extension of a
    /// file format, is a directory.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        refuse_wildcards(text)?;
        let location = Location::parse(text, base)?;
        refuse_credentials(text)?;
        Self::at(location)
    }

    /// The target that a location is.
    pub fn at(location: Location) -> Result<Self> {
        if location.is_web() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "'{location}': nothing can be written to a web server; a path, a file:// URL, and s3://, gs://, az:// \
                     and abfss:// URLs can"
                ),
            ));
        }
        // What once was a name may be a pattern to whoever reads its text later.
        refuse_wildcards(&location.to_string())?;
        let name = location.last_part().filter(|_| !location.says_directory());
        // Other extensions (`/data/v1.2`) mean a directory.
        let file = name.map(FileName::parse).transpose()?.flatten();
        let layout = if file.is_some() { Layout::SingleFile } else { Layout::Directory };
        Ok(Self { location, layout, file })
    }

    /// The text for [`super::SinkSpec::target`].
    pub fn text(&self) -> String {
        let text = self.location.to_string();
        // The slash of a store's or file system's root belongs to it.
        let is_root = self.location.path().as_ref().is_empty();
        if is_root { text } else { text.trim_end_matches('/').to_owned() }
    }

    /// The last part of a single file's path.
    pub(super) fn file_name(&self) -> Result<String> {
        self.location.last_part().map(str::to_owned).ok_or_else(|| self.no_file_name())
    }

    /// The directory that names are relative to: `path` itself, or what the single file lies in.
    pub(super) fn root_of(&self, path: &Path) -> Result<PathBuf> {
        match self.layout {
            Layout::Directory => Ok(path.to_path_buf()),
            Layout::SingleFile => path.parent().map(Path::to_path_buf).ok_or_else(|| self.no_file_name()),
        }
    }

    fn no_file_name(&self) -> Error {
        Error::user(format!("'{}' does not name a file", self.location))
    }
}

fn refuse_wildcards(text: &str) -> Result<()> {
    match text.chars().find(|c| matches!(c, '*' | '?' | '[' | '\0')) {
        None => Ok(()),
        Some(sign) => {
            Err(Error::user(format!("'{sign}' cannot be part of a target; it would not be found again: '{text}'")))
        }
    }
}

/// What is written into plans and logs must hold no secrets.
fn refuse_credentials(text: &str) -> Result<()> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(()) };
    let authority = rest.split('/').next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return Ok(()) };
    let container_before_host = scheme.to_ascii_lowercase().starts_with('a');
    if user.contains(':') || !container_before_host {
        let message = format!("a URL of {scheme}:// holds no credentials; they come from the environment");
        return Err(Error::user(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_they_look_like() {
        let parse = |text: &str| Target::parse(text, Path::new("/base")).map(|t| (t.text(), t.layout));
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
            ("/", "/", Layout::Directory),
            ("s3://bucket", "s3://bucket/", Layout::Directory),
            ("S3A://bucket/v1.2", "s3://bucket/v1.2", Layout::Directory),
            ("gs://bucket/a b/x.parquet", "gs://bucket/a b/x.parquet", Layout::SingleFile),
            ("s3://bucket/a%20b/k=1%2F2/", "s3://bucket/a%20b/k=1%2F2", Layout::Directory),
            ("s3://bucket/a#b/", "s3://bucket/a#b", Layout::Directory),
            (
                "abfss://data@account.dfs.core.windows.net/x/",
                "abfss://data@account.dfs.core.windows.net/x",
                Layout::Directory,
            ),
        ] {
            assert_eq!(parse(text).unwrap(), (path.to_owned(), layout), "{text}");
            // A plan's text means the same to whoever reads it.
            let target = Target::parse(text, Path::new("/base")).unwrap();
            let read = Location::parse(&target.text(), Path::new("/elsewhere")).unwrap();
            assert_eq!((read.path(), read.store()), (target.location.path(), target.location.store()));
        }
    }

    #[test]
    fn what_cannot_be_written_says_what_can() {
        let fails = |text: &str| Target::parse(text, Path::new("/base")).unwrap_err();
        for (text, kind, says) in [
            ("http://host/x/", ErrorKind::Unsupported, "a file:// URL"),
            ("ftp://host/x/", ErrorKind::Unsupported, "s3://"),
            ("s3:///x/", ErrorKind::User, "names no bucket"),
            ("s3://key:secret@bucket/x/", ErrorKind::User, "may not contain a password"),
            ("s3://bucket/a//b/", ErrorKind::User, "a//b"),
            ("s3://bucket/a/../b/", ErrorKind::User, ".."),
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

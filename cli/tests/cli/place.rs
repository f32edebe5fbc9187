//! Where tests write to, looked at past Windrow: a directory, or a bucket of a server of S3 in this process.

use std::collections::BTreeSet;
use std::io;

use tempfile::TempDir;
use windrow_stores_testing::{Config, S3Server};

use crate::windrow::{assert_code, stderr, windrow};

const BUCKET: &str = "lake";

/// A place that holds targets. Dropped, it is gone with all of them.
pub enum Place {
    /// Of a file system.
    Directory(TempDir),
    /// A server, and where the file lies that says how it is reached.
    S3(Box<S3Server>, TempDir),
}

impl Place {
    pub fn directory() -> Place {
        Place::Directory(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn s3() -> Place {
        let server = S3Server::start(Config::default().buckets(&[BUCKET])).unwrap();
        let files = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let text = format!(
            "[[store]]\nurl = 's3://{BUCKET}'\nendpoint = '{}'\npath_style = true\nregion = 'us-east-1'\n\
             access_key_id = '{}'\nsecret_access_key = '{}'\n",
            server.url(),
            server.access_key(),
            server.secret_key()
        );
        std::fs::write(files.path().join("stores.toml"), text).unwrap();
        Place::S3(Box::new(server), files)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Place::Directory(_) => "a directory",
            Place::S3(..) => "S3",
        }
    }

    /// The server, if it is one.
    pub fn server(&self) -> Option<&S3Server> {
        match self {
            Place::Directory(_) => None,
            Place::S3(server, _) => Some(server),
        }
    }

    /// Arguments with which the binary finds it.
    pub fn stores(&self) -> Vec<String> {
        match self {
            Place::Directory(_) => vec![],
            Place::S3(_, files) => {
                vec!["--stores".to_owned(), files.path().join("stores.toml").display().to_string()]
            }
        }
    }

    /// A target as it is written in SQL.
    pub fn location(&self, target: &str) -> String {
        match self {
            Place::Directory(directory) => format!("{}/{target}/", directory.path().display()),
            Place::S3(..) => format!("s3://{BUCKET}/{target}/"),
        }
    }

    /// The names of everything below the target, hidden or not.
    pub fn names(&self, target: &str) -> BTreeSet<String> {
        match self {
            Place::Directory(directory) => {
                let root = directory.path().join(target);
                let mut names = BTreeSet::new();
                let mut pending = vec![root.clone()];
                while let Some(directory) = pending.pop() {
                    for entry in std::fs::read_dir(&directory).unwrap() {
                        let path = entry.unwrap().path();
                        if path.is_dir() {
                            pending.push(path);
                        } else {
                            names.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                        }
                    }
                }
                names
            }
            Place::S3(server, _) => {
                let prefix = format!("{target}/");
                server.keys().iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect()
            }
        }
    }

    /// The names of what readers see below the target.
    pub fn visible(&self, target: &str) -> BTreeSet<String> {
        self.names(target).into_iter().filter(|name| is_visible(name)).collect()
    }

    /// What lies below the target under this name.
    pub fn read(&self, target: &str, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Place::Directory(directory) => std::fs::read(directory.path().join(target).join(name)),
            Place::S3(server, _) => {
                let object = server.get(&format!("{target}/{name}"));
                object.map(|bytes| bytes.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// Has `windrow clean` clean the target up, and asserts that it touched nothing visible and that nothing is hidden
    /// afterwards but the log of what was decided. Gives the names of what is visible.
    pub fn cleaned(&self, target: &str) -> BTreeSet<String> {
        let (location, stores) = (self.location(target), self.stores());
        let mut clean = vec!["clean", location.as_str(), "--older-than", "0s"];
        clean.extend(stores.iter().map(String::as_str));
        let seen = self.visible(target);
        let output = windrow(&clean);
        assert_code(&output, 0);
        assert_eq!(self.visible(target), seen, "clean has changed what is visible: {}", stderr(&output));
        let known = |name: &str| name == "_SUCCESS" || name.ends_with(".manifest") || name.ends_with(".published");
        let hidden = self.names(target).into_iter().filter(|name| !is_visible(name));
        let others: Vec<String> = hidden.filter(|name| !known(name)).collect();
        assert!(others.is_empty(), "clean has left {others:?}");
        let uploads = self.server().map(S3Server::uploads).unwrap_or_default();
        assert!(uploads.is_empty(), "clean has left uploads: {uploads:?}");
        seen
    }
}

/// Whether readers see a file of this name.
fn is_visible(name: &str) -> bool {
    !name.split('/').any(|part| part.starts_with('.') || (part.starts_with('_') && !part.contains('=')))
}

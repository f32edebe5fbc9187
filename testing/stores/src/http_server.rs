//! A plain file server over HTTP: GET and HEAD, ranges, ETags and dates, and what servers of this kind may lack.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use axum::http::Method;
use bytes::Bytes;

use crate::answer::Answer;
use crate::clock::true_time;
use crate::counters::Counters;
use crate::faults::Faults;
use crate::front::{Front, Protocol};
use crate::head::{Head, decode};
use crate::objects::Object;
use crate::reading::{Refused, read};
use crate::seen::{Operation, Seen};

/// What a server of files is started with.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    directory: Option<PathBuf>,
    files: BTreeMap<String, Bytes>,
    ranges: bool,
    head: bool,
    etags: bool,
    lengths: bool,
}

impl HttpConfig {
    fn new(directory: Option<PathBuf>, files: BTreeMap<String, Bytes>) -> HttpConfig {
        HttpConfig { directory, files, ranges: true, head: true, etags: true, lengths: true }
    }

    /// The files below this directory.
    pub fn directory(path: impl Into<PathBuf>) -> HttpConfig {
        HttpConfig::new(Some(path.into()), BTreeMap::new())
    }

    /// These files, by path without a slash in front.
    pub fn files<K: Into<String>, V: Into<Bytes>>(files: impl IntoIterator<Item = (K, V)>) -> HttpConfig {
        HttpConfig::new(None, files.into_iter().map(|(path, contents)| (path.into(), contents.into())).collect())
    }

    /// Ranges are ignored: every answer is 200 with all of the file.
    pub fn without_ranges(self) -> HttpConfig {
        HttpConfig { ranges: false, ..self }
    }

    /// HEAD is answered with 405.
    pub fn without_head(self) -> HttpConfig {
        HttpConfig { head: false, ..self }
    }

    /// Answers have no ETag; dates they have.
    pub fn without_etags(self) -> HttpConfig {
        HttpConfig { etags: false, ..self }
    }

    /// Answers do not say how long they are.
    pub fn without_lengths(self) -> HttpConfig {
        HttpConfig { lengths: false, ..self }
    }
}

/// A running server; it is gone when dropped.
#[derive(Debug)]
pub struct HttpServer {
    front: Front,
    files: Arc<Files>,
}

impl HttpServer {
    /// Starts one on a port of 127.0.0.1 that the system chooses.
    pub fn start(config: HttpConfig) -> io::Result<HttpServer> {
        let now = true_time();
        let stored = config.files.clone().into_iter().map(|(path, body)| (path, Object::new(body, now, Vec::new())));
        let files = Arc::new(Files { stored: Mutex::new(stored.collect()), config });
        Ok(HttpServer { front: Front::start(files.clone())?, files })
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        self.front.faults()
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        self.front.counters()
    }

    /// Connections that were made so far.
    pub fn connections(&self) -> u64 {
        self.front.connections()
    }

    /// Gives a file other contents; it hides one of the directory.
    pub fn put(&self, path: &str, contents: impl Into<Bytes>) {
        self.files.replace("", path, Some(contents.into()));
    }

    /// Takes away a file that was put.
    pub fn delete(&self, path: &str) {
        self.files.replace("", path, None);
    }
}

#[derive(Debug)]
struct Files {
    stored: Mutex<BTreeMap<String, Object>>,
    config: HttpConfig,
}

impl Files {
    fn get(&self, path: &str) -> Option<Object> {
        if let Some(object) = self.stored.lock().unwrap().get(path) {
            return Some(object.clone());
        }
        let (directory, relative) = (self.config.directory.as_ref()?, Path::new(path));
        // Nothing above the directory.
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let path = directory.join(relative);
        let modified = path.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let body = Bytes::from(std::fs::read(path).ok()?);
        let etag = format!("{:x}-{:x}", modified.as_nanos(), body.len());
        Some(Object { etag, ..Object::new(body, modified.as_secs(), Vec::new()) })
    }
}

impl Protocol for Files {
    fn seen(&self, head: &Head) -> Seen {
        Seen {
            operation: match head.method {
                Method::GET => Operation::Get,
                Method::HEAD => Operation::Head,
                _ => Operation::Other,
            },
            method: head.method.to_string(),
            bucket: String::new(),
            key: decode(head.raw_path.trim_start_matches('/')),
            query: head.query.clone(),
            range: head.header("range").map(str::to_owned),
        }
    }

    fn answer(&self, seen: &Seen, head: &Head, _body: Bytes, _ignore_conditions: bool) -> Answer {
        match seen.operation {
            Operation::Get => {}
            Operation::Head if self.config.head => {}
            _ => return Answer::text(405, "method not allowed\n").header("allow", "GET"),
        }
        let Some(mut object) = self.get(&seen.key) else { return Answer::text(404, "not found\n") };
        if !self.config.etags {
            object.etag.clear();
        }
        let range = head.header("range").filter(|_| self.config.ranges);
        let mut answer = match read(head, &object, range) {
            Ok(answer) => answer,
            Err(Refused::NotModified) => Answer::empty(304),
            Err(Refused::PreconditionFailed) => Answer::text(412, "precondition failed\n"),
            Err(Refused::OutOfRange(size)) => {
                Answer::text(416, "out of range\n").header("content-range", &format!("bytes */{size}"))
            }
        };
        if self.config.ranges {
            answer = answer.header("accept-ranges", "bytes");
        }
        answer.says_length = self.config.lengths;
        answer
    }

    fn error(&self, status: u16, _seen: &Seen) -> Answer {
        let answer = Answer::text(status, "an error that was asked for\n");
        if status == 503 { answer.header("retry-after", "1") } else { answer }
    }

    fn replace(&self, _bucket: &str, key: &str, contents: Option<Bytes>) {
        let mut stored = self.stored.lock().unwrap();
        match contents {
            Some(contents) => stored.insert(key.to_owned(), Object::new(contents, true_time(), Vec::new())),
            None => stored.remove(key),
        };
    }
}

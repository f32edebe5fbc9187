//! The file of stores, in which an operator says how to reach them. Statements and plans name a URL and never a secret.
//!
//! ```toml
//! [[store]]
//! url = "s3://lake"                          # this bucket; "s3://" would mean all that no other entry names
//! endpoint = "https://minio.example:9000"
//! path_style = true
//! access_key_id = { env = "LAKE_KEY" }
//! secret_access_key = { file = "/run/secrets/lake" }
//! ```
//!
//! What no entry says is taken from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`), and else from the machine's role.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use windrow_common::{Error, ErrorKind, Result};

/// How stores are reached.
#[derive(Clone, Debug, Default)]
pub struct StoresConfig {
    entries: Vec<Entry>,
}

/// One entry of the file.
#[derive(Clone)]
struct Entry {
    url: String,
    options: BTreeMap<String, String>,
}

/// Values may be secrets.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.url, self.options.keys())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    store: Vec<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Switch(bool),
    Number(i64),
    Reference(Reference),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Reference {
    Env(String),
    File(String),
}

impl StoresConfig {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::new(ErrorKind::NotFound, format!("the file of stores '{shown}' cannot be read: {e}"))
        })?;
        Self::parse(&text).map_err(|e| e.context(format!("file of stores '{shown}'")))
    }

    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        // The text may hold secrets: of the parser's complaint only the place is shown.
        let file: File = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::user(format!("line {line}: {}", e.message()))
        })?;
        let entries = file.store.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(Self { entries })
    }

    /// The options of a store, by its scheme and authority: those of the entry that names it, else those of its scheme.
    pub(super) fn options(&self, store: &str) -> BTreeMap<String, String> {
        let scheme = store.split("://").next().unwrap_or_default();
        let exact = self.entries.iter().find(|entry| entry.url == store);
        let general = || self.entries.iter().find(|entry| entry.url.strip_suffix("://") == Some(scheme));
        exact.or_else(general).map(|entry| entry.options.clone()).unwrap_or_default()
    }
}

fn entry(mut values: BTreeMap<String, Value>) -> Result<Entry> {
    let Some(Value::Text(url)) = values.remove("url") else {
        return Err(Error::user("each [[store]] needs a url, for example url = \"s3://bucket\""));
    };
    let plain = url.strip_suffix('/').filter(|u| !u.ends_with('/')).unwrap_or(&url);
    let authority = plain.split_once("://").map(|(_, authority)| authority);
    if authority.is_none_or(|authority| authority.contains('/')) {
        return Err(Error::user(format!("url = \"{url}\" must be a bucket like s3://lake, or a scheme like s3://")));
    }
    let value = |(key, value): (String, Value)| Ok((key.clone(), resolve(&url, &key, value)?));
    let options = values.into_iter().map(value).collect::<Result<_>>()?;
    Ok(Entry { url: plain.to_owned(), options })
}

fn resolve(url: &str, key: &str, value: Value) -> Result<String> {
    let missing = |what: String| Error::new(ErrorKind::NotFound, format!("{url}, {key}: {what}"));
    match value {
        Value::Text(text) => Ok(text),
        Value::Switch(switch) => Ok(switch.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Reference(Reference::Env(name)) => {
            std::env::var(&name).map_err(|_| missing(format!("the environment variable {name} is not set")))
        }
        Value::Reference(Reference::File(path)) => std::fs::read_to_string(&path)
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            .map_err(|e| missing(format!("the file '{path}' cannot be read: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_counts_and_secrets_stay_out_of_sight() {
        let text = "[[store]]\nurl = 's3://'\nregion = 'eu'\n[[store]]\nurl = 's3://lake/'\npath_style = true\n\
                    access_key_id = { env = 'PATH' }\nsecret_access_key = 'hidden'";
        let config = StoresConfig::parse(text).unwrap();
        assert_eq!(config.options("s3://other")["region"], "eu");
        let lake = config.options("s3://lake");
        assert_eq!(lake["path_style"], "true");
        assert_eq!(lake["access_key_id"], std::env::var("PATH").unwrap());
        assert!(!lake.contains_key("region"));
        assert!(config.options("gs://lake").is_empty());
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn mistakes_are_named_without_the_values() {
        for (text, says) in [
            ("[[store]]\nregion = 'x'", "needs a url"),
            ("[[store]]\nurl = 's3://a/b'", "must be a bucket"),
            ("[[store]]\nurl = 's3://a'\nkey = { env = 'NO_SUCH_VARIABLE_HERE' }", "NO_SUCH_VARIABLE_HERE is not set"),
            ("[[store]]\nurl = 's3://a'\nkey = { file = '/no/such/file' }", "/no/such/file"),
            ("[[stores]]\nurl = 's3://a'", "line 1"),
            ("[[store]]\nurl = 's3://a'\nsecret = hunter2", "line 3"),
        ] {
            let error = StoresConfig::parse(text).unwrap_err().message;
            assert!(error.contains(says) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}

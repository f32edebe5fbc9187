//! What a server is started with.

use super::protocol::Guard;
use super::signature::Keys;
use crate::synthetic::Synthetic;

/// Bytes that every part of an upload but the last must have: 5 MiB, as S3 has it.
const LEAST_PART: usize = 5 << 20;

/// How a server of S3 is to be. By default: one bucket named `windrow`, signatures verified, parts of at least 5 MiB.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) buckets: Vec<String>,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
    pub(crate) signed: bool,
    pub(crate) least_part: usize,
    pub(crate) conditions: bool,
    pub(crate) synthetic: Vec<Synthetic>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            buckets: vec!["windrow".to_owned()],
            access_key: "WINDROWTESTACCESSKEY".to_owned(),
            secret_key: "windrow/test+secret=of-nobody".to_owned(),
            session_token: None,
            signed: true,
            least_part: LEAST_PART,
            conditions: true,
            synthetic: Vec::new(),
        }
    }
}

impl Config {
    /// With these buckets instead; the synthetic keys are in the first.
    pub fn buckets(self, names: &[&str]) -> Config {
        Config { buckets: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    /// With these keys for signatures.
    pub fn keys(self, access_key: &str, secret_key: &str) -> Config {
        Config { access_key: access_key.to_owned(), secret_key: secret_key.to_owned(), ..self }
    }

    /// Requests must have this session token too.
    pub fn session_token(self, token: &str) -> Config {
        Config { session_token: Some(token.to_owned()), ..self }
    }

    /// Signatures are not looked at.
    pub fn unsigned(self) -> Config {
        Config { signed: false, ..self }
    }

    /// Parts may be this small.
    pub fn least_part(self, bytes: usize) -> Config {
        Config { least_part: bytes, ..self }
    }

    /// A server that does not know conditional writes: a second create succeeds and writes over the first.
    pub fn without_conditions(self) -> Config {
        Config { conditions: false, ..self }
    }

    /// So many keys that are listed and read without being stored: the prefix, eight digits, the suffix.
    pub fn synthetic_keys(self, prefix: &str, count: u64, suffix: &str) -> Config {
        self.synthetic(Synthetic::new(prefix, count, suffix))
    }

    /// The same with contents of their own.
    pub fn synthetic(mut self, keys: Synthetic) -> Config {
        self.synthetic.push(keys);
        self
    }

    pub(crate) fn first_bucket(&self) -> &str {
        self.buckets.first().map_or("", String::as_str)
    }

    pub(crate) fn guard(&self) -> Guard {
        let keys = || Keys {
            access: self.access_key.clone(),
            secret: self.secret_key.clone(),
            token: self.session_token.clone(),
        };
        if self.signed { Guard::Signature(keys()) } else { Guard::Open }
    }
}

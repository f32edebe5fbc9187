//! What stands for an upload in the hidden directory of an object store. Stores do not tell of uploads that are not
//! completed, so this is how anybody finds one and can abort it.

use serde::{Deserialize, Serialize};
use windrow_common::{Error, Result};

use crate::sink::spec::Layout;

/// One upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sink) struct Record {
    /// The name that the file will have.
    pub(in crate::sink) name: String,
    /// The store's id of the upload.
    pub(in crate::sink) upload: String,
    /// Whether the file is one of a directory or is written by itself, and has decisions of its own.
    pub(in crate::sink) layout: Layout,
    /// On stores whose uploads have no ids of their own, of a file whose name others may write to: what was there when
    /// the upload began (empty: nothing). Whoever completes an upload there throws away what others have sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sink) before: Option<String>,
}

impl Record {
    /// The record as it lies in the store.
    pub(in crate::sink) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("cannot encode the record of an upload: {e}")))
    }

    /// Reads a record; `shown` is for the error's text.
    pub(in crate::sink) fn parse(bytes: &[u8], shown: &str) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|e| Error::io(format!("the record of an upload '{shown}' cannot be understood: {e}")))
    }
}

//! Blocks that were put and are in no blob yet, and the lists that make blobs of them.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::blobs::{Blobs, properties, refusal};
use crate::answer::Answer;
use crate::head::Head;
use crate::seen::Seen;
use crate::xml::{elements, unescape};

/// By blob and block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    put: BTreeMap<String, BTreeMap<String, Bytes>>,
}

impl Blocks {
    /// Drops those of a blob: it was written.
    pub(super) fn forget(&mut self, name: &str) {
        self.put.remove(name);
    }
}

impl Blobs {
    pub(super) fn put_block(&self, seen: &Seen, head: &Head, body: Bytes) -> Answer {
        let Some(id) = head.query("blockid") else { return refusal(400, "InvalidQueryParameterValue") };
        let mut held = self.held();
        let blocks = held.blocks.put.entry(seen.key.clone()).or_default();
        // Azure wants ids of one length in a blob.
        if blocks.keys().any(|other| other.len() != id.len()) {
            return refusal(400, "InvalidBlobOrBlock");
        }
        blocks.insert(id.to_owned(), body);
        Answer::empty(201)
    }

    pub(super) fn put_block_list(&self, seen: &Seen, head: &Head, body: &[u8]) -> Answer {
        let Ok(request) = std::str::from_utf8(body) else { return refusal(400, "InvalidXmlDocument") };
        if !elements(request, "Committed").is_empty() || !elements(request, "Latest").is_empty() {
            return refusal(501, "NotImplemented");
        }
        let mut whole = BytesMut::new();
        {
            let held = self.held();
            let blocks = held.blocks.put.get(&seen.key);
            for id in elements(request, "Uncommitted") {
                let Some(block) = blocks.and_then(|blocks| blocks.get(&unescape(id.trim()))) else {
                    return refusal(400, "InvalidBlockList");
                };
                whole.extend_from_slice(block);
            }
        }
        self.write(seen, head, whole.freeze(), properties(head))
    }
}

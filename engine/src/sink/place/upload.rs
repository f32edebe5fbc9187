//! One staged file of an object store: an upload in parts, sent while the encoder goes on.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use windrow_common::{Error, ErrorKind, Result};

use super::failure::failure;
use crate::sink::output::{Receipt, StagedOutput, block_on};
use crate::sink::written::Upload;

/// Bytes of the first parts. Stores ask for 5 MiB at least, but for the last part.
pub(super) const FIRST_PART_BYTES: usize = 8 << 20;
/// Parts of one size, before they become twice as large. So files up to 8 GB have equal parts, which some stores ask for,
/// and no file comes to [`MAX_PARTS`] before it is larger than any store takes (5 TiB).
const PARTS_OF_ONE_SIZE: usize = 1000;
/// Times that parts become larger.
const MAX_DOUBLINGS: usize = 8;
/// Parts that a store takes in one upload.
const MAX_PARTS: usize = 10_000;
/// Parts of one file that are on their way at once: with the one being filled, this many parts are in memory.
pub(super) const MAX_PARTS_IN_FLIGHT: u32 = 4;

/// Bytes of the part at this place, unless it is the last.
fn part_bytes(index: usize) -> usize {
    FIRST_PART_BYTES << (index / PARTS_OF_ONE_SIZE).min(MAX_DOUBLINGS)
}

/// The number of parts that a file of this size is sent in.
pub(super) fn part_count(bytes: u64) -> usize {
    let mut left = bytes;
    (0..MAX_PARTS)
        .take_while(|index| {
            let more = left > 0;
            left = left.saturating_sub(part_bytes(*index) as u64);
            more
        })
        .count()
}

/// An upload that has been created and recorded.
#[derive(Clone)]
pub(super) struct Begun {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) uploads: Arc<dyn MultipartStore>,
    /// The object that it becomes.
    pub(super) path: Path,
    pub(super) id: MultipartId,
    /// The object that tells of it.
    pub(super) record: Path,
    /// The object's name for people.
    pub(super) shown: String,
}

impl Begun {
    /// Aborts the upload, then forgets it: so a record may be of an upload that is gone, but no upload is without one.
    pub(super) async fn abort(self) -> object_store::Result<()> {
        match self.uploads.abort_multipart(&self.path, &self.id).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        match self.objects.delete(&self.record).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The same, later and by whoever has time. What cannot be aborted stays hidden, and is found by its record.
    pub(super) fn abort_later(self, runtime: &Handle) {
        runtime.spawn(async move {
            let shown = self.shown.clone();
            if let Err(error) = self.abort().await {
                tracing::warn!(file = shown, %error, "an upload stays behind");
            }
        });
    }
}

/// Takes a file's bytes and sends them in parts.
pub(super) struct UploadOutput {
    begun: Begun,
    runtime: Handle,
    receipt: Arc<Receipt>,
    /// The part that is being filled.
    part: Vec<u8>,
    sending: JoinSet<(usize, object_store::Result<PartId>)>,
    begun_parts: usize,
    sent: BTreeMap<usize, String>,
    bytes: u64,
    ended: bool,
}

impl UploadOutput {
    /// An output into this upload, which has no parts yet.
    pub(super) fn new(begun: Begun, runtime: Handle, receipt: Arc<Receipt>) -> Self {
        let (part, sending, sent) = (Vec::new(), JoinSet::new(), BTreeMap::new());
        Self { begun, runtime, receipt, part, sending, begun_parts: 0, sent, bytes: 0, ended: false }
    }

    fn send(&mut self) -> Result<()> {
        let index = self.begun_parts;
        if index == MAX_PARTS {
            let message = format!("'{}' is larger than any store takes; write to a directory", self.begun.shown);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let lane = self.receipt.lane()?;
        while let Some(sent) = self.sending.try_join_next() {
            self.note(sent)?;
        }
        let held = Held { bytes: self.part.len(), receipt: Arc::clone(&self.receipt) };
        let (begun, payload) = (self.begun.clone(), Bytes::from(std::mem::take(&mut self.part)));
        let send = async move {
            let sent = begun.uploads.put_part(&begun.path, &begun.id, index, payload.into()).await;
            drop((held, lane));
            (index, sent)
        };
        self.sending.spawn_on(send, &self.runtime);
        self.begun_parts += 1;
        Ok(())
    }

    fn note(&mut self, sent: Result<(usize, object_store::Result<PartId>), tokio::task::JoinError>) -> Result<()> {
        let (index, sent) = sent.map_err(|e| Error::internal(format!("sending a part stopped short: {e}")))?;
        let part = sent.map_err(|e| failure("write", &self.begun.shown, &e))?;
        self.sent.insert(index, part.content_id);
        Ok(())
    }
}

impl Write for UploadOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = part_bytes(self.begun_parts);
        let taken = bytes.len().min(size - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        self.bytes += taken as u64;
        self.receipt.took(taken);
        if self.part.len() == size {
            self.send().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    /// Parts are sent when they are full: the store takes no smaller ones.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StagedOutput for UploadOutput {
    fn finish(mut self: Box<Self>) -> Result<u64> {
        if !self.part.is_empty() {
            self.send()?;
        }
        while let Some(sent) = block_on(self.sending.join_next())? {
            self.note(sent)?;
        }
        if self.sent.len() != part_count(self.bytes) {
            let (sent, shown) = (self.sent.len(), &self.begun.shown);
            return Err(Error::internal(format!("'{shown}' was sent in {sent} parts, not as many as it has")));
        }
        let parts = std::mem::take(&mut self.sent).into_values().collect();
        self.receipt.completed(Upload { id: self.begun.id.clone(), parts, bytes: self.bytes });
        self.ended = true;
        Ok(self.bytes)
    }
}

impl Drop for UploadOutput {
    /// A file that does not come to its end leaves nothing. Parts that arrive after an abort would stay.
    fn drop(&mut self) {
        self.receipt.gave(self.part.len());
        if self.ended {
            return;
        }
        let (begun, mut sending) = (self.begun.clone(), std::mem::take(&mut self.sending));
        let runtime = self.runtime.clone();
        self.runtime.spawn(async move {
            sending.shutdown().await;
            begun.abort_later(&runtime);
        });
    }
}

/// Bytes of a part on its way.
struct Held {
    bytes: usize,
    receipt: Arc<Receipt>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.receipt.gave(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_suffice_for_the_largest_file_that_stores_take() {
        let all: u64 = (0..MAX_PARTS).map(|index| part_bytes(index) as u64).sum();
        assert!(all >= 5 << 40);
        assert!((0..MAX_PARTS).all(|index| part_bytes(index) <= 4000 << 20), "Azure takes no larger blocks");
    }

    #[test]
    fn a_size_says_how_many_parts_there_are() {
        let first = FIRST_PART_BYTES as u64;
        let thousand = first * PARTS_OF_ONE_SIZE as u64;
        for (bytes, parts) in [
            (0, 0),
            (1, 1),
            (first, 1),
            (first + 1, 2),
            (thousand, 1000),
            (thousand + 2 * first, 1001),
            (thousand + 2 * first + 1, 1002),
        ] {
            assert_eq!(part_count(bytes), parts, "{bytes}");
        }
    }
}

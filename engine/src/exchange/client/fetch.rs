//! One call to one endpoint: asks for slices, passes on the blocks, and insists on the end marker. Tries again when the
//! connection fails, as long as no block has been passed on; after that, and when all tries are used up, the outputs
//! behind the endpoint are lost inputs.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc::{self, Permit};
use tonic::Status;
use windrow_common::{Counted, Error, ErrorKind, limits};
use windrow_proto::exchange as wire;
use windrow_proto::exchange::fetch_response::Part;
use windrow_proto::status::{from_status, id_bytes, is_ours};

use super::channels::Channels;
use super::{Admitted, Arrival, Block, Compression, Credit, Producers};

type Sender = mpsc::Sender<Result<Arrival, Error>>;

/// One call, ready to run.
pub(super) struct Fetch {
    pub(super) channels: Channels,
    pub(super) producers: Producers,
    pub(super) partitions: Range<u32>,
    pub(super) layout: u32,
    pub(super) compression: Compression,
    pub(super) credit: Arc<dyn Credit>,
    pub(super) _counted: Counted,
}

/// Why a try ended.
enum Failure {
    /// The other side said why, or we did: final.
    Typed(Error),
    /// The connection failed: may be tried again.
    Connection(String),
    /// The reader has gone: nobody wants to know.
    ReaderGone,
}

/// How much of the stream has been seen.
#[derive(Default)]
struct Progress {
    blocks: u64,
    rows: u64,
}

impl Fetch {
    /// Passes on every block, or says why not.
    pub(super) async fn run(self, sender: Sender) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let mut progress = Progress::default();
            match self.try_once(&sender, &mut progress).await {
                Ok(()) | Err(Failure::ReaderGone) => return Ok(()),
                Err(Failure::Typed(error)) => return Err(error),
                Err(Failure::Connection(cause)) => {
                    self.channels.forget(&self.producers.endpoint);
                    if progress.blocks > 0 || tries == limits::FETCH_RETRIES {
                        return Err(self.lost(&cause));
                    }
                    tokio::time::sleep(limits::RETRY_BACKOFF * 2u32.pow(tries)).await;
                    tries += 1;
                }
            }
        }
    }

    async fn try_once(&self, sender: &Sender, progress: &mut Progress) -> Result<(), Failure> {
        let mut lease = self.channels.lease(&self.producers.endpoint).map_err(Failure::Typed)?;
        let mut responses = lease.client.fetch(self.request()).await.map_err(failure)?.into_inner();
        loop {
            let message = responses.message().await.map_err(failure)?;
            match message.map(|response| response.part) {
                Some(Some(Part::Block(block))) => {
                    progress.rows += block.rows;
                    self.pass_on(sender, block).await?;
                    progress.blocks += 1;
                }
                Some(Some(Part::End(end))) => {
                    let found = (progress.blocks, progress.rows);
                    return if found == (end.blocks, end.rows) {
                        Ok(())
                    } else {
                        let wanted = (end.blocks, end.rows);
                        Err(Failure::Connection(format!("(blocks, rows) {found:?} arrived, {wanted:?} were sent")))
                    };
                }
                Some(None) => {
                    return Err(Failure::Typed(Error::new(ErrorKind::Version, self.say("an unknown message"))));
                }
                None => return Err(Failure::Connection("the stream ended before its end marker".to_owned())),
            }
        }
    }

    async fn pass_on(&self, sender: &Sender, block: wire::Block) -> Result<(), Failure> {
        let Some((attempt, task)) = self.producers.outputs.get(block.slice as usize).copied() else {
            return Err(Failure::Typed(Error::internal(self.say("a block that was not asked for"))));
        };
        if !self.partitions.contains(&block.partition) {
            return Err(Failure::Typed(Error::internal(self.say("a partition that was not asked for"))));
        }
        if block.layout != self.layout {
            let message = format!("task {task} ({attempt}) wrote other column types than its reader expects");
            return Err(Failure::Typed(Error::internal(message)));
        }
        let block = Block { rows: block.rows, header: block.header, body: block.body, crc: block.crc };
        let (permit, admitted) = self.room(sender, block.len() as u64).await?;
        permit.send(Ok(Arrival::Block { attempt, task, block, admitted }));
        Ok(())
    }

    /// Waits for a place in the queue and for memory. When memory is short, waits until the reader has taken everything
    /// that is there and then goes on at any rate: one block at a time always fits.
    async fn room<'a>(
        &self,
        sender: &'a Sender,
        bytes: u64,
    ) -> Result<(Permit<'a, Result<Arrival, Error>>, Admitted), Failure> {
        let gone = |_| Failure::ReaderGone;
        let permit = sender.reserve().await.map_err(gone)?;
        if let Some(admitted) = self.credit.try_admit(bytes) {
            return Ok((permit, admitted));
        }
        drop(permit);
        let mut all = sender.reserve_many(limits::FETCH_QUEUE).await.map_err(gone)?;
        let admitted = self.credit.admit(bytes);
        let permit = all.next().ok_or(Failure::ReaderGone)?;
        Ok((permit, admitted))
    }

    fn request(&self) -> wire::FetchRequest {
        let slice = |(attempt, _): &(windrow_common::AttemptId, u32)| wire::Slice {
            attempt: id_bytes(attempt.0),
            first_partition: self.partitions.start,
            end_partition: self.partitions.end,
        };
        let compression = match self.compression {
            Compression::None => wire::Compression::None,
            Compression::Lz4 => wire::Compression::Lz4,
        };
        wire::FetchRequest {
            version: limits::PROTOCOL_VERSION,
            slices: self.producers.outputs.iter().map(slice).collect(),
            compression: compression as i32,
            ticket: Default::default(),
        }
    }

    fn say(&self, what: &str) -> String {
        format!("worker at {} sent {what}", self.producers.endpoint)
    }

    fn lost(&self, cause: &str) -> Error {
        let message = format!(
            "{} output(s) could not be read from the worker at {}: {cause}",
            self.producers.outputs.len(),
            self.producers.endpoint
        );
        Error::new(ErrorKind::LostInput(self.producers.attempts()), message)
    }
}

fn failure(status: Status) -> Failure {
    let error = from_status(&status);
    if is_ours(&status) { Failure::Typed(error) } else { Failure::Connection(error.message) }
}

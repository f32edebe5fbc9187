//! The ticket for one part of a large result, which a client takes to the worker that holds it or, where it cannot, to
//! the coordinator. Opaque to clients.
//!
//! ```text
//!   version (1) | kind (1) | strict (1) | room (16) | answer (16) | authorisation (16) | job (16) | attempt (16)
//!               | part (4) | first partition (4) | end partition (4) | schema (Arrow IPC message, the rest)
//! ```
//!
//! The coordinator finds the answer by room, number and authorisation; the worker finds the output by job and
//! attempt, whose 128 bits nobody can guess. The authorisation is random and opaque to the worker; its place
//! is that of a signature for one job. The id of the session, which is a bearer token, is not in it. The schema is there
//! for outputs without rows.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow_ipc::convert::try_schema_from_flatbuffer_bytes;
use bytes::{BufMut, Bytes, BytesMut};
use windrow_common::{AttemptId, JobId};

use super::outward::schema_message;

const VERSION: u8 = 1;
/// Tells it from other tickets of the same version.
const KIND: u8 = b'r';
const IDS: usize = 5;
const NUMBERS: usize = 3;
const FIXED: usize = 3 + IDS * 16 + NUMBERS * 4;

/// Names one part of a result: the output of one task of its last stage.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectTicket {
    /// The rows must not be read any more once the output was undone: what is made in its place may be other rows.
    pub strict: bool,
    /// The public number under which the coordinator keeps the answers of one session.
    pub room: u128,
    /// The answer, among those.
    pub answer: u128,
    /// Shows that the ticket was given out by the coordinator.
    pub authorisation: u128,
    /// The job that made it.
    pub job: JobId,
    /// The attempt that made it.
    pub attempt: AttemptId,
    /// Which part of the result, from 0.
    pub part: u32,
    /// The partitions of the output.
    pub partitions: Range<u32>,
    /// The columns, as the engine makes them.
    pub schema: SchemaRef,
}

impl std::fmt::Debug for DirectTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DirectTicket(part {} of {} in room {:08x})", self.part, self.job, self.room >> 96)
    }
}

impl DirectTicket {
    /// As it travels.
    pub fn encode(&self) -> Bytes {
        let schema = schema_message(&self.schema);
        let mut bytes = BytesMut::with_capacity(FIXED + schema.len());
        bytes.put_u8(VERSION);
        bytes.put_u8(KIND);
        bytes.put_u8(u8::from(self.strict));
        for id in [self.room, self.answer, self.authorisation, self.job.0, self.attempt.0] {
            bytes.put_u128(id);
        }
        for number in [self.part, self.partitions.start, self.partitions.end] {
            bytes.put_u32(number);
        }
        bytes.put(schema);
        bytes.freeze()
    }

    /// The ticket in these bytes, if they are one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, KIND, strict @ (0 | 1)], mut rest) = bytes.split_first_chunk::<3>()? else { return None };
        let mut ids = [0; IDS];
        for id in &mut ids {
            let (bytes, left) = rest.split_first_chunk()?;
            (*id, rest) = (u128::from_be_bytes(*bytes), left);
        }
        let mut numbers = [0; NUMBERS];
        for number in &mut numbers {
            let (bytes, left) = rest.split_first_chunk()?;
            (*number, rest) = (u32::from_be_bytes(*bytes), left);
        }
        let [room, answer, authorisation, job, attempt] = ids;
        let [part, start, end] = numbers;
        if start > end {
            return None;
        }
        Some(Self {
            strict: *strict == 1,
            room,
            answer,
            authorisation,
            job: JobId(job),
            attempt: AttemptId(attempt),
            part,
            partitions: start..end,
            schema: schema_of(rest)?,
        })
    }
}

/// Arrow's reader asserts some of what a hostile client could get wrong; an unwind is one more thing that is no ticket.
fn schema_of(bytes: &[u8]) -> Option<SchemaRef> {
    let schema = catch_unwind(AssertUnwindSafe(|| try_schema_from_flatbuffer_bytes(bytes))).ok()?;
    schema.ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn ticket() -> DirectTicket {
        let key = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        let item = Arc::new(Field::new("item", DataType::Float64, false));
        let fields = vec![Field::new("k", key, true), Field::new("l", DataType::List(item), false)];
        let metadata = [("made by".to_owned(), "us".to_owned())].into();
        DirectTicket {
            strict: true,
            room: 1,
            answer: 2,
            authorisation: u128::MAX,
            job: JobId(4),
            attempt: AttemptId(5),
            part: 6,
            partitions: 0..8,
            schema: Arc::new(Schema::new_with_metadata(fields, metadata)),
        }
    }

    #[test]
    fn a_ticket_comes_back_with_its_schema() {
        let ticket = ticket();
        assert_eq!(DirectTicket::decode(&ticket.encode()), Some(ticket.clone()));
        let none = DirectTicket { schema: Arc::new(Schema::empty()), ..ticket };
        assert_eq!(DirectTicket::decode(&none.encode()), Some(none));
    }

    #[test]
    fn nothing_else_is_a_ticket() {
        let bytes = ticket().encode();
        for end in 0..bytes.len() {
            // Cut short anywhere, it is none; that the flatbuffer's own tail may be padding is no matter.
            assert!(end > FIXED || DirectTicket::decode(&bytes[..end]).is_none(), "{end}");
        }
        let mut other = bytes.to_vec();
        other[0] = 2;
        assert_eq!(DirectTicket::decode(&other), None);
        let backwards = DirectTicket { partitions: Range { start: 3, end: 2 }, ..ticket() };
        assert_eq!(DirectTicket::decode(&backwards.encode()), None);
    }

    #[test]
    fn no_bytes_bring_the_decoder_down() {
        let whole = ticket().encode();
        for place in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[place] ^= flip;
                // What it makes of them is its business; that it comes back is what counts.
                let _ = DirectTicket::decode(&bytes);
            }
        }
    }
}

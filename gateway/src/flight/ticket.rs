//! Tickets and handles: opaque to clients, and bound to the session they were made in.
//!
//! ```text
//!   version (1 byte) | room (16) | number (16) | authorisation (16)
//! ```
//!
//! Tickets are handed on to workers and to other processes of a client. So they name the session by the public number of
//! its room, and never by its id, which is the bearer token: who has a ticket can fetch one answer, and be nobody.
//!
//! The authorisation is random, and compared; its place is that of a signature for one job.

use bytes::Bytes;
use uuid::Uuid;

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 3 * 16;

/// Names an answer or a prepared statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The public number of the session's room.
    pub(super) room: u128,
    pub(super) number: u128,
    pub(super) authorisation: u128,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({:08x} of room {:08x})", self.number >> 96, self.room >> 96)
    }
}

impl Ticket {
    /// A ticket that nobody else has.
    pub(super) fn mint(room: u128) -> Self {
        Self { room, number: Uuid::new_v4().as_u128(), authorisation: Uuid::new_v4().as_u128() }
    }

    /// As it travels.
    pub(super) fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        for part in [self.room, self.number, self.authorisation] {
            bytes.extend_from_slice(&part.to_be_bytes());
        }
        bytes.into()
    }

    /// The ticket in these bytes, if they are one of ours.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LENGTH || bytes.first() != Some(&VERSION) {
            return None;
        }
        let part = |index: usize| {
            let start = 1 + index * 16;
            bytes.get(start..start + 16)?.try_into().ok().map(u128::from_be_bytes)
        };
        Some(Self { room: part(0)?, number: part(1)?, authorisation: part(2)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_comes_back_and_nothing_else_is_one() {
        let ticket = Ticket::mint(7);
        let bytes = ticket.encode();
        assert_eq!(Ticket::decode(&bytes), Some(ticket));
        assert_eq!(Ticket::decode(&bytes[1..]), None);
        assert_eq!(Ticket::decode(&[]), None);
        assert_eq!(Ticket::decode(&[2; LENGTH]), None);
    }
}

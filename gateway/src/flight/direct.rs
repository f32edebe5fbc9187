//! Parts of a large result: what clients are told of where they lie, and the fetch of one through the coordinator.
//!
//! ```text
//!   client ─ DoGet(ticket) ─► worker that holds the part          first location of its endpoint
//!          └ DoGet(ticket) ─► coordinator ─► wherever it is now    second one, of the same ticket
//! ```

use arrow_flight::FlightEndpoint;
use windrow_common::{Result, limits};
use windrow_coordinator::DirectResult;
use windrow_engine::exchange::DirectTicket;

use super::Gateway;
use super::rows::{self, Outgoing, Source};
use super::ticket::Ticket;

/// Flight's name for the connection over which the information came.
const REUSE_CONNECTION: &str = "arrow-flight-reuse-connection://?";

/// The endpoints of a result, in the order of its rows; none if they are more than one message should carry.
pub(super) fn endpoints(answer: Ticket, result: &DirectResult) -> Option<Vec<FlightEndpoint>> {
    let mut left = limits::DIRECT_TICKETS_BYTES;
    let mut endpoints = Vec::with_capacity(result.locations().len());
    for (part, location) in result.locations().iter().enumerate() {
        let ticket = DirectTicket {
            strict: result.is_strict(),
            room: answer.room,
            answer: answer.number,
            authorisation: answer.authorisation,
            job: result.job(),
            attempt: location.attempt,
            part: part as u32,
            partitions: 0..result.partitions(),
            schema: result.schema().clone(),
        };
        let ticket = ticket.encode();
        left = left.checked_sub(ticket.len())?;
        let endpoint = FlightEndpoint::new().with_ticket(arrow_flight::Ticket { ticket });
        // A part that rode in its report is here, which an endpoint without locations says.
        endpoints.push(match location.inline {
            Some(_) => endpoint,
            None => {
                let worker = format!("grpc+tcp://{}", location.endpoint);
                endpoint.with_location(worker).with_location(REUSE_CONNECTION)
            }
        });
    }
    Some(endpoints)
}

/// The answer that a part belongs to.
pub(super) fn answer_of(part: &DirectTicket) -> Ticket {
    Ticket { room: part.room, number: part.answer, authorisation: part.authorisation }
}

impl Gateway {
    /// Sends the rows of a part.
    pub(super) async fn fetch_part(&self, part: &DirectTicket) -> Result<Outgoing> {
        let ticket = answer_of(part);
        let room = self.room_of(ticket)?;
        let answer = room.answer(ticket)?;
        let reading = answer.part(part).await?;
        Ok(rows::send(self.control.as_ref(), room, answer, Source::Part(reading)))
    }
}

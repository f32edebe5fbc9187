//! How batches leave one stage and enter the next.
//!
//! `source` is the seam: the trait through which a plan's leaves read, implemented by whoever holds the data (the worker's
//! store, a remote client). `block` is the unit on the wire and on disk; `client` reads blocks from another process.
//! `outward` is how rows leave for clients, `direct_ticket` with what they fetch them from the worker that holds them.

pub mod block;
pub mod client;
pub mod direct_ticket;
pub mod equalities;
pub mod outward;
pub mod reader;
pub mod source;

pub use direct_ticket::DirectTicket;
pub use source::{ExchangeSource, ReadRequest};

//! What outsiders talk to: Flight SQL, on the coordinator's own port. It owns the protocol: who calls, tickets, prepared
//! statements, and how rows leave. It knows a coordinator only through [`Control`].
//!
//! ```text
//!   client ─ gRPC ─► flight (FlightService) ─► Control ─► sessions, statements, ingestion of the coordinator
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod control;
pub mod flight;

use std::sync::Arc;

pub use control::Control;
pub use flight::Gateway;

/// The gateway's services, for [`windrow_coordinator::Coordinator::start_with`].
pub fn services() -> windrow_coordinator::Services {
    Box::new(|front| Gateway::new(Arc::new(front)).routes())
}

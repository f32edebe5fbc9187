//! The commands of Flight SQL, in and out of the bytes they travel as.

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{Any, Command};
use prost::Message;
use windrow_common::{Error, ErrorKind, Result};

/// The command in these bytes.
pub(super) fn command(bytes: &[u8]) -> Result<Command> {
    let unreadable = |why: String| Error::user(format!("the request is no Flight SQL command: {why}"));
    let any = Any::decode(bytes).map_err(|e| unreadable(e.to_string()))?;
    Command::try_from(any).map_err(|e| unreadable(e.to_string()))
}

/// The command of a descriptor.
pub(super) fn of_descriptor(descriptor: &FlightDescriptor) -> Result<Command> {
    if descriptor.r#type() != DescriptorType::Cmd {
        return Err(Error::user("flights have no paths here; describe them by a Flight SQL command"));
    }
    command(&descriptor.cmd)
}

/// A message of a protocol that is not wrapped.
pub(super) fn plain<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|e| Error::user(format!("the request is unreadable: {e}")))
}

/// Refuses a command in a call that it does not belong to, or that does not exist here.
pub(super) fn refused(command: &Command, call: &str) -> Error {
    let name = command.type_url().rsplit('.').next().unwrap_or_default().to_owned();
    let substrait = name.contains("Substrait");
    let hint = if substrait { "; plans are given as SQL" } else { "" };
    Error::new(ErrorKind::Unsupported, format!("{call} does not take {name}{hint}"))
}

/// Refuses transactions: every statement stands for itself.
pub(super) fn refuse_transaction(transaction: Option<&bytes::Bytes>) -> Result<()> {
    match transaction {
        None => Ok(()),
        Some(id) if id.is_empty() => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Unsupported, "there are no transactions; leave the transaction out")),
    }
}

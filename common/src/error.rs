//! The one public error. Its kind says who must act and whether trying again can help; its message says what was wrong,
//! where, and what to do. It stays typed all the way from the operator that failed to the person who asked.

use std::fmt;

use crate::ids::AttemptId;

/// Shorthand for results with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; decides who must act and what is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The statement, its data or its arguments are wrong: the user must change something. Never tried again.
    User,
    /// A name (table, column, file, job) does not exist. Never tried again.
    NotFound,
    /// Something is there already and may not be replaced. Never tried again.
    AlreadyExists,
    /// Reading or writing failed in a way that may pass: disk, network, store. Tried again.
    Io,
    /// The memory budget was not enough. Tried again with a larger reservation.
    OutOfMemory,
    /// Outputs that an attempt needed could not be read. The producers are run again; the reader is not to blame.
    LostInput(Vec<AttemptId>),
    /// Nobody is there to do the work (no worker, no coordinator). The operator must act, or it passes.
    Unavailable,
    /// Somebody asked for it to stop.
    Cancelled,
    /// A limit of ours was met; the message names it.
    Limit,
    /// The other side speaks another version of the protocol.
    Version,
    /// The feature does not exist here; the message says what does.
    Unsupported,
    /// A bug of ours. Tried again on another worker, for it may be a matter of timing.
    Internal,
}

impl ErrorKind {
    /// Whether running the same attempt again, perhaps elsewhere, can end otherwise.
    pub fn is_retryable(&self) -> bool {
        match self {
            ErrorKind::Io | ErrorKind::OutOfMemory | ErrorKind::LostInput(_) | ErrorKind::Internal => true,
            ErrorKind::User
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Unavailable
            | ErrorKind::Cancelled
            | ErrorKind::Limit
            | ErrorKind::Version
            | ErrorKind::Unsupported => false,
        }
    }

    /// The process exit code that the command line gives for this kind: 1 for the user's own errors, 2 is taken by
    /// wrong arguments, 3 when the cluster failed, 130 when cancelled.
    pub fn exit_code(&self) -> u8 {
        match self {
            ErrorKind::User
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Limit
            | ErrorKind::Unsupported => 1,
            ErrorKind::Io
            | ErrorKind::OutOfMemory
            | ErrorKind::LostInput(_)
            | ErrorKind::Unavailable
            | ErrorKind::Version
            | ErrorKind::Internal => 3,
            ErrorKind::Cancelled => 130,
        }
    }
}

/// A failure, with what a person needs to act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Who must act, and whether to try again.
    pub kind: ErrorKind,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The user must change something.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// Reading or writing failed.
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Io, message)
    }

    /// A bug of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Nobody is there to do it.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Somebody asked for it to stop.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// The same error with `context: ` in front of its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

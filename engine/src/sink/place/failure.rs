//! What a store's error means to whoever writes there.

use object_store::Error as StoreError;
use windrow_common::{Error, ErrorKind};

/// An error of a store with what was being done to which object, and what helps where something does.
pub(super) fn failure(doing: &str, shown: &str, source: &StoreError) -> Error {
    let (kind, advice) = match source {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            (ErrorKind::User, "; the credentials of the workers and of the coordinator must allow it")
        }
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => {
            (ErrorKind::Unsupported, "; write to another store or to a local directory")
        }
        StoreError::NotFound { .. } => (ErrorKind::NotFound, "; was it removed, or is there no such bucket?"),
        _ => (ErrorKind::Io, ""),
    };
    Error::new(kind, format!("cannot {doing} '{shown}': {source}{advice}"))
}

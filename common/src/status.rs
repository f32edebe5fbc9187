//! How two statements about one attempt are joined: monotone, commutative and idempotent, so that late and repeated
//! reports cannot take anything back.

use std::fmt;

use crate::protocol::AttemptStatus;

impl AttemptStatus {
    /// Whether the attempt has come to an end.
    pub fn is_terminal(&self) -> bool {
        match self {
            AttemptStatus::Running => false,
            AttemptStatus::Finished(_) | AttemptStatus::Failed(_) | AttemptStatus::Cancelled => true,
        }
    }

    /// The stronger of two statements about one attempt: an end wins over `Running`. A worker says one end only; should
    /// two meet all the same, `Finished` wins over `Failed` over `Cancelled`, and equal kinds are ordered by content, so
    /// that the order of arrival never matters.
    #[must_use]
    pub fn join(self, other: AttemptStatus) -> AttemptStatus {
        match self.rank().cmp(&other.rank()) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal if self == other => self,
            std::cmp::Ordering::Equal => {
                if format!("{self:?}") < format!("{other:?}") {
                    self
                } else {
                    other
                }
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            AttemptStatus::Running => 0,
            AttemptStatus::Cancelled => 1,
            AttemptStatus::Failed(_) => 2,
            AttemptStatus::Finished(_) => 3,
        }
    }
}

impl fmt::Display for AttemptStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptStatus::Running => f.write_str("running"),
            AttemptStatus::Finished(output) => write!(f, "finished with {} rows", output.rows()),
            AttemptStatus::Failed(error) => write!(f, "failed: {error}"),
            AttemptStatus::Cancelled => f.write_str("cancelled"),
        }
    }
}

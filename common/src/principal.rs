//! Who runs something.

use std::fmt;
use std::sync::Arc;

/// A user, by name. There is no authentication yet, so everybody is [`Principal::anonymous`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// Somebody who has not said who they are.
    pub fn anonymous() -> Self {
        Self(Arc::from("anonymous"))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! How deep expressions may nest. Logical ones are looked at before the optimiser works on them, physical ones before they
//! are sent: planning may have made them deeper.

use windrow_common::{Error, Result, limits};

/// Refuses a depth that planning, decoding and running are not prepared for.
pub(crate) fn check(deepest: usize) -> Result<()> {
    let limit = limits::MAX_EXPRESSION_DEPTH;
    if deepest <= limit {
        return Ok(());
    }
    let text = format!("an expression is nested {deepest} levels deep; the limit is {limit}");
    Err(Error::user(format!("{text}. Write long chains of OR as IN (…)")))
}

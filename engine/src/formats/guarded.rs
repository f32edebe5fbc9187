//! The last resort against parsers of others that panic on bytes they did not expect. What is known to panic is checked
//! before they are called; what is not known becomes an error here, and not the end of a worker's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a parser. If it panics, what it worked on must not be used again; the text says so to people.
pub fn guarded<T>(parse: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(parse)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for a reason it did not give");
        format!("it is damaged in a way that its parser does not survive: {text}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_text() {
        assert_eq!(guarded(|| 1), Ok(1));
        let text = guarded(|| panic!("index {} out of range", 7)).unwrap_err();
        assert!(text.contains("index 7 out of range"));
    }
}

//! What a `Range` header means for so many bytes.

use std::ops::Range;

/// The part of an object that is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// All of it; also when the header cannot be understood or asks for several parts, which may be ignored.
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes that are not there.
    Nothing,
}

/// Of a header such as `bytes=0-99`, `bytes=100-` or `bytes=-8`.
pub(crate) fn asked(header: Option<&str>, size: usize) -> Asked {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Asked::Whole };
    let Some((from, to)) = spec.split_once('-') else { return Asked::Whole };
    match (from.trim().parse::<usize>(), to.trim().parse::<usize>()) {
        (Ok(from), Ok(to)) if from > to => Asked::Whole,
        (Ok(from), _) if from >= size => Asked::Nothing,
        (Ok(from), Ok(to)) => Asked::Part(from..size.min(to.saturating_add(1))),
        (Ok(from), Err(_)) if to.trim().is_empty() => Asked::Part(from..size),
        (Err(_), Ok(last)) if from.trim().is_empty() => match (last, size) {
            (0, _) | (_, 0) => Asked::Nothing,
            (last, size) => Asked::Part(size.saturating_sub(last)..size),
        },
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        for (header, expected) in [
            ("bytes=0-3", Asked::Part(0..4)),
            ("bytes=8-99", Asked::Part(8..10)),
            ("bytes=9-", Asked::Part(9..10)),
            ("bytes=-4", Asked::Part(6..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("rows=0-1", Asked::Whole),
        ] {
            assert_eq!(asked(Some(header), 10), expected, "{header}");
        }
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(asked(Some("bytes=0-0"), 0), Asked::Nothing);
    }
}

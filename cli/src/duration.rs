//! Durations as people write them: `500ms`, `30s`, `2m`, or a bare number of seconds.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a duration. Milliseconds are the smallest that it knows.
pub fn parse(text: &str) -> Result<Duration, String> {
    let error = || format!("'{text}' is not a duration; write for example 30s, 500ms or 2m");
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| lower.strip_suffix(suffix).map(|number| (number.trim(), *unit)))
        .unwrap_or((lower.as_str(), 1_000));
    let number: u64 = number.parse().map_err(|_| error())?;
    number.checked_mul(unit).map(Duration::from_millis).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [("500ms", 500), ("2s", 2_000), ("30", 30_000), (" 2 m ", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "1.5s", "1d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(parse(text).unwrap_err().contains("500ms"), "{text}");
        }
    }
}

//! What day it is, for a server: dates of objects and of answers, and the formats in which protocols write them.
#![allow(clippy::disallowed_methods, reason = "the date of an object is the one thing here that is read from a clock")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The clock of a server, which may be made to lag so that what is written looks old.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    behind: AtomicU64,
}

impl Clock {
    /// Seconds since 1970, less what the clock lags.
    pub(crate) fn now(&self) -> u64 {
        true_time().saturating_sub(self.behind.load(Ordering::SeqCst))
    }

    pub(crate) fn set_behind(&self, by: Duration) {
        self.behind.store(by.as_secs(), Ordering::SeqCst);
    }
}

/// Seconds since 1970.
pub(crate) fn true_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Year, month and day of so many days since 1970 (Hinnant's algorithm).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days since 1970 of a date after it.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * mp + 2) / 5 + day - 1;
    (era * 146_097 + doe).saturating_sub(719_468)
}

/// `Fri, 24 May 2013 00:00:00 GMT`.
pub(crate) fn http_date(time: u64) -> String {
    let (year, month, day) = civil(time / 86_400);
    let weekday = DAYS[usize::try_from(time / 86_400 % 7).unwrap_or(0)];
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    let (hour, minute, second) = (time / 3600 % 24, time / 60 % 60, time % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// `2013-05-24T00:00:00.000Z`.
pub(crate) fn iso(time: u64) -> String {
    let (year, month, day) = civil(time / 86_400);
    let (hour, minute, second) = (time / 3600 % 24, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

/// Of [`http_date`]'s form only.
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    (year >= 1970).then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Of the form `20130524T000000Z`.
pub(crate) fn parse_amz_date(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    if text.len() != 16 || number(0..4)? < 1970 {
        return None;
    }
    let date = days(number(0..4)?, number(4..6)?, number(6..8)?);
    Some(date * 86_400 + number(9..11)? * 3600 + number(11..13)? * 60 + number(13..15)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        assert_eq!(http_date(1_369_353_600), "Fri, 24 May 2013 00:00:00 GMT");
        assert_eq!(iso(1_709_210_096), "2024-02-29T12:34:56.000Z");
        assert_eq!(parse_amz_date("20240229T123456Z"), Some(1_709_210_096));
        for time in [0, 1, 951_782_399, 951_782_400, 1_709_210_096, 4_102_444_799] {
            assert_eq!(parse_http_date(&http_date(time)), Some(time), "{}", http_date(time));
        }
        assert_eq!(parse_http_date("yesterday"), None);
        assert_eq!(parse_amz_date("2024-02-29T12:34"), None);
    }
}

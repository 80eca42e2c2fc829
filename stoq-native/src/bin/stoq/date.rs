//! Dates as the command prints them, and as grants hold them.

use core::fmt::Write;
use std::time::SystemTime;
use stoq_native::UnixMicros;
use time::{OffsetDateTime, UtcOffset};

/// A date as grants hold it; the epoch, for what was before it.
pub(crate) fn unix_micros(time: SystemTime) -> UnixMicros {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Milliseconds since the Unix epoch as `2026-07-01 12:00:00Z`.
pub(crate) fn utc(milliseconds: u64) -> String {
    utc_seconds(i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX))
}

/// The same of seconds.
pub(crate) fn utc_seconds(seconds: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(seconds) else {
        return format!("{:20}", "?");
    };
    let time = time.to_offset(UtcOffset::UTC);
    let mut text = String::new();
    let (date, clock) = (time.date(), time.time());
    write!(
        text,
        "{:04}-{:02}-{:02} ",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
    .and_then(|()| {
        write!(
            text,
            "{:02}:{:02}:{:02}Z",
            clock.hour(),
            clock.minute(),
            clock.second()
        )
    })
    .expect("a String takes all text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc(1_690_000_000_999), "2023-07-22 04:26:40Z");
        assert_eq!(utc(0), "1970-01-01 00:00:00Z");
        assert_eq!(utc(u64::MAX).trim_end(), "?");
        assert_eq!(utc_seconds(-1), "1969-12-31 23:59:59Z");
    }
}

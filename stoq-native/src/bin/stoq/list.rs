//! `stoq list` and `stoq delete`.

use crate::arguments::{DeleteArguments, ListArguments};
use crate::byte_size::ByteSize;
use crate::client;
use crate::error::CommandError;
use crate::protocol::{Deleted, Listing, MAX_LINE, MAX_LISTING, Request};
use crate::terminal;
use core::fmt::Write;
use time::{OffsetDateTime, UtcOffset};

/// Prints one line a file (bytes, time of storing, name) and the sum.
///
/// # Errors
/// [`CommandError`].
pub(crate) async fn run(arguments: ListArguments) -> Result<(), CommandError> {
    let listing = client::with(&arguments.peer, async |client| {
        client.ask(&Request::List, MAX_LISTING).await
    });
    let Listing { files, used, quota } = listing.await?;
    for file in &files {
        terminal::say(format_args!(
            "{:>15}  {}  {}",
            file.size,
            utc(file.modified),
            file.name
        ))?;
    }
    let count = files.len();
    terminal::say(format_args!(
        "{count} files, {} of {} used",
        ByteSize(used),
        ByteSize(quota)
    ))
}

/// Deletes one file.
///
/// # Errors
/// [`CommandError`].
pub(crate) async fn delete(arguments: DeleteArguments) -> Result<(), CommandError> {
    let name = arguments.name;
    let request = &Request::Delete {
        name: name.clone().into(),
    };
    let Deleted {} = client::with(&arguments.peer, async |client| {
        client.ask(request, MAX_LINE).await
    })
    .await?;
    terminal::say(format_args!("deleted {name}"))
}

/// Milliseconds since the Unix epoch as `2026-07-01 12:00:00Z`.
fn utc(milliseconds: u64) -> String {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
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
    }
}

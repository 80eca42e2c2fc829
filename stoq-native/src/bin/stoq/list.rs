//! `stoq list` and `stoq delete`.

use crate::arguments::{DeleteArguments, ListArguments};
use crate::client;
use crate::date::utc;
use crate::error::CommandError;
use crate::protocol::{Deleted, Listing, MAX_LINE, MAX_LISTING, Request};
use crate::terminal;
use bytesize::ByteSize;

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

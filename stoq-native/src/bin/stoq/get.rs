//! `stoq get`: a file from the server.

use crate::arguments::GetArguments;
use crate::blocks::Writer;
use crate::client::{self, Client};
use crate::digest::{Digest, Hashing};
use crate::error::{CommandError, from_read};
use crate::file_name::FileName;
use crate::output::Output;
use crate::protocol::{Found, LineError, MAX_LINE, Request, Trailer, decode_answer, read_line};
use crate::{progress, terminal};
use indicatif::ProgressBar;
use std::io;
use std::path::PathBuf;
use stoq_native::FalconId;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::task::spawn_blocking;

/// Fetches the file, checks it, and only then gives it its name.
///
/// # Errors
/// [`CommandError`].
pub(crate) async fn run(arguments: GetArguments) -> Result<(), CommandError> {
    let GetArguments {
        peer,
        name,
        out,
        origins,
    } = arguments;
    let to_stdout = out.as_deref().is_some_and(|out| out.as_os_str() == "-");
    let wanted = &name;
    let fetched = client::with(&peer, async |client| {
        fetch(client, wanted, out, &origins).await
    });
    let Fetched {
        size,
        digest,
        signer,
    } = fetched.await?;
    if to_stdout {
        return Ok(());
    }
    let signer = signer.map_or_else(String::new, |signer| format!(" signed by {signer}"));
    terminal::say(format_args!(
        "fetched {name} {size} bytes sha256 {digest}{signer}"
    ))
}

/// What came.
struct Fetched {
    size: u64,
    digest: Digest,
    signer: Option<FalconId>,
}

/// Fetches the file to where it is wanted; signed by one of `origins`, if there are any.
async fn fetch(
    client: &Client,
    name: &FileName,
    out: Option<PathBuf>,
    origins: &[FalconId],
) -> Result<Fetched, CommandError> {
    let request = Request::Get {
        name: name.clone().into(),
    };
    if origins.is_empty() {
        let (mut send, mut receive) = client.request(&request).await?;
        // An error says that the server wants no more, which there is none of.
        let _ = send.finish();
        let (size, digest) = transfer(&mut receive, name, out).await?;
        return Ok(Fetched {
            size,
            digest,
            signer: None,
        });
    }
    let mut receive = client.request_verified(&request, origins).await?;
    let (size, digest) = transfer(&mut receive, name, out).await?;
    let signer = receive.get_ref().signer();
    Ok(Fetched {
        size,
        digest,
        signer,
    })
}

/// Moves the answer to where it is wanted; the file's length and SHA-256.
async fn transfer(
    receive: &mut BufReader<impl AsyncRead + Unpin>,
    name: &FileName,
    out: Option<PathBuf>,
) -> Result<(u64, Digest), CommandError> {
    let Found { size } = decode_answer(&read_line(receive, MAX_LINE).await?)?;

    let bar = progress::bar(size, name.as_str());
    let path = out.clone().unwrap_or_else(|| name.as_str().into());
    let unwritable = |source| match path.as_os_str() {
        out if out == "-" => CommandError::Output(source),
        _ => CommandError::OutputFile {
            path: path.clone(),
            source,
        },
    };
    let wanted = name.clone();
    let output = blocking(move || Output::open(out.as_deref(), &wanted))
        .await
        .map_err(unwritable)?;
    let mut writer = Writer::new(Hashing::new(output), size);
    let there = match receive_body(receive, size, &mut writer, &bar, unwritable).await {
        Ok(trailer) => trailer.sha256,
        Err(error) => {
            writer.discard().await;
            return Err(error);
        }
    };
    let (output, here) = writer.finish().await.map_err(unwritable)?.finish();
    if there != here {
        let _ = spawn_blocking(|| drop(output)).await;
        return Err(CommandError::Damaged { here, there });
    }
    blocking(move || output.commit())
        .await
        .map_err(unwritable)?;
    Ok((size, here))
}

/// Moves exactly `size` bytes, and reads the line after them.
async fn receive_body(
    receive: &mut BufReader<impl AsyncRead + Unpin>,
    size: u64,
    writer: &mut Writer<Hashing<Output>>,
    bar: &ProgressBar,
    unwritable: impl Fn(io::Error) -> CommandError,
) -> Result<Trailer, CommandError> {
    let mut left = size;
    while left > 0 {
        let room = writer.room().await.map_err(&unwritable)?;
        let most = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
        let count = receive.read(&mut room[..most]).await.map_err(from_read)?;
        if count == 0 {
            return Err(LineError::Ended.into());
        }
        writer.advance(count);
        left -= count as u64;
        bar.inc(count as u64);
    }
    Ok(decode_answer(&read_line(receive, MAX_LINE).await?)?)
}

async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(operation).await.map_err(io::Error::other)?
}

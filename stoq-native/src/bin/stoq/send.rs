//! `stoq send`: a file to the server.

use crate::arguments::SendArguments;
use crate::blocks::Reader;
use crate::client::{self, Client};
use crate::digest::{Digest, Hashing};
use crate::error::CommandError;
use crate::file_name::{FileName, InvalidFileName};
use crate::progress;
use crate::protocol::{
    AnswerError, LineError, MAX_LINE, Request, Stored, decode_answer, read_line,
};
use crate::terminal;
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use stoq_native::{SendStream, WriteError};
use tokio::task::spawn_blocking;

/// Sends the file, and checks that the server got the same bytes.
///
/// # Errors
/// [`CommandError`].
pub(crate) async fn run(arguments: SendArguments) -> Result<(), CommandError> {
    let SendArguments {
        file: path,
        peer,
        name,
    } = arguments;
    let name = match name {
        Some(name) => name,
        None => own_name(&path).map_err(|reason| CommandError::Name {
            file: path.clone(),
            reason,
        })?,
    };
    let (file, size) = open(path.clone()).await?;
    let (stored, here) = client::with(&peer, async |client| {
        transfer(client, path, name, file, size).await
    })
    .await?;
    let there = stored.sha256;
    if there != here {
        return Err(CommandError::Damaged { here, there });
    }
    terminal::say(format_args!(
        "stored {} {size} bytes sha256 {here}",
        stored.name
    ))
}

/// Sends the file; the server's answer, and the SHA-256 of what was sent.
async fn transfer(
    client: &Client,
    path: PathBuf,
    name: FileName,
    file: File,
    size: u64,
) -> Result<(Stored, Digest), CommandError> {
    let bar = progress::bar(size, name.as_str());
    let request = Request::Put {
        name: name.into(),
        size,
    };
    let (mut send, mut receive) = client.request(&request).await?;
    let mut answer = core::pin::pin!(read_line(&mut receive, MAX_LINE));
    let body = tokio::select! {
        // Before the end of the body there is only one thing to say: no.
        early = &mut answer => return Err(refusal(early)),
        body = send_body(&mut send, file, size, &bar) => body,
    };
    let digest = match body {
        Ok(digest) => digest,
        Err(BodyError::Read(source)) => return Err(CommandError::Input { path, source }),
        Err(BodyError::Changed) => return Err(CommandError::InputChanged { path }),
        // A server that stops reading has said why, or has gone.
        Err(BodyError::Write(WriteError::Stopped(_))) => return Err(refusal(answer.await)),
        Err(BodyError::Write(error)) => return Err(error.into()),
    };
    Ok((decode_answer(&answer.await?)?, digest))
}

enum BodyError {
    Read(io::Error),
    Changed,
    Write(WriteError),
}

/// Sends exactly `size` bytes and the end of the stream; their SHA-256.
async fn send_body(
    send: &mut SendStream,
    file: File,
    size: u64,
    bar: &ProgressBar,
) -> Result<Digest, BodyError> {
    let mut reader = Reader::new(Hashing::new(file.take(size)));
    let mut left = size;
    while let Some(block) = reader.next().await.map_err(BodyError::Read)? {
        send.write_all(block).await.map_err(BodyError::Write)?;
        left -= block.len() as u64;
        bar.inc(block.len() as u64);
    }
    let source = reader
        .into_source()
        .filter(|_| left == 0)
        .ok_or(BodyError::Changed)?;
    send.finish()
        .map_err(|_| BodyError::Write(WriteError::ClosedStream))?;
    Ok(source.finish().1)
}

/// What the server says instead of taking the file.
fn refusal(line: Result<Vec<u8>, LineError>) -> CommandError {
    match line
        .map_err(AnswerError::from)
        .and_then(|line| decode_answer::<Stored>(&line))
    {
        Ok(_) => CommandError::Protocol(LineError::Early),
        Err(error) => error.into(),
    }
}

fn own_name(path: &Path) -> Result<FileName, InvalidFileName> {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().parse()
}

/// Opens the file where that may block; its length.
async fn open(path: PathBuf) -> Result<(File, u64), CommandError> {
    let opened = spawn_blocking(move || {
        let open = || {
            let metadata = std::fs::metadata(&path)?;
            // Before it is opened: to open a pipe without a writer would wait for one.
            if !metadata.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            let file = File::open(&path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        open().map_err(|source| CommandError::Input {
            path: path.clone(),
            source,
        })
    });
    opened
        .await
        .map_err(|failure| CommandError::System(failure.into()))?
}

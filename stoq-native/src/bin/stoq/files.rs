//! The service `files`: one request of the [protocol](crate::protocol), answered from a [`Store`].
//!
//! Written against any pair of byte streams; `serve` brings the ones of a session.

mod failure;

use crate::blocks::{Reader, Writer};
use crate::digest::Hashing;
use crate::file_name::FileName;
use crate::protocol::{
    Deleted, Found, LineError, Listed, Listing, MAX_LINE, Refusal, RefusalCode, Request, Stored,
    Trailer, encode, encode_refusal, read_line,
};
use crate::store::{Incoming, Store, StoreError};
use core::time::Duration;
use std::io::{self, ErrorKind, Read};
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, info, trace};

use failure::Failure;

/// How long a peer may hold a request (with its share of the quota) without a single byte moving. Longer than any
/// pause of a live path; a peer that wants to pause for longer can ask again.
const STALLED: Duration = Duration::from_secs(60);

/// How much of a refused body is still read. To stop a stream makes some browsers fail the answer too, so it is
/// worth reading on for a while; to read all of a large file only to drop it is not.
const DRAINED: u64 = 16 << 20;

/// Why a request got no whole answer: the stream is to be reset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// Nothing moved for the time allowed.
    #[error("nothing moved for {} s", STALLED.as_secs())]
    Stalled,
    /// The peer or the path gave the stream up.
    #[error("the stream ended: {0}")]
    Stream(io::Error),
    /// The disk failed in the middle of an answer.
    #[error("the store failed: {0}")]
    Storage(io::Error),
}

/// What a peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// List and get.
    pub(crate) read: bool,
    /// Put and delete.
    pub(crate) write: bool,
}

impl Rights {
    /// # Errors
    /// The refusal, if the request is more than the peer may do.
    fn check(self, request: &Request) -> Result<(), Refusal> {
        let (may, wanted) = match request {
            Request::Get { .. } | Request::List => (self.read, "read"),
            Request::Put { .. } | Request::Delete { .. } => (self.write, "write"),
        };
        let refusal = || Refusal {
            code: RefusalCode::NotPermitted,
            message: format!("the access token does not permit {wanted:?}"),
        };
        may.then_some(()).ok_or_else(refusal)
    }
}

/// Reads one request from `input`, answers it on `output`, and reads `input` to its end.
///
/// # Errors
/// [`RequestError`] where no answer could be given, or no whole one. What can be answered is: with a refusal.
pub(crate) async fn answer(
    store: &Store,
    rights: Rights,
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> Result<(), RequestError> {
    let mut input = BufReader::with_capacity(MAX_LINE, input);
    match carry_out(store, rights, &mut input, &mut output).await {
        Ok(()) => {}
        Err(Failure::Refused(refusal)) => {
            debug!(%refusal, "refused");
            write_all(&mut output, &encode_refusal(refusal)).await?;
        }
        Err(Failure::Request(error)) => return Err(error),
    }
    within(output.shutdown()).await?;
    drain(&mut input).await;
    Ok(())
}

async fn carry_out<R, W>(
    store: &Store,
    rights: Rights,
    input: &mut BufReader<R>,
    output: &mut W,
) -> Result<(), Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let line = match timeout(STALLED, read_line(input, MAX_LINE)).await {
        Ok(line) => line?,
        Err(_) => return Err(RequestError::Stalled.into()),
    };
    let request = serde_json::from_slice(&line).map_err(LineError::from)?;
    rights.check(&request)?;
    match request {
        Request::Put { name, size } => put(store, name.parse()?, size, input, output).await,
        Request::Get { name } => get(store, name.parse()?, output).await,
        Request::List => list(store, output).await,
        Request::Delete { name } => {
            let name: FileName = name.parse()?;
            let logged = name.clone();
            blocking(store, move |store| store.delete(&name)).await?;
            info!(name = %logged, "deleted");
            Ok(write_all(output, &encode(&Deleted {})).await?)
        }
    }
}

async fn put<R, W>(
    store: &Store,
    name: FileName,
    size: u64,
    input: &mut BufReader<R>,
    output: &mut W,
) -> Result<(), Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let wanted = name.clone();
    let incoming = blocking(store, move |store| store.put(wanted, size)).await?;
    debug!(%name, size, "receiving");
    let mut writer = Writer::new(incoming, size);
    if let Err(failure) = receive(input, size, &mut writer).await {
        writer.discard().await;
        info!(%name, "discarded");
        return Err(failure);
    }
    let incoming = writer.finish().await.map_err(StoreError::from)?;
    let sha256 = blocking(store, |_| incoming.commit()).await?;
    info!(%name, size, %sha256, "stored");
    let name = name.into();
    Ok(write_all(output, &encode(&Stored { name, size, sha256 })).await?)
}

/// Moves a body of exactly `size` bytes, and the end of the stream after it.
async fn receive<R>(
    input: &mut BufReader<R>,
    size: u64,
    writer: &mut Writer<Incoming>,
) -> Result<(), Failure>
where
    R: AsyncRead + Unpin,
{
    let mut left = size;
    while left > 0 {
        let room = writer.room().await.map_err(StoreError::from)?;
        let most = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
        let count = within(input.read(&mut room[..most])).await?;
        if count == 0 {
            let message = format!("{} bytes of {size} came", size - left);
            return Err(Refusal {
                code: RefusalCode::TooShort,
                message,
            }
            .into());
        }
        writer.advance(count);
        left -= count as u64;
        trace!(left, "received");
    }
    // Only an end says that the peer meant it: a reset here takes the file back.
    if within(input.read(&mut [0])).await? > 0 {
        let message = format!("more than the {size} bytes that were declared came");
        return Err(Refusal {
            code: RefusalCode::BadRequest,
            message,
        }
        .into());
    }
    Ok(())
}

async fn get<W: AsyncWrite + Unpin>(
    store: &Store,
    name: FileName,
    output: &mut W,
) -> Result<(), Failure> {
    let wanted = name.clone();
    let (file, size) = blocking(store, move |store| store.get(&wanted)).await?;
    debug!(%name, size, "sending");
    write_all(output, &encode(&Found { size })).await?;
    let mut reader = Reader::new(Hashing::new(file.take(size)));
    let mut left = size;
    while let Some(block) = reader.next().await.map_err(RequestError::Storage)? {
        write_all(output, block).await?;
        left -= block.len() as u64;
        trace!(left, "sent");
    }
    let Some(source) = reader.into_source().filter(|_| left == 0) else {
        return Err(RequestError::Storage(ErrorKind::UnexpectedEof.into()).into());
    };
    let (_, sha256) = source.finish();
    info!(%name, size, "sent");
    Ok(write_all(output, &encode(&Trailer { sha256 })).await?)
}

async fn list<W: AsyncWrite + Unpin>(store: &Store, output: &mut W) -> Result<(), Failure> {
    let contents = blocking(store, Store::list).await?;
    let files = contents.files.into_iter().map(|entry| {
        let since = entry
            .modified
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let modified = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Listed {
            name: entry.name.into(),
            size: entry.size,
            modified,
        }
    });
    let listing = Listing {
        files: files.collect(),
        used: contents.used,
        quota: contents.quota,
    };
    Ok(write_all(output, &encode(&listing)).await?)
}

/// Runs a store operation where it may block.
async fn blocking<T, F>(store: &Store, operation: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
{
    let store = store.clone();
    let result = spawn_blocking(move || operation(&store)).await;
    Ok(result.map_err(|failure| StoreError::Io(io::Error::other(failure)))??)
}

/// Bounds the wait for one step of a stream.
async fn within<T>(step: impl Future<Output = io::Result<T>>) -> Result<T, RequestError> {
    match timeout(STALLED, step).await {
        Ok(result) => result.map_err(RequestError::Stream),
        Err(_) => Err(RequestError::Stalled),
    }
}

/// Writes all of `bytes`, as slowly as the peer takes them, as long as it takes some.
async fn write_all(
    output: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
) -> Result<(), RequestError> {
    while !bytes.is_empty() {
        let count = within(output.write(bytes)).await?;
        if count == 0 {
            return Err(RequestError::Stream(ErrorKind::WriteZero.into()));
        }
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Reads on to the end of `input` within bounds; nothing that happens here matters any more.
async fn drain(input: &mut (impl AsyncRead + Unpin)) {
    let mut rest = input.take(DRAINED);
    let _ = within(tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

#[cfg(test)]
mod tests;

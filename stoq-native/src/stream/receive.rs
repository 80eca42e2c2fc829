//! The receiving half.

use core::fmt;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::future::poll_fn;
use std::io;

use bytes::{Bytes, BytesMut};
use stoq_core::close::Code;
use stoq_core::stream::Payload;
use tokio::io::ReadBuf;

use super::{Multiplexed, Place};
use crate::closed::Closed;
use crate::session::Session;

/// The receiving half of a stream.
///
/// Dropped before its end, it tells the peer to stop sending, with [`Code::CANCELLED`]. Browsers take that for an
/// error, so who only sends to a page still reads to the end.
pub struct RecvStream {
    stream: quinn::RecvStream,
    session: Session,
    state: State,
    payload: Payload,
    multiplexed: Option<Box<Multiplexed>>,
}

/// How the half stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Read to the end.
    Finished,
    /// Stopped by this end, or reset by the peer: there is no end to read.
    Cut,
}

impl RecvStream {
    pub(crate) fn new(
        stream: quinn::RecvStream,
        session: Session,
        place: Option<Place>,
        payload: Payload,
    ) -> Self {
        Self {
            stream,
            session,
            state: State::Open,
            payload,
            multiplexed: Multiplexed::new(place),
        }
    }

    /// Reads what there is, up to the length of `buffer`, and returns how much that was; `None` at the end of the stream.
    ///
    /// # Errors
    /// [`ReadError`]; what was read before stays good.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing was read.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
        if buffer.is_empty() {
            return Ok(Some(0));
        }
        let read =
            poll_fn(|cx| self.poll_read(cx, |stream, cx| stream.poll_read(cx, buffer))).await?;
        Ok(self.unless_end(read))
    }

    /// Reads the next piece of at most `max` bytes, without a copy; `None` at the end of the stream.
    ///
    /// # Errors
    /// [`ReadError`]; what was read before stays good.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing was read.
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        let chunk = poll_fn(|cx| {
            self.poll_read(cx, |stream, cx| pin!(stream.read_chunk(max, true)).poll(cx))
        })
        .await?;
        if chunk.is_none() {
            self.leave(State::Finished);
        }
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Fills `chunks` from the front with pieces that have arrived, without a copy, and returns how many; `None` at the
    /// end of the stream. With many small pieces this costs a fraction of [`read_chunk`](Self::read_chunk).
    ///
    /// # Errors
    /// [`ReadError`]; what was read before stays good.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing was read.
    pub async fn read_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, ReadError> {
        let read = poll_fn(|cx| {
            self.poll_read(cx, |stream, cx| pin!(stream.read_chunks(chunks)).poll(cx))
        })
        .await?;
        if read.is_none() {
            self.leave(State::Finished);
        }
        Ok(read)
    }

    /// What the stream carries, as its opener says: the application's own bytes, or frames. Only who asks for framed
    /// streams ([`ClientConfig::framed_streams`](crate::ClientConfig::framed_streams)) is given any.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Reads all that is left, up to `limit` bytes.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::TooLong`] if more than `limit` bytes come.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, what was read is lost.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, ReadError> {
        let mut read = BytesMut::new();
        while let Some(chunk) = self.read_chunk(usize::MAX).await? {
            if chunk.len() > limit - read.len() {
                return Err(ReadError::TooLong { limit });
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.into())
    }

    /// Wants no more: what has not been read is lost, and the peer is told to stop, with `code`. Does nothing if the
    /// stream has ended.
    pub fn stop(&mut self, code: Code) {
        if self.state == State::Open {
            self.leave(State::Cut);
            // An error says that there is nothing left to stop.
            let _ = self.stream.stop(code.value().into());
        }
    }

    fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut quinn::RecvStream, &mut Context<'_>) -> Poll<Result<T, quinn::ReadError>>,
    ) -> Poll<Result<T, ReadError>> {
        // Quinn would report the end of the stream.
        if self.state == State::Cut {
            return Poll::Ready(Err(match self.session.ending().get() {
                Some(closed) => ReadError::SessionClosed(closed.clone()),
                None => ReadError::ClosedStream,
            }));
        }
        // What has arrived can be read although the session has ended meanwhile.
        match (read(&mut self.stream, cx), &mut self.multiplexed) {
            (Poll::Ready(Ok(read)), _) => Poll::Ready(Ok(read)),
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(self.fault(error))),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(multiplexed)) => {
                let ended = multiplexed.poll_ended(&self.session, cx);
                ended.map(|closed| {
                    self.stop(Code::SESSION_CLOSED);
                    Err(ReadError::SessionClosed(closed))
                })
            }
        }
    }

    /// Reading nothing into a buffer that has room means the end.
    fn unless_end(&mut self, read: usize) -> Option<usize> {
        if read == 0 {
            self.leave(State::Finished);
            return None;
        }
        Some(read)
    }

    fn leave(&mut self, state: State) {
        self.state = state;
        self.multiplexed = None;
    }

    #[cold]
    fn fault(&mut self, error: quinn::ReadError) -> ReadError {
        self.leave(State::Cut);
        match error {
            quinn::ReadError::Reset(code) => ReadError::Reset(Code::from_quic(code.into_inner())),
            quinn::ReadError::ConnectionLost(error) => {
                ReadError::SessionClosed(self.session.end_by(&error))
            }
            quinn::ReadError::ClosedStream => ReadError::ClosedStream,
            quinn::ReadError::IllegalOrderedRead => unreachable!("all reads are ordered"),
            quinn::ReadError::ZeroRttRejected => unreachable!("no 0-RTT"),
        }
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        let code = match self.session.ending().get() {
            Some(_) => Code::SESSION_CLOSED,
            None => Code::CANCELLED,
        };
        self.stop(code);
    }
}

impl tokio::io::AsyncRead for RecvStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let this = self.get_mut();
        let before = buffer.filled().len();
        Self::poll_read(this, cx, |stream, cx| stream.poll_read_buf(cx, buffer)).map(|read| {
            read?;
            this.unless_end(buffer.filled().len() - before);
            Ok(())
        })
    }
}

impl fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream")
            .field("session", &self.session.id().value())
            .field("id", &self.stream.id())
            .field("state", &self.state)
            .finish()
    }
}

/// Data could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The peer gave the stream up.
    #[error("the peer reset the stream: {0}")]
    Reset(Code),
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
    /// This end has stopped the stream, or was told before that the peer reset it.
    #[error("{}", super::ClosedStream)]
    ClosedStream,
    /// More came than [`read_to_end`](RecvStream::read_to_end) may hold.
    #[error("the stream has more than {limit} bytes")]
    TooLong {
        /// Bytes that were allowed.
        limit: usize,
    },
}

impl ReadError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Reset(code) => *code,
            Self::SessionClosed(closed) => closed.code,
            Self::ClosedStream => Code::INVALID_ARGUMENT,
            Self::TooLong { .. } => Code::LIMIT,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::Reset(_) => io::ErrorKind::ConnectionReset,
            ReadError::SessionClosed(_) | ReadError::ClosedStream => io::ErrorKind::NotConnected,
            ReadError::TooLong { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

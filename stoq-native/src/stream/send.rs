//! The sending half.

use core::fmt;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use stoq_core::close::Code;
use stoq_core::frame::Priority;
use stoq_core::session_id::SessionId;

use super::{ClosedStream, Multiplexed, Place};
use crate::closed::Closed;
use crate::driver::Command;
use crate::session::Session;

/// The sending half of a stream.
///
/// Dropped unfinished, it is reset with [`Code::CANCELLED`], so that what is cut off never looks complete to the peer.
/// Dropped after [`finish`](Self::finish), what was written is still sent, as long as the session lives.
pub struct SendStream {
    stream: quinn::SendStream,
    session: Session,
    /// Neither finished nor reset nor stopped.
    open: bool,
    multiplexed: Option<Box<Multiplexed>>,
}

impl SendStream {
    pub(crate) fn new(stream: quinn::SendStream, session: Session, place: Option<Place>) -> Self {
        Self {
            stream,
            session,
            open: true,
            multiplexed: Multiplexed::new(place),
        }
    }

    /// Writes as much of `data` as there is room for, and returns how much that was: at least one byte, unless `data` is
    /// empty. Waits while there is no room: the receiver does not read, or the path is full.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was written.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing was written.
    pub async fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        poll_fn(|cx| self.poll_write(cx, |stream, cx| pin!(stream.write(data)).poll(cx))).await
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// [`WriteError`]; some of `data` may have been written.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, some of `data` may have been written.
    pub async fn write_all(&mut self, mut data: &[u8]) -> Result<(), WriteError> {
        while !data.is_empty() {
            let written = self.write(data).await?;
            data = &data[written..];
        }
        Ok(())
    }

    /// Writes all of `data` without a copy: it is kept until the peer has acknowledged it.
    ///
    /// # Errors
    /// [`WriteError`]; some of `data` may have been written.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, some of `data` may have been written.
    pub async fn write_chunk(&mut self, data: Bytes) -> Result<(), WriteError> {
        self.write_chunks(&mut [data]).await
    }

    /// Writes all of `chunks` in their order, without a copy: each is kept until the peer has acknowledged it, and leaves
    /// an empty one behind.
    ///
    /// # Errors
    /// [`WriteError`]; some of `chunks` may have been written.
    ///
    /// # Cancel safety
    /// If the future is dropped, `chunks` holds what has not been written.
    pub async fn write_chunks(&mut self, chunks: &mut [Bytes]) -> Result<(), WriteError> {
        let mut left = chunks;
        while !left.iter().all(Bytes::is_empty) {
            let written = poll_fn(|cx| {
                self.poll_write(cx, |stream, cx| pin!(stream.write_chunks(left)).poll(cx))
            })
            .await?;
            left = &mut left[written.chunks..];
        }
        Ok(())
    }

    /// Ends the stream: the peer reads what was written, then the end. It does not wait; see
    /// [`stopped`](Self::stopped).
    ///
    /// # Errors
    /// [`ClosedStream`] if it was finished or reset before.
    pub fn finish(&mut self) -> Result<(), ClosedStream> {
        if !core::mem::take(&mut self.open) {
            return Err(ClosedStream);
        }
        self.stream.finish().map_err(|_| ClosedStream)
    }

    /// Ends the stream at once: what the peer has not read is lost, and it sees `code`. Does nothing if the stream has
    /// ended, except that a reset still ends the sending of what was written before [`finish`](Self::finish).
    pub fn reset(&mut self, code: Code) {
        self.open = false;
        // An error says that there is nothing left to reset.
        let _ = self.stream.reset(code.value().into());
        self.multiplexed = None;
    }

    /// Resolves when the peer has all of a finished stream (`None`), or wants no more of it (the code that it
    /// gave). What it has it may not have read yet.
    ///
    /// # Errors
    /// [`Closed`] if the session ends first.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) -> Result<Option<Code>, Closed> {
        self.stopping().await
    }

    /// As [`stopped`](Self::stopped), for who cannot keep the stream meanwhile.
    pub(crate) fn stopping(&self) -> impl Future<Output = Result<Option<Code>, Closed>> + use<> {
        let (stopped, session) = (self.stream.stopped(), self.session.clone());
        let multiplexed = self.multiplexed.is_some();
        async move {
            let stopped = async {
                match stopped.await {
                    Ok(code) => Ok(code.map(|code| Code::from_quic(code.into_inner()))),
                    Err(quinn::StoppedError::ConnectionLost(error)) => Err(session.end_by(&error)),
                    Err(quinn::StoppedError::ZeroRttRejected) => unreachable!("no 0-RTT"),
                }
            };
            if !multiplexed {
                return stopped.await;
            }
            tokio::select! {
                biased;
                stopped = stopped => stopped,
                closed = session.closed() => Err(closed),
            }
        }
    }

    /// Says how urgent the stream is, from 0, before all others, to 7, after all others ([RFC 9218, section 4.1]); what is
    /// above 7 is taken for 7. A new stream has 3.
    ///
    /// Among the streams of a connection that have something to send, only the most urgent ones send, and take turns. It
    /// holds on this end and for what is not on its way yet; the far end and the relays between learn it from a PRIORITY
    /// frame, on framed streams. A stream that has ended has none.
    ///
    /// [RFC 9218, section 4.1]: https://www.rfc-editor.org/rfc/rfc9218#section-4.1
    pub fn set_priority(&self, urgency: u8) {
        let _ = self.stream.set_priority(quic_priority(urgency));
    }

    /// How urgent the stream is; that of a new one if it has ended.
    pub fn priority(&self) -> u8 {
        let priority = self.stream.priority().unwrap_or(0);
        u8::try_from(i32::from(DEFAULT_URGENCY) - priority).unwrap_or(DEFAULT_URGENCY)
    }

    /// Whether other sessions may have streams on the same connection.
    pub(crate) fn shares_connection(&self) -> bool {
        self.session.id() != SessionId::ZERO
    }

    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(
            &mut quinn::SendStream,
            &mut Context<'_>,
        ) -> Poll<Result<T, quinn::WriteError>>,
    ) -> Poll<Result<T, WriteError>> {
        if !self.open {
            return Poll::Ready(Err(WriteError::ClosedStream));
        }
        if let Some(closed) = self.session.ending().get() {
            let closed = closed.clone();
            return Poll::Ready(Err(self.end(closed)));
        }
        match (write(&mut self.stream, cx), &mut self.multiplexed) {
            (Poll::Ready(Ok(written)), _) => Poll::Ready(Ok(written)),
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(self.fault(error))),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(multiplexed)) => {
                let ended = multiplexed.poll_ended(&self.session, cx);
                ended.map(|closed| Err(self.end(closed)))
            }
        }
    }

    #[cold]
    fn end(&mut self, closed: Closed) -> WriteError {
        self.reset(Code::SESSION_CLOSED);
        WriteError::SessionClosed(closed)
    }

    #[cold]
    fn fault(&mut self, error: quinn::WriteError) -> WriteError {
        // When quinn's stream is dropped, it answers a stop with a reset of the same code.
        self.open = false;
        match error {
            quinn::WriteError::Stopped(code) => {
                WriteError::Stopped(Code::from_quic(code.into_inner()))
            }
            quinn::WriteError::ConnectionLost(error) => {
                WriteError::SessionClosed(self.session.end_by(&error))
            }
            quinn::WriteError::ClosedStream => WriteError::ClosedStream,
            quinn::WriteError::ZeroRttRejected => unreachable!("no 0-RTT"),
        }
    }
}

/// An urgency as quinn counts: its default, 0, for that of new streams, and more for what is more urgent. Control streams stand
/// above all of these.
pub fn quic_priority(urgency: u8) -> i32 {
    i32::from(DEFAULT_URGENCY) - i32::from(urgency.min(Priority::MAX_URGENCY))
}

/// RFC 9218's, for streams of which nobody says anything.
pub(crate) const DEFAULT_URGENCY: u8 = 3;

impl Drop for SendStream {
    fn drop(&mut self) {
        if self.open {
            let code = match self.session.ending().get() {
                Some(_) => Code::SESSION_CLOSED,
                None => Code::CANCELLED,
            };
            self.reset(code);
        } else if let Some(place) = self.multiplexed.take().and_then(|mut own| own.place.take()) {
            // Finished: the place is free when the peer has everything.
            let stopped = self.stream.stopped();
            self.session.connection().command(Command::Linger {
                until: Box::pin(async move { drop(stopped.await) }),
                place: Some(place),
            });
        }
    }
}

impl tokio::io::AsyncWrite for SendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Self::poll_write(self.get_mut(), cx, |stream, cx| {
            pin!(stream.write(data)).poll(cx)
        });
        written.map_err(Into::into)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Finishes the stream.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.open {
            return Poll::Ready(this.finish().map_err(io::Error::other));
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for SendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendStream")
            .field("session", &self.session.id().value())
            .field("id", &self.stream.id())
            .field("open", &self.open)
            .finish()
    }
}

/// Data could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The peer wants no more of this stream.
    #[error("the peer stopped the stream: {0}")]
    Stopped(Code),
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
    /// This end has finished or reset the stream, or was told before that the peer stopped it.
    #[error("{ClosedStream}")]
    ClosedStream,
}

impl WriteError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Stopped(code) => *code,
            Self::SessionClosed(closed) => closed.code,
            Self::ClosedStream => Code::INVALID_ARGUMENT,
        }
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let kind = match error {
            WriteError::Stopped(_) => io::ErrorKind::ConnectionReset,
            WriteError::SessionClosed(_) | WriteError::ClosedStream => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

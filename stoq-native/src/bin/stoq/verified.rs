//! Verified streams as tokio's byte streams, for what is written against any.

use bytes::{Buf as _, Bytes};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use stoq_native::{
    Closed, Code, FalconId, Item, VerifiedReadError, VerifiedRecvStream, VerifiedSendStream,
    VerifiedWriteError,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads what is verified: all of it, if origins were named and delivery is not pending.
pub(crate) struct Reader {
    state: Reading,
    data: Bytes,
    signer: Option<FalconId>,
}

enum Reading {
    Idle(Box<VerifiedRecvStream>),
    Busy(Task<Box<VerifiedRecvStream>, Result<Option<Item>, VerifiedReadError>>),
    /// It has failed, and said so.
    Over,
}

/// Work that takes a stream, and gives it back.
type Task<S, T> = Pin<Box<dyn Future<Output = (S, T)> + Send>>;

impl Reader {
    pub(crate) fn new(stream: VerifiedRecvStream) -> Self {
        Self {
            state: Reading::Idle(Box::new(stream)),
            data: Bytes::new(),
            signer: None,
        }
    }

    /// Who has signed what was read.
    pub(crate) fn signer(&self) -> Option<FalconId> {
        self.signer
    }

    /// Wants no more.
    pub(crate) fn stop(&mut self, code: Code) {
        if let Reading::Idle(stream) = &mut self.state {
            stream.stop(code);
        }
        self.state = Reading::Over;
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.data.is_empty() {
            let mut task = match core::mem::replace(&mut self.state, Reading::Over) {
                Reading::Idle(mut stream) => Box::pin(async move {
                    let item = stream.next().await;
                    (stream, item)
                }) as Task<_, _>,
                Reading::Busy(task) => task,
                Reading::Over => return Poll::Ready(Ok(())),
            };
            let Poll::Ready((stream, item)) = task.as_mut().poll(context) else {
                self.state = Reading::Busy(task);
                return Poll::Pending;
            };
            match item.map_err(io::Error::other)? {
                Some(Item::Data { data, .. }) => self.data = data,
                Some(Item::Verified { signer, .. }) => self.signer = Some(signer),
                Some(Item::Priority(_) | Item::Key(_)) => {}
                None => return Poll::Ready(Ok(())),
            }
            self.state = Reading::Idle(stream);
        }
        let piece = self.data.len().min(room.remaining());
        room.put_slice(&self.data[..piece]);
        self.data.advance(piece);
        Poll::Ready(Ok(()))
    }
}

/// Writes what is sealed, and signed if the stream has a signer. Dropped without a shutdown it resets the stream.
pub(crate) struct Writer(Writing);

enum Writing {
    Idle(VerifiedSendStream),
    Busy(Task<VerifiedSendStream, Result<(), VerifiedWriteError>>),
    Ending(Task<VerifiedSendStream, Result<(), VerifiedWriteError>>),
    Ended(VerifiedSendStream),
    /// It has failed, and said so.
    Over,
}

impl Writer {
    pub(crate) const fn new(stream: VerifiedSendStream) -> Self {
        Self(Writing::Idle(stream))
    }

    /// Gives up: what the peer has not read is lost.
    pub(crate) async fn reset(self, code: Code) {
        match self.0 {
            Writing::Idle(mut stream) | Writing::Ended(mut stream) => stream.reset(code).await,
            // Dropped, which resets it too.
            Writing::Busy(_) | Writing::Ending(_) | Writing::Over => {}
        }
    }

    /// Resolves when the peer has all of what was shut down, or wants no more.
    ///
    /// # Errors
    /// [`Closed`] if the session ends first.
    pub(crate) async fn stopped(self) -> Result<Option<Code>, Closed> {
        match self.0 {
            Writing::Ended(mut stream) => stream.stopped().await,
            _ => Ok(None),
        }
    }

    /// Until what was taken is written.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Writing::Busy(task) = &mut self.0 else {
            return Poll::Ready(Ok(()));
        };
        let (stream, written) = ready!(task.as_mut().poll(context));
        self.0 = match &written {
            Ok(()) => Writing::Idle(stream),
            Err(_) => Writing::Over,
        };
        Poll::Ready(written.map_err(io::Error::other))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(context))?;
        let Writing::Idle(mut stream) = core::mem::replace(&mut self.0, Writing::Over) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let taken = data.len().min(PIECE);
        let data = Bytes::copy_from_slice(&data[..taken]);
        let mut task: Task<_, _> = Box::pin(async move {
            let written = stream.write(data).await;
            (stream, written)
        });
        // It begins at once; who writes on waits for it.
        self.0 = match task.as_mut().poll(context) {
            Poll::Pending => Writing::Busy(task),
            Poll::Ready((stream, Ok(()))) => Writing::Idle(stream),
            Poll::Ready((_, Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
        };
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_idle(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(context))?;
        let mut task = match core::mem::replace(&mut self.0, Writing::Over) {
            Writing::Idle(mut stream) => Box::pin(async move {
                let ended = stream.finish().await;
                (stream, ended)
            }) as Task<_, _>,
            Writing::Ending(task) => task,
            Writing::Ended(stream) => {
                self.0 = Writing::Ended(stream);
                return Poll::Ready(Ok(()));
            }
            Writing::Busy(_) | Writing::Over => {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
        };
        match task.as_mut().poll(context) {
            Poll::Pending => {
                self.0 = Writing::Ending(task);
                Poll::Pending
            }
            Poll::Ready((stream, Ok(()))) => {
                self.0 = Writing::Ended(stream);
                Poll::Ready(Ok(()))
            }
            Poll::Ready((_, Err(error))) => Poll::Ready(Err(io::Error::other(error))),
        }
    }
}

/// Bytes that are taken before they are written: 16 frames.
const PIECE: usize = 256 * 1024;

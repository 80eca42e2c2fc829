//! The handle of one session.

mod error;
mod shared;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use stoq_core::close::Code;
use stoq_core::datagram::Datagram;
use stoq_core::hash::SessionHash;
use stoq_core::service::ServiceName;
use stoq_core::session as machine;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use tokio::sync::oneshot;

pub use error::{PingError, SendDatagramError, StreamOpenError};
pub use shared::SessionStats;
pub(crate) use shared::{Counters, Shared, count};

use crate::closed::{Closed, Ending};
use crate::connection::Connection;
use crate::driver::Command;
use crate::stream::{Arrived, Place, RecvStream, SendStream, WriteError};

/// A conversation with one service: streams, datagrams, and a close with a code and a reason.
///
/// Clones are handles to the same session, and every stream holds one. When the last is dropped, a multiplexed session
/// is closed with [`Code::NO_ERROR`]; the connection's own session (id 0) ends with its [`Connection`], of which every
/// session holds a handle.
#[derive(Clone)]
pub struct Session(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    connection: Connection,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        Self(Arc::new(Handle { shared, connection }))
    }

    /// Opens a stream in both directions. The peer learns of it at once.
    ///
    /// Waits while the peer's allowance of open streams is used up: a stream counts until both of its halves have
    /// ended.
    ///
    /// # Errors
    /// [`StreamOpenError`] if the session is closed, or the peer rejects the stream.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is open; the peer may see one that was reset at once.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), StreamOpenError> {
        self.open_bi_with(Payload::Raw).await
    }

    /// [`open_bi`](Self::open_bi), and says what the stream carries: a relay passes on what its own peer said.
    ///
    /// # Errors
    /// As `open_bi`. A target that takes no framed streams rejects one, at once or when it is first used.
    ///
    /// # Cancel safety
    /// As `open_bi`.
    pub async fn open_bi_with(
        &self,
        payload: Payload,
    ) -> Result<(SendStream, RecvStream), StreamOpenError> {
        let place = self.place(Direction::Bidirectional).await?;
        let (send, receive) = self.unless_closed(self.quinn().open_bi()).await?;
        let mut send = SendStream::new(send, self.clone(), place.clone());
        let receive = RecvStream::new(receive, self.clone(), place, payload);
        self.introduce(&mut send, Direction::Bidirectional, payload)
            .await?;
        Ok((send, receive))
    }

    /// Opens a stream on which only this end sends. The peer learns of it at once.
    ///
    /// Waits while the peer's allowance of open streams is used up.
    ///
    /// # Errors
    /// [`StreamOpenError`] if the session is closed, or the peer rejects the stream.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is open; the peer may see one that was reset at once.
    pub async fn open_uni(&self) -> Result<SendStream, StreamOpenError> {
        self.open_uni_with(Payload::Raw).await
    }

    /// [`open_uni`](Self::open_uni), and says what the stream carries: a relay passes on what its own peer said.
    ///
    /// # Errors
    /// As `open_uni`. A target that takes no framed streams rejects one, at once or when it is first used.
    ///
    /// # Cancel safety
    /// As `open_uni`.
    pub async fn open_uni_with(&self, payload: Payload) -> Result<SendStream, StreamOpenError> {
        let place = self.place(Direction::Unidirectional).await?;
        let send = self.unless_closed(self.quinn().open_uni()).await?;
        let mut send = SendStream::new(send, self.clone(), place);
        self.introduce(&mut send, Direction::Unidirectional, payload)
            .await?;
        Ok(send)
    }

    /// The next stream in both directions that the peer opens.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, and all that came before the peer closed has been accepted.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is lost.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        let arrived = self.arrived(Direction::Bidirectional).await?;
        Ok(arrived.accept_bi(self).expect("queued with both halves"))
    }

    /// The next stream that the peer opens and on which only it sends.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, and all that came before the peer closed has been accepted.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is lost.
    pub async fn accept_uni(&self) -> Result<RecvStream, Closed> {
        let arrived = self.arrived(Direction::Unidirectional).await?;
        Ok(arrived.accept_uni(self).expect("queued with its half"))
    }

    /// Sends a datagram, which may be lost, doubled or overtaken. Never waits: when more are sent than the path carries,
    /// the oldest that wait are dropped.
    ///
    /// # Errors
    /// [`SendDatagramError`] if it is larger than [`max_datagram_size`](Self::max_datagram_size), or the session is
    /// closed.
    pub fn send_datagram(&self, payload: Bytes) -> Result<(), SendDatagramError> {
        let Shared {
            id,
            ending,
            counters,
            ..
        } = &*self.0.shared;
        if let Some(closed) = ending.get() {
            return Err(SendDatagramError::SessionClosed(closed.clone()));
        }
        let too_large = || SendDatagramError::TooLarge {
            limit: self.max_datagram_size(),
            got: payload.len(),
        };
        if payload.len() > self.max_datagram_size() {
            return Err(too_large());
        }
        let mut datagram = BytesMut::with_capacity(Datagram::header_len(*id) + payload.len());
        Datagram::header(*id, &mut datagram);
        datagram.extend_from_slice(&payload);
        match self.quinn().send_datagram(datagram.freeze()) {
            Ok(()) => {
                count(&counters.sent_datagrams);
                Ok(())
            }
            // The path's limit can have shrunk since it was looked at.
            Err(quinn::SendDatagramError::TooLarge) => Err(too_large()),
            Err(quinn::SendDatagramError::ConnectionLost(error)) => {
                Err(SendDatagramError::SessionClosed(self.end_by(&error)))
            }
            Err(
                quinn::SendDatagramError::UnsupportedByPeer | quinn::SendDatagramError::Disabled,
            ) => Err(SendDatagramError::Unsupported),
        }
    }

    /// The next datagram from the peer. Those that came before the session ended can still be received.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended and nothing is left.
    ///
    /// # Cancel safety
    /// If the future is dropped, no datagram is lost.
    pub async fn recv_datagram(&self) -> Result<Bytes, Closed> {
        match self.0.shared.datagrams.pop().await {
            Some(payload) => Ok(payload),
            None => Err(self.closed().await),
        }
    }

    /// Largest datagram, in bytes, that can be sent now: the least of what the path carries and what the far end takes.
    /// It changes with the path. 0 if the peer takes none.
    pub fn max_datagram_size(&self) -> usize {
        let path = self.quinn().max_datagram_size().unwrap_or(0);
        let shared = &self.0.shared;
        path.saturating_sub(Datagram::header_len(shared.id))
            .min(usize::try_from(shared.max_datagram_size).unwrap_or(usize::MAX))
    }

    /// Closes the session, and the connection with it if it is the connection's own. The peer is told code and reason
    /// (up to 1024 bytes of it); what it has not read by then is lost. Does nothing if the session has ended.
    ///
    /// To be sure that the peer learns of it before the process ends, await
    /// [`Endpoint::wait_idle`](crate::Endpoint::wait_idle).
    pub fn close(&self, code: Code, reason: &str) {
        self.0.shared.close(&self.0.connection, code, reason);
    }

    /// Resolves when the session has ended, and says how.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Closed {
        self.0.shared.ending.wait().await
    }

    /// How the session ended; `None` while it runs.
    pub fn close_reason(&self) -> Option<Closed> {
        self.0.shared.ending.get().cloned()
    }

    /// Measures the time to the next hop and back, on the control stream.
    ///
    /// # Errors
    /// [`PingError`] if too many pings are on their way, or the session ends.
    ///
    /// # Cancel safety
    /// If the future is dropped, the ping is still answered and nobody is told.
    pub async fn ping(&self) -> Result<Duration, PingError> {
        let (reply, answer) = oneshot::channel();
        self.0.connection.command(Command::Ping { reply });
        tokio::select! {
            Ok(answer) = answer => match answer {
                Ok(rtt) => Ok(rtt),
                Err(machine::PingError::TooMany { limit }) => Err(PingError::TooMany { limit }),
                Err(machine::PingError::NotOpen) => Err(PingError::SessionClosed(self.closed().await)),
            },
            closed = self.closed() => Err(PingError::SessionClosed(closed)),
        }
    }

    /// Which session of its connection; 0 is the connection's own.
    pub fn id(&self) -> SessionId {
        self.0.shared.id
    }

    /// The service that it speaks with.
    pub fn service(&self) -> &ServiceName {
        &self.0.shared.service
    }

    /// What both ends of the session share, however many relays stand between them, and what everything that is signed
    /// end to end covers.
    pub fn hash(&self) -> SessionHash {
        self.0.shared.hash
    }

    /// The target's random bytes, which are in the [`hash`](Self::hash). A relay passes them on in its own answer.
    pub fn random(&self) -> [u8; 32] {
        self.0.shared.random
    }

    /// The connection that carries the session.
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Counters since the session began.
    pub fn stats(&self) -> SessionStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0.shared.counters;
        SessionStats {
            sent_datagrams: get(&counters.sent_datagrams),
            received_datagrams: get(&counters.received_datagrams),
            dropped_datagrams: get(&counters.dropped_datagrams),
            opened_streams: get(&counters.opened_streams),
            accepted_streams: get(&counters.accepted_streams),
        }
    }

    pub(crate) fn ending(&self) -> &Ending {
        &self.0.shared.ending
    }

    /// How the session ended, now that QUIC says that its connection has.
    pub(crate) fn end_by(&self, error: &quinn::ConnectionError) -> Closed {
        let ended = self.0.shared.ending.get().cloned();
        ended.unwrap_or_else(|| self.0.connection.end_by(error))
    }

    fn quinn(&self) -> &quinn::Connection {
        self.0.connection.quinn()
    }

    async fn arrived(&self, direction: Direction) -> Result<Arrived, Closed> {
        let shared = &self.0.shared;
        let Some(arrived) = shared.arrived[direction as usize].pop().await else {
            return Err(self.closed().await);
        };
        count(&shared.counters.accepted_streams);
        Ok(arrived)
    }

    /// Waits until a multiplexed session may open one more stream of this kind.
    async fn place(&self, direction: Direction) -> Result<Option<Place>, StreamOpenError> {
        let Some(allowances) = &self.0.shared.allowances else {
            return Ok(None);
        };
        let allowance = allowances[direction as usize].clone();
        tokio::select! {
            biased;
            closed = self.closed() => Err(StreamOpenError::SessionClosed(closed)),
            permit = allowance.acquire_owned() => {
                Ok(Some(Place::outgoing(permit.expect("never closed"))))
            }
        }
    }

    async fn unless_closed<T>(
        &self,
        opening: impl Future<Output = Result<T, quinn::ConnectionError>>,
    ) -> Result<T, StreamOpenError> {
        tokio::select! {
            biased;
            closed = self.closed() => Err(StreamOpenError::SessionClosed(closed)),
            opened = opening => {
                opened.map_err(|error| StreamOpenError::SessionClosed(self.end_by(&error)))
            }
        }
    }

    /// Writes what tells the peer whose stream this is.
    async fn introduce(
        &self,
        send: &mut SendStream,
        direction: Direction,
        payload: Payload,
    ) -> Result<(), StreamOpenError> {
        let header = StreamHeader::Data {
            session: self.id(),
            payload,
        };
        let mut bytes = BytesMut::with_capacity(StreamHeader::MAX_LEN);
        header.encode(direction, &mut bytes);
        send.write_all(&bytes).await.map_err(|error| match error {
            WriteError::Stopped(code) => StreamOpenError::Rejected(code),
            WriteError::SessionClosed(closed) => StreamOpenError::SessionClosed(closed),
            WriteError::ClosedStream => unreachable!("the stream is new"),
        })?;
        count(&self.0.shared.counters.opened_streams);
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.id != SessionId::ZERO {
            self.shared.close(&self.connection, Code::NO_ERROR, "");
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id().value())
            .field("service", &self.service().as_str())
            .field("closed", &self.ending().get())
            .finish_non_exhaustive()
    }
}

//! The handle of one session.

mod access;
mod datagrams;
mod error;
mod messages;
mod seeds;
mod shared;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Weak};

use stoq_core::close::Code;
use stoq_core::hash::SessionHash;
use stoq_core::hops::{HopChain, PassedHop};
use stoq_core::service::ServiceName;
use stoq_core::session as machine;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use tokio::sync::oneshot;

pub use error::{PingError, SendDatagramError, SendMessageError, StreamOpenError};
pub(crate) use messages::Messages;
pub use shared::SessionStats;
pub(crate) use shared::{Counters, Shared, count};

use crate::closed::{Closed, Ending};
use crate::connection::Connection;
use crate::driver::Command;
use crate::lanes::Lanes;
use crate::stream::{Arrived, Place, RecvStream, SendStream, WriteError};
use crate::verified::Channels;

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
    channels: Channels,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let channels = Channels::default();
        Self(Arc::new(Handle {
            shared,
            connection,
            channels,
        }))
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

    /// The next raw stream in both directions that the peer opens.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, and all that came before the peer closed has been accepted.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is lost.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        let lanes = &self.0.shared.arrived[Direction::Bidirectional as usize];
        let arrived = self.arrived(lanes.pop(Payload::Raw as usize)).await?;
        Ok(arrived.accept_bi(self).expect("queued with both halves"))
    }

    /// [`accept_bi`](Self::accept_bi), whatever the stream carries: for relays. The receiving half tells what it is.
    ///
    /// # Errors
    /// As `accept_bi`.
    ///
    /// # Cancel safety
    /// As `accept_bi`.
    pub async fn accept_any_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        let lanes = &self.0.shared.arrived[Direction::Bidirectional as usize];
        let arrived = self.arrived(lanes.pop_any()).await?;
        Ok(arrived.accept_bi(self).expect("queued with both halves"))
    }

    /// The next raw stream that the peer opens and on which only it sends.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, and all that came before the peer closed has been accepted.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is lost.
    pub async fn accept_uni(&self) -> Result<RecvStream, Closed> {
        let lanes = &self.0.shared.arrived[Direction::Unidirectional as usize];
        let arrived = self.arrived(lanes.pop(Payload::Raw as usize)).await?;
        Ok(arrived.accept_uni(self).expect("queued with its half"))
    }

    /// [`accept_uni`](Self::accept_uni), whatever the stream carries: for relays. The stream tells what it is.
    ///
    /// # Errors
    /// As `accept_uni`.
    ///
    /// # Cancel safety
    /// As `accept_uni`.
    pub async fn accept_any_uni(&self) -> Result<RecvStream, Closed> {
        let lanes = &self.0.shared.arrived[Direction::Unidirectional as usize];
        let arrived = self.arrived(lanes.pop_any()).await?;
        Ok(arrived.accept_uni(self).expect("queued with its half"))
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

    /// The relays between the client and the target, as the target saw them; `None` if there was none, or none that says so.
    /// What relays say of themselves and of those before them are claims: [`HopChain`] says which.
    pub fn hops(&self) -> Option<&HopChain> {
        self.0.shared.hops.as_ref()
    }

    /// The one hop that this end can be sure of: its neighbour, if that is a relay and has proved its FALCON identity on this
    /// connection. A client's is the first of the chain, a target's the last. `None` if the chain does not say what the
    /// connection proves.
    pub fn authenticated_hop(&self) -> Option<&PassedHop> {
        let hops = &self.hops()?.hops;
        let peer = self.connection().security().peer?;
        let ends = [hops.first(), hops.last()];
        ends.into_iter().flatten().find(|hop| hop.id == peer)
    }

    /// The connection that carries the session.
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Counters since the session began.
    pub fn stats(&self) -> SessionStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0.shared.counters;
        let (sent_messages, messages) = self.0.shared.messages.stats();
        let mut announced = self.0.shared.announcing.receiving.announced();
        SessionStats {
            sent_datagrams: get(&counters.sent_datagrams),
            received_datagrams: get(&counters.received_datagrams),
            dropped_datagrams: get(&counters.dropped_datagrams),
            opened_streams: get(&counters.opened_streams),
            accepted_streams: get(&counters.accepted_streams),
            refused: counters.refused.get(),
            sent_messages,
            messages,
            seeds: announced.seeds().counters(),
            skipped_announcements: announced.skipped(),
            dropped_signatures: announced.signatures_dropped(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Verified channels that have been opened.
    pub(crate) fn channels(&self) -> &Channels {
        &self.0.channels
    }

    /// This session, as long as somebody else holds it.
    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
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

    async fn arrived(
        &self,
        next: impl Future<Output = Option<Arrived>>,
    ) -> Result<Arrived, Closed> {
        let Some(arrived) = next.await else {
            return Err(self.closed().await);
        };
        count(&self.0.shared.counters.accepted_streams);
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
        if let Some(closed) = self.0.shared.ending.get() {
            return Err(StreamOpenError::SessionClosed(closed.clone()));
        }
        tokio::select! {
            biased;
            // As a rule there is nothing to wait for.
            opened = opening => {
                opened.map_err(|error| StreamOpenError::SessionClosed(self.end_by(&error)))
            }
            closed = self.closed() => Err(StreamOpenError::SessionClosed(closed)),
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
        let mut bytes = [0; StreamHeader::MAX_LEN];
        header.encode(direction, &mut &mut bytes[..]);
        let bytes = &bytes[..header.encoded_len(direction)];
        send.write_all(bytes).await.map_err(|error| match error {
            WriteError::Stopped(code) => StreamOpenError::Rejected(code),
            WriteError::SessionClosed(closed) => StreamOpenError::SessionClosed(closed),
            WriteError::ClosedStream => unreachable!("the stream is new"),
        })?;
        count(&self.0.shared.counters.opened_streams);
        Ok(())
    }
}

/// A session that is not held.
pub(crate) struct WeakSession(Weak<Handle>);

impl WeakSession {
    pub(crate) fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(Session)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.id != SessionId::ZERO {
            self.shared.close(&self.connection, Code::NO_ERROR, "");
            // Nobody can accept what the peer had opened before it closed, and each of these streams holds the session.
            self.shared.arrived.iter().for_each(Lanes::clear);
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

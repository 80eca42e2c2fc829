//! The handle of one QUIC connection.

mod live;

use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use stoq_core::close::Code;
use stoq_core::session_id::SessionId;
use stoq_core::tier::Tier;
use tokio::sync::{mpsc, oneshot};

use crate::adapt::Live;
use crate::closed::{Closed, Ending};
use crate::driver::Command;
use crate::meter;
use crate::request::{OpenError, Request};
use crate::security::Security;
use crate::session::Session;

/// A QUIC connection between two STOQ peers, and the sessions on it.
///
/// Clones are handles to the same connection, and every session holds one. When the last is dropped, the connection is
/// closed with [`Code::NO_ERROR`]; a server's end of a connection that only carries multiplexed sessions stays until the
/// client closes it.
#[derive(Clone)]
pub struct Connection(Arc<Handle>);

pub(crate) struct Handle(Arc<Shared>);

/// Withdraws a request for a session when it is dropped.
struct Asking<'a> {
    connection: &'a Connection,
    asked: &'a Arc<OnceLock<SessionId>>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let asked = Arc::clone(self.asked);
        self.connection.command(Command::Abandon { asked });
    }
}

/// What the handles and the driver know of a connection.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Numbers the connections of this process, and the attempts at one.
    pub(crate) id: u64,
    pub(crate) quinn: quinn::Connection,
    pub(crate) live: Live,
    /// Boxed, because a channel keeps room for 32.
    pub(crate) commands: mpsc::UnboundedSender<Box<Command>>,
    pub(crate) ending: Ending,
    pub(crate) sessions: AtomicUsize,
    /// Datagrams that had to give way in a session's queue, or came for a session that nobody holds.
    pub(crate) dropped_in_queues: AtomicU64,
    /// Datagrams that the state machine could not place.
    pub(crate) dropped_unplaced: AtomicU64,
    /// Announcing streams beyond the one that a session has.
    pub(crate) refused_announcements: AtomicU64,
    /// Set when the peer says GOAWAY.
    pub(crate) going_away: Ending,
    /// How long the peer lets running sessions go on then.
    pub(crate) grace: OnceLock<Duration>,
    /// Set when this end's endpoint closes all of its connections.
    pub(crate) endpoint_ending: Arc<Ending>,
    /// The one that the driver runs in.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Connection {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self(handle)
    }

    /// Opens a session, multiplexed with the others on this connection. Resolves when the server has answered.
    ///
    /// # Errors
    /// [`OpenError`] if the server refuses it, this end is the server, the connection has as many sessions as the server
    /// allows, or is closed or about to be.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request is withdrawn ([`Code::CANCELLED`]); a session that is opened all the same is
    /// closed with [`Code::NO_ERROR`].
    pub async fn open_session(&self, request: Request) -> Result<Session, OpenError> {
        let (reply, answer) = oneshot::channel();
        let asked: Arc<OnceLock<SessionId>> = Arc::default();
        let asking = Asking {
            connection: self,
            asked: &asked,
        };
        self.command(Command::Open {
            request,
            asked: Arc::clone(&asked),
            reply,
        });
        let answer = answer.await;
        // It has been answered: there is nothing to withdraw.
        std::mem::forget(asking);
        match answer {
            Ok(answer) => answer,
            Err(_) => Err(OpenError::ConnectionClosed(self.closed().await)),
        }
    }

    /// Numbers the connections of this process, and the attempts at one, from 1. Spans and log lines of the connection have it as `connection`.
    pub fn id(&self) -> u64 {
        self.shared().id
    }

    /// The peer's address; it changes when a client moves to another network.
    pub fn remote_address(&self) -> SocketAddr {
        let address = self.quinn().remote_address();
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// How the connection is protected, and who is at its other end.
    pub fn security(&self) -> Security {
        Security::of(self.quinn())
    }

    /// Closes the connection and all sessions on it. The peer is told code and reason (up to 1024 bytes of it); what it has
    /// not read by then is lost. Does nothing if the connection is closed.
    pub fn close(&self, code: Code, reason: &str) {
        self.shared().ending.end(Closed::local(code, reason));
        self.command(Command::Close {
            id: SessionId::ZERO,
            code,
            reason: reason.into(),
        });
    }

    /// Resolves when the connection has ended, and says how.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Closed {
        self.shared().ending.wait().await
    }

    /// Whether the connection has not ended.
    pub fn is_open(&self) -> bool {
        self.shared().ending.get().is_none()
    }

    /// Resolves when the peer takes no new sessions here any more, because it is about to close ([`Code::GOING_AWAY`], as a
    /// rule) or the connection has ended. Running sessions have the time that the peer grants them.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn going_away(&self) -> Closed {
        self.shared().going_away.wait().await
    }

    /// How long running sessions may go on, once the peer has said that it is [going away](Self::going_away).
    pub fn grace(&self) -> Option<Duration> {
        self.shared().grace.get().copied()
    }

    /// A server's end: takes no new sessions on this connection, and tells the client so. Running sessions have `grace`,
    /// which is the caller's to enforce.
    pub(crate) fn go_away(&self, code: Code, grace: Duration) {
        self.command(Command::GoAway { code, grace });
    }

    /// Asks the peer's end for a sign of life, and says whether it came. Nothing, until it comes or the connection ends. However
    /// many pings are on their way: the answer to any is a sign.
    pub(crate) async fn lives(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Probe { reply });
        answer.await.is_ok()
    }

    /// Whether [`open_session`](Self::open_session) may be of use: the connection is open and the peer stays.
    pub fn takes_sessions(&self) -> bool {
        self.is_open() && self.shared().going_away.get().is_none()
    }

    /// The runtime that drives the connection: its [worker's](crate::ServerConfig::workers), or the one that the endpoint was made
    /// in. Who works with the connection's sessions in a task of that runtime spares a change of threads for each chunk; such a
    /// task ends with the worker, when the endpoint and all its connections are gone.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.shared().runtime
    }

    /// Sessions that are open now, the connection's own included.
    pub fn session_count(&self) -> usize {
        self.shared().sessions.load(Ordering::Relaxed)
    }

    /// Counters since the connection began, and what its path is like now.
    pub fn stats(&self) -> ConnectionStats {
        let stats = self.quinn().stats();
        let path = meter::read(self.quinn());
        ConnectionStats {
            rtt: path.rtt,
            rtt_variation: path.rtt_variation,
            congestion_window: path.congestion_window,
            send_rate: path.send_rate,
            tier: path.tier,
            mtu: stats.path.current_mtu,
            black_holes: stats.path.black_holes_detected,
            sent_packets: stats.path.sent_packets,
            lost_packets: path.lost_packets,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            sent_datagrams: stats.frame_tx.datagram,
            received_datagrams: stats.frame_rx.datagram,
            dropped_datagrams: self.shared().dropped_datagrams(),
            refused_announcements: self.shared().refused_announcements.load(Ordering::Relaxed),
            sessions: self.session_count(),
        }
    }

    /// A datagram that was taken for a session could not be read.
    pub(crate) fn count_dropped_datagram(&self) {
        let dropped = &self.shared().dropped_in_queues;
        dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn quinn(&self) -> &quinn::Connection {
        &self.shared().quinn
    }

    pub(crate) fn command(&self, command: Command) {
        self.shared().command(command);
    }

    /// How the connection ended, now that QUIC says that it has.
    pub(crate) fn end_by(&self, error: &quinn::ConnectionError) -> Closed {
        self.shared().end_by(error)
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Shared {
    pub(crate) fn dropped_datagrams(&self) -> u64 {
        self.dropped_in_queues.load(Ordering::Relaxed)
            + self.dropped_unplaced.load(Ordering::Relaxed)
    }

    /// Tells the driver. When it has ended, there is nothing left to tell it.
    pub(crate) fn command(&self, command: Command) {
        let _ = self.commands.send(Box::new(command));
    }

    pub(crate) fn end_by(&self, error: &quinn::ConnectionError) -> Closed {
        // QUIC does not remember what this end closed with.
        let known = self.ending.get().or_else(|| match error {
            quinn::ConnectionError::LocallyClosed => self.endpoint_ending.get(),
            _ => None,
        });
        known.cloned().unwrap_or_else(|| Closed::from_quic(error))
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self(shared))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.command(Command::HandlesGone);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("remote_address", &self.remote_address())
            .field("sessions", &self.session_count())
            .field("closed", &self.shared().ending.get())
            .finish_non_exhaustive()
    }
}

/// What a connection has done so far, and what its path is like now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Round-trip time, smoothed.
    pub rtt: Duration,
    /// Its mean deviation, by [RFC 9002, section 5.3]; `None` until the first acknowledgement.
    ///
    /// [RFC 9002, section 5.3]: https://www.rfc-editor.org/rfc/rfc9002#section-5.3
    pub rtt_variation: Option<Duration>,
    /// Bytes that may be on their way at once.
    pub congestion_window: u64,
    /// Bytes a second that are sent and arrive, on average over the last quarter of a second or a little more.
    pub send_rate: u64,
    /// The class of the path, by the rate at which it carried what was sent when there was last always more to send (within
    /// congestion control and the peer's windows) for a quarter of a second and two round trips; or a higher one that it has
    /// reached since, though there was not. `None` until then: a few bytes say nothing of what the path could carry.
    pub tier: Option<Tier>,
    /// Largest UDP payload that the path is known to carry, in bytes.
    pub mtu: u16,
    /// How often packets of the size that the path had carried seemed to arrive no more, so that they were made small again for
    /// a minute ([RFC 8899, section 4.3]).
    ///
    /// [RFC 8899, section 4.3]: https://www.rfc-editor.org/rfc/rfc8899#section-4.3
    pub black_holes: u64,
    /// QUIC packets sent.
    pub sent_packets: u64,
    /// QUIC packets that count as lost.
    pub lost_packets: u64,
    /// Bytes sent in UDP payloads.
    pub sent_bytes: u64,
    /// Bytes received in UDP payloads.
    pub received_bytes: u64,
    /// Datagrams sent, of all sessions.
    pub sent_datagrams: u64,
    /// Datagrams received, of all sessions.
    pub received_datagrams: u64,
    /// Datagrams that arrived for no open session, could not be read, or had to give way in a session's queue.
    pub dropped_datagrams: u64,
    /// Streams of announcements that were rejected ([`Code::PROTOCOL`]), because their session had had one.
    pub refused_announcements: u64,
    /// Sessions that are open now, the connection's own included.
    pub sessions: usize,
}

//! What an endpoint has done: one snapshot, and the same through the `metrics` facade.
//!
//! Nothing is counted twice and nothing on the hot path: QUIC counts bytes and packets by itself. What happens seldom (a
//! connection that begins or ends, a session) is told to the facade as it happens; what QUIC counts, every so often.

mod facade;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use stoq_core::close::Code;
use tokio_util::task::AbortOnDropHandle;

use crate::closed::Closed;
use crate::connection::Shared as Connection;

/// What an endpoint has done so far: see [`Endpoint::stats`](crate::Endpoint::stats).
///
/// Each figure but the two that say "now" only grows. Those that connections count are the sum of all, whether they are open or
/// have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections that are open now, or closing.
    pub connections: u64,
    /// Connections that came about.
    pub connections_opened: u64,
    /// Handshakes that did not end in a connection: broken off, not in time, or with somebody who is not believed. A client's
    /// count once, however many addresses were tried.
    pub handshakes_failed: u64,
    /// A server: first packets that were turned away, because there were too many connections or handshakes.
    pub handshakes_refused: u64,
    /// A server: first packets that were answered with a Retry.
    pub retries: u64,
    /// Sessions that are open now.
    pub sessions: u64,
    /// Sessions that were opened.
    pub sessions_opened: u64,
    /// Bytes sent in UDP payloads.
    pub sent_bytes: u64,
    /// Bytes received in UDP payloads.
    pub received_bytes: u64,
    /// QUIC packets sent.
    pub sent_packets: u64,
    /// QUIC packets that count as lost.
    pub lost_packets: u64,
    /// Datagrams sent.
    pub sent_datagrams: u64,
    /// Datagrams received.
    pub received_datagrams: u64,
    /// Datagrams that arrived and were not taken.
    pub dropped_datagrams: u64,
}

/// What QUIC counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    sent_bytes: u64,
    received_bytes: u64,
    sent_packets: u64,
    lost_packets: u64,
    sent_datagrams: u64,
    received_datagrams: u64,
    dropped_datagrams: u64,
}

/// The counters of one endpoint.
#[derive(Debug)]
pub(crate) struct Counters {
    side: quinn::Side,
    opened: AtomicU64,
    handshakes_failed: AtomicU64,
    handshakes_refused: AtomicU64,
    retries: AtomicU64,
    sessions: AtomicU64,
    sessions_opened: AtomicU64,
    connections: Mutex<Connections>,
    publisher: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Connections {
    live: HashMap<u64, Weak<Connection>>,
    /// Of those that have ended.
    ended: Traffic,
    /// What the facade has been told.
    told: Traffic,
}

/// One connection, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Counted {
    counters: Arc<Counters>,
    id: u64,
    connection: Arc<Connection>,
    since: Instant,
}

impl Counters {
    pub(crate) fn new(side: quinn::Side) -> Self {
        Self {
            side,
            opened: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            handshakes_refused: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            sessions_opened: AtomicU64::new(0),
            connections: Mutex::default(),
            publisher: OnceLock::new(),
        }
    }

    /// A connection has come about.
    pub(crate) fn open(self: &Arc<Self>, id: u64, connection: &Arc<Connection>) -> Counted {
        self.opened.fetch_add(1, Relaxed);
        facade::opened(self.side);
        self.lock().live.insert(id, Arc::downgrade(connection));
        Counted {
            counters: self.clone(),
            id,
            connection: connection.clone(),
            since: Instant::now(),
        }
    }

    pub(crate) fn handshake_failed(&self, code: Code) {
        self.handshakes_failed.fetch_add(1, Relaxed);
        facade::handshake_failed(self.side, code);
    }

    pub(crate) fn handshake_refused(&self) {
        self.handshakes_refused.fetch_add(1, Relaxed);
        facade::handshake_refused();
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
        facade::retried();
    }

    pub(crate) fn session_opened(&self) {
        self.sessions.fetch_add(1, Relaxed);
        self.sessions_opened.fetch_add(1, Relaxed);
        facade::session_opened(self.side);
    }

    pub(crate) fn session_ended(&self, closed: &Closed) {
        self.sessions.fetch_sub(1, Relaxed);
        facade::session_ended(self.side, closed);
    }

    pub(crate) fn get(&self) -> EndpointStats {
        let connections = self.lock();
        let Traffic {
            sent_bytes,
            received_bytes,
            sent_packets,
            lost_packets,
            sent_datagrams,
            received_datagrams,
            dropped_datagrams,
        } = connections.traffic();
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        EndpointStats {
            connections: connections.live.len() as u64,
            connections_opened: get(&self.opened),
            handshakes_failed: get(&self.handshakes_failed),
            handshakes_refused: get(&self.handshakes_refused),
            retries: get(&self.retries),
            sessions: get(&self.sessions),
            sessions_opened: get(&self.sessions_opened),
            sent_bytes,
            received_bytes,
            sent_packets,
            lost_packets,
            sent_datagrams,
            received_datagrams,
            dropped_datagrams,
        }
    }

    /// Tells the facade what has been counted since the last time.
    fn publish(&self) {
        let mut connections = self.lock();
        let now = connections.traffic();
        let told = core::mem::replace(&mut connections.told, now);
        drop(connections);
        facade::traffic(self.side, &now.since(&told));
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn traffic(&self) -> Traffic {
        let live = self.live.values().filter_map(Weak::upgrade);
        live.fold(self.ended, |sum, connection| {
            sum.and(&Traffic::of(&connection))
        })
    }
}

impl Traffic {
    fn of(connection: &Connection) -> Self {
        let stats = connection.quinn.stats();
        Self {
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            sent_datagrams: stats.frame_tx.datagram,
            received_datagrams: stats.frame_rx.datagram,
            dropped_datagrams: connection.dropped_datagrams(),
        }
    }

    fn and(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// On a new path QUIC counts packets anew, so a figure may seem to have shrunk.
    fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    fn with(&self, other: &Self, each: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            sent_bytes: each(self.sent_bytes, other.sent_bytes),
            received_bytes: each(self.received_bytes, other.received_bytes),
            sent_packets: each(self.sent_packets, other.sent_packets),
            lost_packets: each(self.lost_packets, other.lost_packets),
            sent_datagrams: each(self.sent_datagrams, other.sent_datagrams),
            received_datagrams: each(self.received_datagrams, other.received_datagrams),
            dropped_datagrams: each(self.dropped_datagrams, other.dropped_datagrams),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut connections = self.counters.lock();
        connections.live.remove(&self.id);
        connections.ended = connections.ended.and(&Traffic::of(&self.connection));
        drop(connections);
        let closed = self.connection.ending.get();
        facade::closed(self.counters.side, closed, self.since.elapsed());
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        self.publish();
    }
}

/// An identity was, or should have been, rotated.
pub(crate) fn rotated(shown: bool) {
    facade::rotated(if shown { "shown" } else { "refused" });
}

/// Tells the facade, until the endpoint and its connections are gone.
pub(crate) fn start_publishing(counters: &Arc<Counters>, every: core::time::Duration) {
    let weak = Arc::downgrade(counters);
    let publishing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(counters) = weak.upgrade() else {
                return;
            };
            counters.publish();
        }
    });
    let publishing = AbortOnDropHandle::new(publishing);
    assert!(
        counters.publisher.set(publishing).is_ok(),
        "an endpoint publishes once"
    );
}

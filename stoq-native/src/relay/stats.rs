//! What a relay counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A relay's numbers at one moment. Those that say what *is* fall again; the others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Connections of peers that came in.
    pub connections: u64,
    /// Connections to next hops.
    pub next_hop_connections: u64,
    /// Sessions that are, those that are being opened included.
    pub sessions_open: u64,
    /// Sessions that were opened with a next hop, ever.
    pub sessions_total: u64,
    /// Streams that are being passed on.
    pub streams_open: u64,
    /// Streams that were passed on, ever.
    pub streams_total: u64,
    /// Bytes on streams from who asked to next hops.
    pub bytes_forward: u64,
    /// Bytes on streams from next hops back.
    pub bytes_back: u64,
    /// Datagrams passed on, both ways.
    pub datagrams_relayed: u64,
    /// Datagrams not passed on: too large for the next hop.
    pub datagrams_dropped: u64,
    /// Refused: the relay had as many sessions as it may.
    pub refused_full: u64,
    /// Refused: a client's connection asked for too many sessions in too short a time.
    pub refused_pace: u64,
    /// Refused: the neighbour was not the last of the chain that it brought.
    pub refused_untrusted: u64,
    /// Refused: a relay would have been passed twice.
    pub refused_loop: u64,
    /// Refused: more relays than the maximum, or more of what they say than fits.
    pub refused_too_many_hops: u64,
    /// Refused: the next hop is not on the list, or nobody has the service.
    pub refused_next_hop: u64,
    /// The next hop could not be reached.
    pub unreachable: u64,
    /// The next hop, or somebody behind it, said no.
    pub refused_behind: u64,
}

/// The live counters behind [`RelayStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sessions_open: AtomicU64,
    pub(super) sessions_total: AtomicU64,
    pub(super) streams_open: AtomicU64,
    pub(super) streams_total: AtomicU64,
    pub(super) bytes_forward: AtomicU64,
    pub(super) bytes_back: AtomicU64,
    pub(super) datagrams_relayed: AtomicU64,
    pub(super) datagrams_dropped: AtomicU64,
    pub(super) refused_full: AtomicU64,
    pub(super) refused_pace: AtomicU64,
    pub(super) refused_untrusted: AtomicU64,
    pub(super) refused_loop: AtomicU64,
    pub(super) refused_too_many_hops: AtomicU64,
    pub(super) refused_next_hop: AtomicU64,
    pub(super) unreachable: AtomicU64,
    pub(super) refused_behind: AtomicU64,
}

impl Counters {
    /// The numbers now; each by itself, since nothing stops meanwhile.
    pub(super) fn snapshot(&self) -> RelayStats {
        RelayStats {
            connections: 0,
            next_hop_connections: 0,
            sessions_open: self.sessions_open.load(Relaxed),
            sessions_total: self.sessions_total.load(Relaxed),
            streams_open: self.streams_open.load(Relaxed),
            streams_total: self.streams_total.load(Relaxed),
            bytes_forward: self.bytes_forward.load(Relaxed),
            bytes_back: self.bytes_back.load(Relaxed),
            datagrams_relayed: self.datagrams_relayed.load(Relaxed),
            datagrams_dropped: self.datagrams_dropped.load(Relaxed),
            refused_full: self.refused_full.load(Relaxed),
            refused_pace: self.refused_pace.load(Relaxed),
            refused_untrusted: self.refused_untrusted.load(Relaxed),
            refused_loop: self.refused_loop.load(Relaxed),
            refused_too_many_hops: self.refused_too_many_hops.load(Relaxed),
            refused_next_hop: self.refused_next_hop.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            refused_behind: self.refused_behind.load(Relaxed),
        }
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// One of the things that a gauge counts; gone when dropped.
#[derive(Debug)]
pub(super) struct One<'a>(&'a AtomicU64);

impl<'a> One<'a> {
    pub(super) fn new(gauge: &'a AtomicU64) -> Self {
        count(gauge);
        Self(gauge)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

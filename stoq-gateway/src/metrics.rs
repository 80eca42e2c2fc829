//! What the gateway counts: written by tasks with one atomic addition each, read as one [`Snapshot`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use stoq_native::relay::RelayStats;

use stoq_native::AccessRefusals;

/// The gateway's numbers at one moment. Those that say what *is* fall again; the others only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Browser sessions that are, from the first packet until the last trace is gone.
    pub sessions_open: u64,
    /// Browser sessions that were opened with a target, ever.
    pub sessions_total: u64,
    /// Attempts that came to nothing.
    pub refused: Refused,
    /// Streams that are being relayed.
    pub streams_open: u64,
    /// Streams that were relayed, ever.
    pub streams_total: u64,
    /// Datagrams passed on, both ways.
    pub datagrams_relayed: u64,
    /// Datagrams not passed on: too large for the next hop, not readable, or pushed out by later ones.
    pub datagrams_dropped: u64,
    /// Bytes on streams from browsers to targets.
    pub bytes_to_target: u64,
    /// Bytes on streams from targets to browsers.
    pub bytes_to_browser: u64,
    /// What the relay between native peers counts, if there is one.
    pub relay: Option<RelayStats>,
    /// Connections to targets that are. One for each route stays when its sessions have ended, for the next.
    pub upstream_connections: u64,
    /// Certificates that took the place of another one.
    pub certificates_renewed: u64,
    /// Endpoint records that were signed.
    pub records_signed: u64,
    /// Endpoint records that could not be signed: see the log.
    pub records_failed: u64,
    /// Tasks that serve sessions, streams and HTTP connections. The gateway's own few are not counted.
    pub tasks: u64,
}

/// Attempts to open a session that came to nothing, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// There were [`max_sessions`](crate::config::Limits::max_sessions).
    pub sessions: u64,
    /// There were [`max_handshakes`](crate::config::Limits::max_handshakes).
    pub handshakes: u64,
    /// The handshake failed, or took too long.
    pub failed_handshakes: u64,
    /// The page's origin may not.
    pub origin: u64,
    /// The path is not one of STOQ.
    pub path: u64,
    /// There is no such service here.
    pub service: u64,
    /// The page named relays that the gateway does not forward to, or a way that nobody could go.
    pub hops: u64,
    /// The browser broke a rule, or left, before the session was open.
    pub client: u64,
    /// The target could not be reached, or was lost before it answered.
    pub unreachable: u64,
    /// The target said no.
    pub target: u64,
    /// The browser had no access token for the gateway that was good, or did not prove to hold it; the names of the codes, and how
    /// often each was the reason. Codes that never were are left out.
    pub access: BTreeMap<&'static str, u64>,
    /// The gateway is shutting down.
    pub shutdown: u64,
}

/// The live counters behind a [`Snapshot`].
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) sessions_open: AtomicU64,
    pub(crate) sessions_total: AtomicU64,
    pub(crate) refused: Refusals,
    pub(crate) streams_open: AtomicU64,
    pub(crate) streams_total: AtomicU64,
    pub(crate) datagrams_relayed: AtomicU64,
    pub(crate) datagrams_dropped: AtomicU64,
    pub(crate) bytes_to_target: AtomicU64,
    pub(crate) bytes_to_browser: AtomicU64,
    pub(crate) certificates_renewed: AtomicU64,
    pub(crate) records_signed: AtomicU64,
    pub(crate) records_failed: AtomicU64,
    pub(crate) tasks: AtomicU64,
}

/// The live counters behind [`Refused`].
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) sessions: AtomicU64,
    pub(crate) handshakes: AtomicU64,
    pub(crate) failed_handshakes: AtomicU64,
    pub(crate) origin: AtomicU64,
    pub(crate) path: AtomicU64,
    pub(crate) service: AtomicU64,
    pub(crate) hops: AtomicU64,
    pub(crate) client: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) target: AtomicU64,
    pub(crate) access: AccessRefusals,
    pub(crate) shutdown: AtomicU64,
}

impl Metrics {
    /// The numbers now; each by itself, since nothing stops meanwhile. The endpoints count connections themselves.
    pub(crate) fn snapshot(&self, upstream_connections: u64) -> Snapshot {
        Snapshot {
            sessions_open: self.sessions_open.load(Relaxed),
            sessions_total: self.sessions_total.load(Relaxed),
            refused: self.refused.snapshot(),
            streams_open: self.streams_open.load(Relaxed),
            streams_total: self.streams_total.load(Relaxed),
            datagrams_relayed: self.datagrams_relayed.load(Relaxed),
            datagrams_dropped: self.datagrams_dropped.load(Relaxed),
            bytes_to_target: self.bytes_to_target.load(Relaxed),
            bytes_to_browser: self.bytes_to_browser.load(Relaxed),
            relay: None,
            upstream_connections,
            certificates_renewed: self.certificates_renewed.load(Relaxed),
            records_signed: self.records_signed.load(Relaxed),
            records_failed: self.records_failed.load(Relaxed),
            tasks: self.tasks.load(Relaxed),
        }
    }
}

impl Refusals {
    fn snapshot(&self) -> Refused {
        Refused {
            sessions: self.sessions.load(Relaxed),
            handshakes: self.handshakes.load(Relaxed),
            failed_handshakes: self.failed_handshakes.load(Relaxed),
            origin: self.origin.load(Relaxed),
            path: self.path.load(Relaxed),
            service: self.service.load(Relaxed),
            hops: self.hops.load(Relaxed),
            client: self.client.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            target: self.target.load(Relaxed),
            access: self
                .access
                .get()
                .filter_map(|(code, count)| (count > 0).then_some((code.name()?, count)))
                .collect(),
            shutdown: self.shutdown.load(Relaxed),
        }
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// One of the things that a gauge counts; gone when dropped.
#[derive(Debug)]
pub(crate) struct One {
    metrics: Arc<Metrics>,
    gauge: fn(&Metrics) -> &AtomicU64,
}

impl One {
    pub(crate) fn new(metrics: &Arc<Metrics>, gauge: fn(&Metrics) -> &AtomicU64) -> Self {
        count(gauge(metrics));
        Self {
            metrics: metrics.clone(),
            gauge,
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).fetch_sub(1, Relaxed);
    }
}

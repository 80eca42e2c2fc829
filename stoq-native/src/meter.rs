//! What a path is like, beyond what quinn tells: measured where quinn says which packets have arrived.
//!
//! quinn keeps the variation of the round-trip time to itself, and has no rate. But it asks a congestion controller on every
//! acknowledgement, and lets it be looked at. So ours takes notes, and [`read`] puts them together with quinn's counters.
//!
//! Not part of the API that this crate keeps stable: it is there for the workspace's gateway, whose browsers come over quinn
//! too, so that a page is told the same figures that a native peer sees.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use stoq_core::frame::Stats;
use stoq_core::tier::Tier;

use crate::congestion::{self, CongestionAlgorithm};

/// What a path is like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStats {
    /// Round-trip time, smoothed.
    pub rtt: Duration,
    /// Its mean deviation; `None` until it has been measured.
    pub rtt_variation: Option<Duration>,
    /// Packets that count as lost, since the connection began.
    pub lost_packets: u64,
    /// Bytes that may be on their way at once.
    pub congestion_window: u64,
    /// Bytes a second that are sent and arrive.
    pub send_rate: u64,
    /// The class of the path, or one that it has reached at least; `None` if nothing can be said of it.
    pub tier: Option<Tier>,
}

impl PathStats {
    /// What a browser is told; `None` until all of it has been measured.
    pub fn to_frame(&self) -> Option<Stats> {
        Some(Stats {
            rtt: self.rtt,
            rtt_variation: self.rtt_variation?,
            lost_packets: self.lost_packets,
            congestion_window: self.congestion_window,
            send_rate: self.send_rate,
            tier: self.tier.map_or(0, Tier::number),
        })
    }
}

/// Has connections with these settings measured, and their congestion controlled by Cubic, as it is in quinn by itself.
pub fn install(transport: &mut quinn::TransportConfig) {
    let factory = congestion::SharedFactory(CongestionAlgorithm::default());
    transport.congestion_controller_factory(Arc::new(factory));
}

/// What the path of this connection is like. If nothing was [installed](install), what has to be measured is absent or 0.
pub fn read(connection: &quinn::Connection) -> PathStats {
    let path = connection.stats().path;
    let mut meter = congestion::of(connection)
        .map(|controller| controller.meter)
        .unwrap_or_default();
    meter.observe(path.rtt);
    PathStats {
        rtt: path.rtt,
        rtt_variation: meter.rtt_variation,
        lost_packets: path.lost_packets,
        congestion_window: path.cwnd,
        send_rate: meter.send_rate(Instant::now()),
        tier: meter.tier,
    }
}

/// The notes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// Bytes that arrived, since the path was new.
    pub(crate) delivered: u64,
    /// Those among them that arrived while the application had no more to send.
    pub(crate) idled: u64,
    /// The smoothed round-trip time as it was last seen. What is seen first is a guess, before any measurement.
    seen: Option<Duration>,
    pub(crate) rtt_variation: Option<Duration>,
    /// Bytes that arrived, whatever held the sender back.
    sent: Window,
    send_rate: Option<u64>,
    /// Bytes that arrived while there was always more to send.
    full: Window,
    /// Whether there was not, since that window began.
    limited: bool,
    tier: Option<Tier>,
}

/// Bytes since some moment; none before the first.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Instant>,
    bytes: u64,
}

impl Meter {
    /// The smoothed round-trip time is this now. To be seen at every step it takes, which is how its mean deviation is known:
    /// by [RFC 9002, section 5.3], a sample that is off by d moves the smoothed time by d / 8, and the deviation by a quarter
    /// of the way to |d|.
    ///
    /// [RFC 9002, section 5.3]: https://www.rfc-editor.org/rfc/rfc9002#section-5.3
    pub(crate) fn observe(&mut self, smoothed: Duration) {
        let Some(seen) = self.seen.replace(smoothed) else {
            return;
        };
        if seen != smoothed {
            self.rtt_variation = Some(match self.rtt_variation {
                Some(variation) => variation * 3 / 4 + seen.abs_diff(smoothed) * 2,
                None => smoothed / 2,
            });
        }
    }

    /// Bytes have arrived; `limited` says whether the sender had nothing more to send.
    pub(crate) fn arrived(&mut self, bytes: u64, limited: bool) {
        self.delivered += bytes;
        if limited {
            self.idled += bytes;
        }
        self.sent.bytes += bytes;
        self.full.bytes += bytes;
    }

    /// All that one acknowledgement says has been noted. `limited` says whether the sender had nothing more to send,
    /// `in_flight` how many bytes have not arrived yet.
    pub(crate) fn acknowledged(&mut self, now: Instant, limited: bool, in_flight: u64) {
        if let Some((rate, _)) = self.sent.turn(now, WINDOW) {
            self.send_rate = Some(rate);
        }
        self.limited |= limited;
        // Two round trips at least, so that a burst and the wait behind it are seen together.
        let long = WINDOW.max(self.seen.unwrap_or_default() * 2);
        if let Some((rate, passed)) = self.full.turn(now, long) {
            let tier = Tier::of(rate);
            // What came in long after its time has waited for the application, not for the path.
            let full = !self.limited && rate > 0 && passed < long * 2;
            // The path carries this much at least, and perhaps more; that it is not the slowest is news then.
            let at_least = tier > self.tier.unwrap_or(Tier::Slow);
            if full || at_least {
                self.tier = Some(tier);
            }
            self.limited = false;
        }
        if in_flight == 0 {
            self.full = Window::default();
            self.limited = false;
        }
    }

    /// Over the last window that is complete, or the present one if it has lasted for longer.
    fn send_rate(&self, now: Instant) -> u64 {
        let passed = self.sent.since.map(|since| now.duration_since(since));
        match (self.send_rate, passed) {
            (Some(rate), Some(passed)) if passed < WINDOW => rate,
            (_, Some(passed)) => rate(self.sent.bytes, passed),
            (_, None) => 0,
        }
    }
}

impl Window {
    /// If it has lasted so long: its rate, how long it was, and the next one begins.
    fn turn(&mut self, now: Instant, long: Duration) -> Option<(u64, Duration)> {
        let Some(since) = self.since else {
            // What arrives first has been on its way for an unknown time.
            *self = Self {
                since: Some(now),
                bytes: 0,
            };
            return None;
        };
        let passed = now.duration_since(since);
        if passed < long {
            return None;
        }
        let rate = rate(self.bytes, passed);
        *self = Self {
            since: Some(now),
            bytes: 0,
        };
        Some((rate, passed))
    }
}

fn rate(bytes: u64, passed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / passed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Rates are averages over so long: some round trips of most paths, and soon enough for who watches.
const WINDOW: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;

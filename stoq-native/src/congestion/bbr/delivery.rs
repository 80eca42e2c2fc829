//! How fast a path delivers, by the [delivery rate estimation] of BBR's draft.
//!
//! [delivery rate estimation]: https://datatracker.ietf.org/doc/draft-ietf-ccwg-bbr/

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

/// Counts what arrives, and remembers what the count was when packets left.
///
/// The draft keeps that with each packet. quinn tells of an acknowledged packet when it was sent, and nothing else that a packet
/// could be found by; so it is kept by time here, some [times](STEPS) in a round trip.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    /// Bytes that have arrived.
    delivered: u64,
    /// When the last of them did, or when something was sent into a path that was empty.
    delivered_at: Option<Instant>,
    /// When the packet left that has arrived last, or the first one into an empty path.
    first: Option<Instant>,
    /// Whether the application had no more to send, when something last arrived.
    limited: bool,
    departures: VecDeque<Departure>,
    /// That of the latest packet that the acknowledgement at hand is about.
    latest: Option<Departure>,
}

/// What was known when a packet left.
#[derive(Clone, Copy, Debug)]
struct Departure {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    first: Instant,
    limited: bool,
}

/// What one acknowledgement says of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Bytes a second.
    pub(super) rate: f64,
    /// The time over which it was measured.
    pub(super) over: Duration,
    /// Bytes that had arrived when the packet was sent.
    pub(super) since: u64,
    /// Whether the application may have kept the rate lower than the path does.
    pub(super) limited: bool,
}

impl Delivery {
    /// Bytes that have arrived so far.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Something is sent; `round_trip` is the shortest known.
    pub(super) fn sent(&mut self, now: Instant, round_trip: Duration) {
        let step = round_trip / STEPS;
        let soon = |last: &Departure| now.saturating_duration_since(last.at) <= step;
        // The oldest stay: what is acknowledged next left with them.
        if self.departures.back().is_some_and(soon) || self.departures.len() == MOST {
            return;
        }
        self.departures.push_back(Departure {
            at: now,
            delivered: self.delivered,
            delivered_at: *self.delivered_at.get_or_insert(now),
            first: *self.first.get_or_insert(now),
            limited: self.limited,
        });
    }

    /// A packet has arrived that was sent then.
    pub(super) fn arrived(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = Some(now);
        while let Some(departure) = self.departures.front().filter(|next| next.at <= sent) {
            self.latest = Some(*departure);
            self.departures.pop_front();
        }
    }

    /// All that one acknowledgement is about has arrived, and `in_flight` bytes have not. `None` if it was about nothing that left
    /// later than what earlier ones were about.
    pub(super) fn sample(&mut self, now: Instant, in_flight: u64, limited: bool) -> Option<Sample> {
        self.limited = limited;
        let latest = self.latest.take();
        if let Some(latest) = latest {
            self.first = Some(latest.at);
        }
        if in_flight == 0 {
            // The time until something is sent again is not the path's.
            self.departures.clear();
            (self.delivered_at, self.first) = (None, None);
        }
        let latest = latest?;
        // A path cannot deliver faster than it is sent to; a burst of acknowledgements only looks as if it did.
        let arriving = now.saturating_duration_since(latest.delivered_at);
        let leaving = latest.at.saturating_duration_since(latest.first);
        let over = arriving.max(leaving);
        let bytes = (self.delivered - latest.delivered) as f64;
        Some(Sample {
            rate: bytes / over.max(SHORTEST).as_secs_f64(),
            over,
            since: latest.delivered,
            limited: limited || latest.limited,
        })
    }
}

/// Departures remembered in a round trip. A packet between two of them is taken for the earlier one.
const STEPS: u32 = 16;
/// Departures remembered in all, with 64 bytes each: eight of the shortest round trips. Behind a longer queue, those between are not.
const MOST: usize = 128;
/// Nothing is divided by zero.
const SHORTEST: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_rate_is_what_arrived_since_the_packet_left() {
        let mut delivery = Delivery::default();
        let start = Instant::now();
        // A packet of 1000 bytes each millisecond, and ten milliseconds on the way.
        let mut rates = Vec::new();
        for step in 0..30 {
            let now = start + MILLISECOND * step;
            if let Some(sent) = now.checked_sub(10 * MILLISECOND).filter(|at| *at >= start) {
                delivery.arrived(now, sent, 1000);
                rates.push(delivery.sample(now, 10_000, false).unwrap());
            }
            delivery.sent(now, Duration::ZERO);
        }
        assert_eq!(delivery.delivered(), 20_000);
        let last = rates.last().unwrap();
        assert!((last.rate - 1_000_000.0).abs() < 1.0, "{last:?}");
        assert_eq!((last.over, last.since), (10 * MILLISECOND, 10_000));
    }

    #[test]
    fn a_burst_of_acknowledgements_is_no_faster_than_what_was_sent() {
        let mut delivery = Delivery::default();
        let start = Instant::now();
        let at = |number| start + MILLISECOND * number;
        for number in 0..10 {
            delivery.sent(at(number), Duration::ZERO);
        }
        delivery.arrived(at(10), at(0), 1000);
        delivery.sample(at(10), 9000, false).unwrap();
        for number in 10..20 {
            delivery.sent(at(number), Duration::ZERO);
        }
        // All the others at once.
        for number in 1..20 {
            delivery.arrived(at(20), at(number), 1000);
        }
        let sample = delivery.sample(at(20), 0, false).unwrap();
        assert_eq!(sample.over, 19 * MILLISECOND);
    }

    #[test]
    fn idle_time_is_not_the_path_s() {
        let mut delivery = Delivery::default();
        let start = Instant::now();
        let hour = Duration::from_secs(3600);
        delivery.sent(start, MILLISECOND);
        delivery.arrived(start + MILLISECOND, start, 1000);
        let sample = delivery.sample(start + MILLISECOND, 0, true).unwrap();
        assert!(sample.limited);
        delivery.sent(start + hour, MILLISECOND);
        delivery.arrived(start + hour + MILLISECOND, start + hour, 1000);
        let sample = delivery.sample(start + hour + MILLISECOND, 1000, false);
        let sample = sample.unwrap();
        assert_eq!(sample.over, MILLISECOND);
        assert!(sample.limited, "it left when there was no more to send");
    }

    #[test]
    fn however_long_nothing_arrives_what_is_kept_is_bounded() {
        let mut delivery = Delivery::default();
        let start = Instant::now();
        for number in 0..1000 {
            delivery.sent(start + MILLISECOND * number, MILLISECOND);
        }
        assert_eq!(delivery.departures.len(), MOST);
        delivery.arrived(start + MILLISECOND * 1000, start, 1000);
        assert!(
            delivery
                .sample(start + MILLISECOND * 1000, 1000, false)
                .is_some()
        );
    }

    /// A queue that holds eleven times as much as the path: more departures in a round trip than are kept.
    #[test]
    fn what_arrives_is_seen_through_the_longest_queue() {
        let mut delivery = Delivery::default();
        let start = Instant::now();
        let tick = MILLISECOND / 10;
        let mut samples = 0;
        for number in 0..10_000u32 {
            let now = start + tick * number;
            delivery.sent(now, 10 * MILLISECOND);
            if number >= 1200 {
                delivery.arrived(now, now - tick * 1200, 1000);
                samples += u32::from(delivery.sample(now, 1_200_000, false).is_some());
            }
        }
        assert!(samples > 100, "{samples} of 8,800 acknowledgements");
    }
}

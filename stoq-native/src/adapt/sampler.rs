//! From counters to samples.

use core::time::Duration;
use std::time::Instant;

use crate::congestion;

/// What a connection's path did for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// When it ended, since adaptation began.
    pub at: Duration,
    /// How long it was.
    pub length: Duration,
    /// Round-trip time at its end, smoothed.
    pub rtt: Duration,
    /// The mean deviation of that; `None` before the first acknowledgement.
    pub rtt_variation: Option<Duration>,
    /// Bytes a second that arrived.
    pub delivery_rate: u64,
    /// Packets that were sent.
    pub sent_packets: u64,
    /// Packets that turned out to be lost, some of which were sent before.
    pub lost_packets: u64,
    /// How often the congestion controller was told of loss, or of a mark (ECN) that stands for it.
    pub congestion_events: u64,
    /// Nothing arrived, or more than a tenth of it while there was nothing more to send (because the application had nothing,
    /// or the peer's windows were full): the rate is the application's, not the path's.
    pub limited: bool,
    /// The congestion window still doubles with every round trip: the path carries this much at least.
    pub ramping: bool,
}

/// Takes samples of one connection.
#[derive(Debug)]
pub(super) struct Sampler {
    start: Instant,
    last: Option<Counters>,
}

/// What has happened since the connection began, or its path.
#[derive(Clone, Copy, Debug)]
struct Counters {
    at: Instant,
    /// When the path was new, by which it is told from others.
    path: Instant,
    delivered: u64,
    idled: u64,
    sent: u64,
    lost: u64,
    events: u64,
    rtt: Duration,
    rtt_variation: Option<Duration>,
    ramping: bool,
}

impl Counters {
    /// `None` if quinn works with a controller of its own.
    fn read(connection: &quinn::Connection) -> Option<Self> {
        let mut controller = congestion::of(connection)?;
        let path = connection.stats().path;
        let at = Instant::now();
        controller.meter.observe(path.rtt);
        Some(Self {
            at,
            path: controller.since(),
            delivered: controller.meter.delivered,
            idled: controller.meter.idled,
            sent: path.sent_packets,
            lost: path.lost_packets,
            events: path.congestion_events,
            rtt: path.rtt,
            rtt_variation: controller.meter.rtt_variation,
            ramping: controller.in_slow_start(),
        })
    }
}

impl Sampler {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, last: None }
    }

    /// What happened since it was last asked; `None` the first time, and when the path is another one.
    pub(super) fn sample(&mut self, connection: &quinn::Connection) -> Option<Sample> {
        self.take(Counters::read(connection)?)
    }

    fn take(&mut self, now: Counters) -> Option<Sample> {
        let last = self.last.replace(now)?;
        if last.path != now.path {
            return None;
        }
        let length = now.at.saturating_duration_since(last.at);
        // A copy of the path's controller goes on counting from where its original was, and a path that turned out not to work
        // gives way to the one before.
        let delivered = now.delivered.saturating_sub(last.delivered);
        let idled = now.idled.saturating_sub(last.idled);
        let rate = u128::from(delivered) * 1_000_000 / length.as_micros().max(1);
        Some(Sample {
            at: now.at.saturating_duration_since(self.start),
            length,
            rtt: now.rtt,
            rtt_variation: now.rtt_variation,
            delivery_rate: u64::try_from(rate).unwrap_or(u64::MAX),
            sent_packets: now.sent.saturating_sub(last.sent),
            lost_packets: now.lost.saturating_sub(last.lost),
            congestion_events: now.events.saturating_sub(last.events),
            // Tiers are further from each other than that.
            limited: delivered == 0 || idled > delivered / 10,
            ramping: now.ramping,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters at the end of so many quarters of a second.
    fn counters(start: Instant, quarters: u32, delivered: u64, idled: u64) -> Counters {
        Counters {
            at: start + quarters * Duration::from_millis(250),
            path: start,
            delivered,
            idled,
            sent: delivered / 1000,
            lost: 7,
            events: 2,
            rtt: Duration::from_millis(20),
            rtt_variation: None,
            ramping: false,
        }
    }

    #[test]
    fn a_sample_is_what_happened_between() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        assert_eq!(sampler.take(counters(start, 1, 5_000, 0)), None);
        let sample = sampler.take(counters(start, 2, 30_005_000, 3_000_000));
        let sample = sample.unwrap();
        assert_eq!(
            (sample.at, sample.length),
            (Duration::from_millis(500), Duration::from_millis(250))
        );
        assert_eq!(sample.delivery_rate, 120_000_000);
        assert_eq!(
            (
                sample.sent_packets,
                sample.lost_packets,
                sample.congestion_events
            ),
            (30_000, 0, 0)
        );
        assert!(!sample.limited, "a tenth does not matter");
    }

    #[test]
    fn what_waited_for_the_application_is_marked() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        sampler.take(counters(start, 1, 0, 0));
        let sample = sampler.take(counters(start, 2, 1_000_000, 100_001));
        assert!(sample.unwrap().limited);
        let sample = sampler.take(counters(start, 3, 1_000_000, 100_001));
        assert!(sample.unwrap().limited, "nothing arrived at all");
    }

    #[test]
    fn a_new_path_begins_with_nothing() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        sampler.take(counters(start, 1, 1_000_000, 0));
        let mut moved = counters(start, 2, 5_000_000, 0);
        moved.path = moved.at;
        assert_eq!(sampler.take(moved), None);
    }
}

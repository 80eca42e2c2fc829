//! How long a round trip is when nothing waits on the way.

use core::time::Duration;
use std::time::Instant;

/// The shortest round trip of late, and those of the present round.
///
/// It is measured anew when nothing as short has been seen for [a while](RENEWED): then the sender gives way for a moment.
/// What gives way empties the queue for all who share it, so that all see the shortest round trip at the same time, and are due
/// together the next time.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrip {
    least: Option<Seen>,
    /// The shortest since the sender last gave way.
    recent: Option<Seen>,
    of_round: Option<Duration>,
    of_last_round: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    time: Duration,
    at: Instant,
}

impl RoundTrip {
    /// The shortest; zero until something has arrived.
    pub(super) fn least(&self) -> Duration {
        self.least.map_or(Duration::ZERO, |least| least.time)
    }

    /// The shortest of the round before this one, queues included; the shortest of all until there was one. With the mean in its
    /// place a queue would keep itself up: 25 ms of it in place of 5 on a path of 100 ms, and flows that share more slowly.
    pub(super) fn present(&self) -> Duration {
        self.of_last_round.unwrap_or_else(|| self.least())
    }

    /// Whether something waited all through the round before this one: it was a tenth longer than it could be.
    pub(super) fn has_queue(&self) -> bool {
        self.present() > self.least() * 11 / 10
    }

    /// Takes one measurement. Says whether nothing as short has been seen for so long that it is time to give way.
    pub(super) fn see(&mut self, now: Instant, time: Duration) -> bool {
        let seen = Seen { time, at: now };
        self.of_round = Some(self.of_round.map_or(time, |least| least.min(time)));
        let due = self
            .recent
            .is_some_and(|recent| recent.is_older(now, RENEWED));
        self.recent = Some(match self.recent {
            Some(recent) if !due => recent.or(seen),
            _ => seen,
        });
        self.least = match (self.least, self.recent) {
            (Some(least), Some(recent)) if !least.is_older(now, KEPT) => Some(least.or(recent)),
            (_, recent) => recent,
        };
        due
    }

    /// A round has ended.
    pub(super) fn turn(&mut self) {
        self.of_last_round = self.of_round.take().or(self.of_last_round);
    }
}

impl Seen {
    fn is_older(&self, now: Instant, age: Duration) -> bool {
        now.saturating_duration_since(self.at) > age
    }

    /// The shorter one; or this one as of the other's time, if they are as good as alike.
    fn or(self, other: Self) -> Self {
        if other.time <= self.time {
            other
        } else if other.time <= self.time * 33 / 32 {
            Self {
                time: self.time,
                at: self.at.max(other.at),
            }
        } else {
            self
        }
    }
}

/// After that time without one that is as short a sender gives way (the draft's ProbeRTTInterval): it costs 2 % of the rate, 200 ms at
/// half of it.
const RENEWED: Duration = Duration::from_secs(5);
/// How long the shortest is believed (the draft's MinRTTFilterLen): two tries to measure it.
const KEPT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_shortest_is_believed_for_ten_seconds_and_looked_for_after_five() {
        let mut trip = RoundTrip::default();
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        assert_eq!(trip.least(), Duration::ZERO);
        assert!(!trip.see(start, 10 * MILLISECOND));
        assert!(!trip.see(at(4.9), 20 * MILLISECOND));
        assert!(trip.see(at(5.1), 20 * MILLISECOND));
        assert!(!trip.see(at(5.2), 20 * MILLISECOND), "it was just due");
        assert_eq!(trip.least(), 10 * MILLISECOND);
        trip.see(at(10.1), 21 * MILLISECOND);
        assert_eq!(trip.least(), 20 * MILLISECOND);
        trip.see(at(10.2), 15 * MILLISECOND);
        assert_eq!(
            trip.least(),
            15 * MILLISECOND,
            "what is shorter counts at once"
        );
    }

    #[test]
    fn one_that_is_almost_as_short_keeps_it_fresh() {
        let mut trip = RoundTrip::default();
        let start = Instant::now();
        for second in 0..60 {
            let time = Duration::from_micros(10_000 + second % 2 * 300);
            assert!(!trip.see(start + Duration::from_secs(second), time));
        }
        assert_eq!(trip.least(), 10 * MILLISECOND);
    }

    #[test]
    fn a_round_has_its_own() {
        let mut trip = RoundTrip::default();
        let start = Instant::now();
        trip.see(start, 10 * MILLISECOND);
        assert_eq!(trip.present(), 10 * MILLISECOND);
        trip.turn();
        for time in [30, 11, 40] {
            trip.see(start, time * MILLISECOND);
        }
        assert_eq!(trip.present(), 10 * MILLISECOND, "the round goes on");
        trip.turn();
        assert_eq!(trip.present(), 11 * MILLISECOND);
        assert!(!trip.has_queue());
        trip.turn();
        assert_eq!(
            trip.present(),
            11 * MILLISECOND,
            "nothing arrived in this one"
        );
        trip.see(start, 12 * MILLISECOND);
        trip.turn();
        assert!(trip.has_queue());
    }
}

//! How many control frames a relay may send on behalf of others.

use core::time::Duration;
use std::time::Instant;

use stoq_core::session::{MAX_CONTROL_BURST, MAX_CONTROL_RATE};

/// A token bucket that is told the time: so many frames at once, and so many a second over time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    per_frame: Duration,
    /// What it takes to fill it.
    filling: Duration,
    /// When it will be full, if nothing more is taken.
    full: Option<Instant>,
}

impl Pace {
    /// For one connection to a next hop: half of what a peer may send before the core closes the connection
    /// ([`MAX_CONTROL_BURST`], [`MAX_CONTROL_RATE`]). The other half is for what nobody asks for: keep-alives, answers to pings, and
    /// frames that were held up on the way and come together.
    pub(super) const fn of_connection() -> Self {
        Self::new(MAX_CONTROL_BURST / 2, MAX_CONTROL_RATE / 2)
    }

    /// For all requests of one neighbour's connection that comes without having passed a relay, so a client: a quarter of
    /// [`of_connection`](Self::of_connection).
    pub(super) const fn of_client() -> Self {
        Self::new(MAX_CONTROL_BURST / 8, MAX_CONTROL_RATE / 8)
    }

    const fn new(burst: u32, per_second: u32) -> Self {
        let per_frame = Duration::from_nanos(1_000_000_000 / per_second as u64);
        Self {
            per_frame,
            filling: per_frame.saturating_mul(burst),
            full: None,
        }
    }

    /// Takes so many, or none, and then says `false`.
    pub(super) fn take(&mut self, now: Instant, frames: u32) -> bool {
        let full = self.full.map_or(now, |full| full.max(now)) + self.per_frame * frames;
        let fits = full.saturating_duration_since(now) <= self.filling;
        if fits {
            self.full = Some(full);
        }
        fits
    }

    /// Whether nothing is missing from it, as in a new one.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full.is_none_or(|full| full <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(100, 50);
        assert!(pace.is_full(start));
        assert!((0..10).all(|_| pace.take(start, 10)));
        assert!(!pace.take(start, 1));
        assert!(!pace.is_full(start));
        let later = start + Duration::from_secs(1);
        assert!(!pace.take(later, 51), "all or nothing");
        assert!(pace.take(later, 50));
        assert!(!pace.take(later, 1));
        let much_later = start + Duration::from_secs(1_000);
        assert!(pace.is_full(much_later));
        assert!(!pace.take(much_later, 101), "no more than a burst");
        assert!(pace.take(much_later, 100));
    }

    /// What one connection takes stays below what the core of the other side allows, whatever the moment.
    #[test]
    fn a_connection_never_gets_near_what_its_peer_refuses() {
        let start = Instant::now();
        let (mut pace, mut sent) = (Pace::of_connection(), 0);
        for millis in 0..10_000 {
            let now = start + Duration::from_millis(millis);
            while pace.take(now, 6) {
                sent += 6;
            }
            assert!(sent <= 2048 + millis * 512 / 1000 + 1);
        }
        assert!(sent > 2048 + 9 * 512);
    }
}

//! How fast seeds are sent.

use core::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::SeedLimits;

/// So many at once, and so many a second over time: half of what a peer takes by default ([`SeedLimits`]), which
/// gives the stream up when more come. The other half is for what waits on the way and then comes at once.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When nothing would be spent any more.
    full: Option<Instant>,
}

impl Pace {
    /// Waits until one more may be sent, and counts it. If the future is dropped before, none is counted.
    pub(super) async fn wait(&mut self) {
        let full = self.full;
        // With a place left in the burst.
        if let Some(next) = full.and_then(|full| full.checked_sub(INTERVAL * (BURST - 1))) {
            sleep_until(next).await;
        }
        let now = Instant::now();
        self.full = Some(full.map_or(now, |full| full.max(now)) + INTERVAL);
    }
}

/// Seeds at once: all that a peer remembers by default.
const BURST: u32 = SeedLimits::DEFAULT.burst / 2;
/// Between two seeds over time.
const INTERVAL: Duration = Duration::from_micros(2_000_000 / SeedLimits::DEFAULT.per_second as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_so_many_a_second() {
        let mut pace = Pace::default();
        let start = Instant::now();
        for sent in 0..600u32 {
            pace.wait().await;
            let expected = INTERVAL * sent.saturating_sub(BURST - 1);
            let late = start.elapsed().saturating_sub(expected);
            // The clock of timers has whole milliseconds.
            assert!(start.elapsed() >= expected && late < Duration::from_millis(2));
        }
        // A long silence is worth no more than the burst.
        tokio::time::advance(Duration::from_secs(3600)).await;
        let start = Instant::now();
        for _ in 0..BURST {
            pace.wait().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.wait().await;
        assert!(start.elapsed() >= INTERVAL);
    }
}

//! Times of single events.

use std::time::Duration;

use super::Outcome;

#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// All of them, as one outcome over `time`.
    pub(crate) fn outcome(mut self, time: Duration) -> Outcome {
        self.0.sort_unstable();
        Outcome {
            count: Some(self.0.len() as u64),
            p50: self.at(50),
            p99: self.at(99),
            time,
            ..Outcome::default()
        }
    }

    /// The smallest that this share of all does not exceed.
    fn at(&self, percent: usize) -> Option<Duration> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_events_that_happened() {
        let mut latencies = Latencies::default();
        for millis in (1..=200).rev() {
            latencies.push(Duration::from_millis(millis));
        }
        let outcome = latencies.outcome(Duration::from_secs(1));
        assert_eq!(outcome.p50, Some(Duration::from_millis(100)));
        assert_eq!(outcome.p99, Some(Duration::from_millis(198)));
        assert_eq!(Latencies::default().outcome(Duration::ZERO).p50, None);
    }
}

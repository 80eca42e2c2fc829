//! How often something happens, against how often it may.

use core::time::Duration;
use std::time::Instant;

/// A bucket that holds one second's worth of tokens, and fills at the rate that it allows.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Rate {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = per_second.into();
        Self {
            per_second,
            tokens: per_second,
            filled: now,
        }
    }

    /// Whether one more is within the rate. One that is not takes nothing.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.filled);
        self.filled = now;
        let tokens = self.tokens + passed.as_secs_f64() * self.per_second;
        self.tokens = tokens.min(self.per_second);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_a_burst_of_one_second_and_then_the_rate() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rate = Rate::new(10, start);
        let allowed = (0..100).filter(|_| rate.allows(start)).count();
        assert_eq!(allowed, 10);
        assert!(!rate.allows(at(50)));
        assert!(rate.allows(at(101)));
        assert!(!rate.allows(at(150)));
        // A long silence is worth no more than a second.
        let allowed = (0..100).filter(|_| rate.allows(at(60_000))).count();
        assert_eq!(allowed, 10);
        // A clock that goes back gives nothing.
        assert!(!rate.allows(start));
    }

    #[test]
    fn nothing_allows_nothing() {
        let start = Instant::now();
        let mut rate = Rate::new(0, start);
        assert!(!rate.allows(start) && !rate.allows(start + Duration::from_secs(9)));
    }
}

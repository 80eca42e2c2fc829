//! How often a peer may make us do something.

use crate::time::Timestamp;

/// A token bucket: so many at once, and so many a second over time.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    burst: u32,
    per_second: u32,
    /// In millionths, so that no time is lost to rounding.
    credit: u64,
    refilled: Timestamp,
}

impl Rate {
    /// Full at first, whatever the time is.
    pub(crate) const fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst,
            per_second,
            credit: burst as u64 * ONE,
            refilled: Timestamp::from_micros(0),
        }
    }

    /// Spends one; `false` if none is left.
    pub(crate) fn spend(&mut self, now: Timestamp) -> bool {
        let micros = now.as_micros().saturating_sub(self.refilled.as_micros());
        let earned = micros.saturating_mul(self.per_second.into());
        self.credit = self
            .credit
            .saturating_add(earned)
            .min(u64::from(self.burst) * ONE);
        self.refilled = self.refilled.max(now);
        let left = self.credit.checked_sub(ONE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// How many a second over time.
    pub(crate) const fn per_second(&self) -> u32 {
        self.per_second
    }
}

const ONE: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let at = Timestamp::from_micros;
        let mut rate = Rate::new(3, 10);
        let spent =
            |rate: &mut Rate, now, most| (0..most).take_while(|_| rate.spend(at(now))).count();
        assert_eq!(spent(&mut rate, 5_000_000, 100), 3);
        assert_eq!(spent(&mut rate, 5_099_999, 100), 0);
        assert_eq!(spent(&mut rate, 5_100_000, 100), 1, "no time is lost");
        assert_eq!(spent(&mut rate, 5_000_000, 100), 0, "nor won by going back");
        assert_eq!(spent(&mut rate, u64::MAX, 100), 3, "no more than a burst");
    }
}

//! When something is to be done again.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A moment on two clocks, that has come when either says so: the one stands still while the machine sleeps, the other can be
/// set back.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    instant: Instant,
    date: Option<SystemTime>,
}

impl Due {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        Self::of(time, Instant::now(), SystemTime::now())
    }

    /// How long from now; zero if it has come.
    pub fn left(self) -> Duration {
        self.left_at(Instant::now(), SystemTime::now())
    }

    /// Whether it has come.
    pub fn has_come(self) -> bool {
        self.left().is_zero()
    }

    fn of(time: Duration, instant: Instant, date: SystemTime) -> Self {
        Self {
            instant: instant + time,
            date: date.checked_add(time),
        }
    }

    fn left_at(self, instant: Instant, date: SystemTime) -> Duration {
        let by_date = self
            .date
            .map(|own| own.duration_since(date).unwrap_or_default());
        let by_instant = self.instant.saturating_duration_since(instant);
        by_date.map_or(by_instant, |by_date| by_date.min(by_instant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_with_the_first_of_two_clocks() {
        let (instant, date) = (Instant::now(), SystemTime::now());
        let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
        let due = Due::of(hour, instant, date);
        assert_eq!(due.left_at(instant, date), hour);
        // The machine slept.
        assert_eq!(due.left_at(instant + minute, date + hour), Duration::ZERO);
        // The clock was set back.
        assert_eq!(due.left_at(instant + hour, date - hour), Duration::ZERO);
        assert_eq!(due.left_at(instant + minute, date), hour - minute);
    }
}

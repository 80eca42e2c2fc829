//! Time as core sees it: told by the caller, never read from a clock.

use core::ops::Add;
use core::time::Duration;

/// A moment on a monotonic clock: microseconds since a start that the caller chooses.
///
/// Two timestamps compare only if they come from the same clock. Arithmetic saturates, so no input can
/// make it panic or wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `micros` µs after the clock's start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time that has passed since `earlier`; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// A date: microseconds since the Unix epoch, for what expires and for what a peer stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMicros(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let late = Timestamp::from_micros(u64::MAX - 1);
        assert_eq!(late + Duration::MAX, Timestamp::from_micros(u64::MAX));
        assert_eq!(Timestamp::default().saturating_since(late), Duration::ZERO);
    }
}

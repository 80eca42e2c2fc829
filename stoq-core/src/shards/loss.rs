use core::fmt;

/// The share of packets that a path loses, from nothing to [`Loss::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    millionths: u32,
}

impl Loss {
    /// A path of which nothing is known yet: one packet in a hundred. Paths without radio lose less, and a first message
    /// that is lost costs more than a shard too many.
    pub const UNKNOWN: Self = Self { millionths: 10_000 };

    /// The most that is planned for, one half. On a path that loses more, further shards would mostly add to what chokes
    /// it.
    pub const MAX: Self = Self {
        millionths: 500_000,
    };

    /// `millionths` packets in a million, or [`MAX`](Self::MAX) if that is less.
    pub const fn from_millionths(millionths: u32) -> Self {
        if millionths > Self::MAX.millionths {
            Self::MAX
        } else {
            Self { millionths }
        }
    }

    /// The loss of a path where `lost` of the last `sent` packets were lost. [`UNKNOWN`](Self::UNKNOWN) weighs in as
    /// another hundred packets, so that few packets say little: `(lost + 1) / (sent + 100)`.
    pub fn observed(sent: u64, lost: u64) -> Self {
        // Beyond 2^44 packets, which nobody has seen, neither number grows.
        let most = u64::MAX >> 20;
        let lost = (lost.min(most) + 1) * 1_000_000;
        let share = lost / (sent.min(most) + 100);
        Self::from_millionths(u32::try_from(share).unwrap_or(u32::MAX))
    }

    /// Packets in a million.
    pub const fn millionths(self) -> u32 {
        self.millionths
    }

    pub(super) fn share(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }
}

impl Default for Loss {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

/// As a percentage: `1.25 %`.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.millionths / 100;
        write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100)
    }
}

/// The loss of the last few hundred packets of a path, from totals that only grow.
#[derive(Clone, Debug, Default)]
pub struct LossMeter {
    totals: Counted,
    /// Two halves of the window; the older one is whole.
    older: Counted,
    newer: Counted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    sent: u64,
    lost: u64,
}

impl LossMeter {
    /// Packets in half a window. A window is one to two halves: enough to tell 1 % from 3 %, and past within a second
    /// at 10 Mbit/s.
    const HALF: u64 = 512;

    /// A meter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes how many packets were `sent` and `lost` since the path began, and gives the loss of the last 512 to 1024 of
    /// them. Totals that are smaller than before belong to a new path: the meter begins anew.
    pub fn update(&mut self, sent: u64, lost: u64) -> Loss {
        if sent < self.totals.sent || lost < self.totals.lost {
            *self = Self::default();
        }
        self.newer.sent += sent - self.totals.sent;
        self.newer.lost += lost - self.totals.lost;
        self.totals = Counted { sent, lost };
        let loss = self.loss();
        if self.newer.sent >= Self::HALF {
            self.older = core::mem::take(&mut self.newer);
        }
        loss
    }

    fn loss(&self) -> Loss {
        Loss::observed(
            self.older.sent.saturating_add(self.newer.sent),
            self.older.lost.saturating_add(self.newer.lost),
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn few_packets_say_little() {
        assert_eq!(Loss::observed(0, 0), Loss::UNKNOWN);
        assert_eq!(Loss::observed(1, 1).millionths(), 19_801);
        assert_eq!(Loss::observed(900, 99).millionths(), 100_000);
        assert_eq!(Loss::observed(10, u64::MAX), Loss::MAX);
        assert_eq!(Loss::observed(u64::MAX, 0).millionths(), 0);
        assert_eq!(Loss::from_millionths(12_345).to_string(), "1.23 %");
    }

    #[test]
    fn a_meter_forgets() {
        let mut meter = LossMeter::new();
        assert_eq!(meter.update(512, 512), Loss::MAX);
        // The 512 that were lost are still the older half.
        assert_eq!(meter.update(1024, 512).millionths(), 456_405);
        assert!(meter.update(1536, 512) < Loss::UNKNOWN);
    }

    #[test]
    fn smaller_totals_begin_a_new_path() {
        let mut meter = LossMeter::new();
        meter.update(10_000, 5_000);
        assert_eq!(meter.update(0, 0), Loss::UNKNOWN);
    }
}

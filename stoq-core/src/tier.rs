//! Classes of paths, by what they carry.

use core::fmt;

/// The class of a path, by the rate at which it carries what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// Below 100 Mbit/s.
    Slow = 1,
    /// From 100 Mbit/s.
    Home = 2,
    /// From 1 Gbit/s.
    Standard = 3,
    /// From 2.5 Gbit/s.
    Performance = 4,
    /// From 10 Gbit/s.
    Enterprise = 5,
    /// From 25 Gbit/s.
    DataCenter = 6,
}

impl Tier {
    /// All of them, the slowest first.
    pub const ALL: [Self; 6] = [
        Self::Slow,
        Self::Home,
        Self::Standard,
        Self::Performance,
        Self::Enterprise,
        Self::DataCenter,
    ];

    /// The class of a path that carries so many bytes a second.
    pub const fn of(bytes_per_second: u64) -> Self {
        match bytes_per_second / MEGABIT {
            0..100 => Self::Slow,
            100..1_000 => Self::Home,
            1_000..2_500 => Self::Standard,
            2_500..10_000 => Self::Performance,
            10_000..25_000 => Self::Enterprise,
            25_000.. => Self::DataCenter,
        }
    }

    /// The number in a [`Stats`](crate::frame::Stats) frame, where 0 stands for a path whose class is not known.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The inverse of [`number`](Self::number); `None` for 0, and for what only a newer peer knows.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.number() == number)
    }

    /// The class of this name; `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// The name, in kebab case, the same in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Home => "home",
            Self::Standard => "standard",
            Self::Performance => "performance",
            Self::Enterprise => "enterprise",
            Self::DataCenter => "data-center",
        }
    }
}

/// The name.
impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// In bytes.
const MEGABIT: u64 = 125_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_begins_where_the_one_below_ends() {
        let edges = [100, 1_000, 2_500, 10_000, 25_000];
        for (at, megabits) in edges.into_iter().enumerate() {
            assert_eq!(Tier::of(megabits * MEGABIT - 1), Tier::ALL[at]);
            assert_eq!(Tier::of(megabits * MEGABIT), Tier::ALL[at + 1]);
        }
        assert_eq!(
            (Tier::of(0), Tier::of(u64::MAX)),
            (Tier::Slow, Tier::DataCenter)
        );
    }

    #[test]
    fn numbers_and_names_come_back_and_none_is_zero() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_number(tier.number()), Some(tier));
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
        }
        assert_eq!(Tier::from_name("Home"), None);
        assert_eq!(Tier::from_number(0), None);
        assert_eq!(Tier::from_number(7), None);
    }
}

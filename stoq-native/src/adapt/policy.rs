//! From samples to a tier: no clock, no I/O, so that what it decides can be replayed.

use core::time::Duration;
use std::collections::VecDeque;

use stoq_core::tier::Tier;

use super::{AdaptationConfig, Sample};

/// Which tier a connection is in, and when it leaves it.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    samples: usize,
    pause: Duration,
    lowest: Tier,
    highest: Tier,
    tier: Tier,
    /// When that began; `None` at first, so that a path that is not where it was thought to be need not wait.
    since: Option<Duration>,
    /// Where the last samples that count have placed the path.
    places: VecDeque<Tier>,
    /// When the last of them ended.
    last: Duration,
}

/// What a sample was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It says nothing of the path.
    Ignored,
    /// It counts.
    Counted,
    /// With those before it, it says that the path is of this tier now.
    Change(Tier),
}

impl Policy {
    /// What was [checked](AdaptationConfig::check).
    pub(crate) fn new(config: &AdaptationConfig) -> Self {
        Self {
            samples: usize::from(config.samples),
            pause: config.pause,
            lowest: config.lowest,
            highest: config.highest,
            tier: config.start.clamp(config.lowest, config.highest),
            since: None,
            places: VecDeque::new(),
            last: Duration::ZERO,
        }
    }

    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    /// The path is of this tier from now on, whoever says so.
    pub(crate) fn force(&mut self, at: Duration, tier: Tier) {
        self.tier = tier;
        self.since = Some(at);
        self.places.clear();
    }

    pub(crate) fn observe(&mut self, sample: &Sample) -> Verdict {
        let place = Tier::of(sample.delivery_rate).clamp(self.lowest, self.highest);
        // The path carries what it was seen to carry, whoever held it back: with less to send than there might have been, in
        // slow start or at the end of a window, a rate can be too low for the path and never too high.
        if (sample.limited || sample.ramping) && place <= self.tier {
            return Verdict::Ignored;
        }
        let began = sample.at.saturating_sub(sample.length);
        if began.saturating_sub(self.last) > LONGEST_GAP {
            self.places.clear();
        }
        self.last = sample.at;
        self.places.push_back(place);
        if self.places.len() > self.samples {
            self.places.pop_front();
        }
        let waited = self
            .since
            .is_none_or(|since| sample.at.saturating_sub(since) >= self.pause);
        if self.places.len() < self.samples || !waited {
            return Verdict::Counted;
        }
        let lowest = self.places.iter().min().copied();
        let highest = self.places.iter().max().copied();
        // All are above: no higher than all of them say. Or below, and no lower.
        let above = lowest.filter(|tier| *tier > self.tier);
        let below = highest.filter(|tier| *tier < self.tier);
        let Some(tier) = above.or(below) else {
            return Verdict::Counted;
        };
        self.force(sample.at, tier);
        Verdict::Change(tier)
    }
}

/// Between two samples of one row, as long as those between say nothing of the path: what it was like before that says little of
/// now. As long as the default pause between two changes; an application that sends in bursts every few seconds is still followed.
const LONGEST_GAP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;

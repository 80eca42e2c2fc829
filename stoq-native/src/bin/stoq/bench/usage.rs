//! What the generator itself takes of its machine.

use core::time::Duration;
use std::time::Instant;

use serde::Serialize;

/// A moment, and the processor time until then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    at: Instant,
    own: Option<Duration>,
    machine: Option<Ticks>,
}

/// Of the whole machine since it runs, in the system's own unit.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    busy: u64,
    all: u64,
}

/// Processor time between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// User and system, of this process; `None` where the system does not tell.
    pub(super) own: Option<Duration>,
    /// Of all that the machine's cores could do, 0…1.
    pub(super) share: Option<f64>,
    /// The same of all processes together, the server's too if it runs here.
    pub(super) machine_share: Option<f64>,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            own: own(),
            machine: machine(),
        }
    }

    pub(super) fn elapsed(self, later: Self) -> Duration {
        later.at - self.at
    }

    pub(super) fn usage(self, later: Self) -> Usage {
        let own = later.own.zip(self.own).map(|(later, own)| later - own);
        let could = self.elapsed(later).as_secs_f64() * cores() as f64;
        let machine = later.machine.zip(self.machine);
        Usage {
            own,
            share: own.map(|own| own.as_secs_f64() / could.max(f64::MIN_POSITIVE)),
            machine_share: machine.map(|(later, before)| {
                let all = later.all.saturating_sub(before.all).max(1);
                later.busy.saturating_sub(before.busy) as f64 / all as f64
            }),
        }
    }
}

impl Usage {
    /// Who took nearly all that the cores can give, so that what was measured may be this end's limit. What is left above 85 %
    /// goes in pieces too small for a thread that waits.
    pub(super) fn at_limit(self) -> Option<Limit> {
        let above = |share: Option<f64>| share.is_some_and(|share| share > LIMIT);
        if above(self.share) {
            return Some(Limit::Generator);
        }
        above(self.machine_share).then_some(Limit::Machine)
    }
}

/// What kept the cores busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Limit {
    /// This command.
    Generator,
    /// This command and what else runs here, the server too if it does.
    Machine,
}

pub(super) const LIMIT: f64 = 0.85;

/// That this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Resident memory of this process at its highest so far, in bytes.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: u64 = line?.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(unix)]
fn own() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(unix))]
fn own() -> Option<Duration> {
    None
}

/// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in the first two.
fn machine() -> Option<Ticks> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = ticks
        .split_whitespace()
        .take(8)
        .map_while(|word| word.parse().ok())
        .collect();
    let all = ticks.iter().sum();
    let idle: u64 = ticks.get(3..5)?.iter().sum();
    Some(Ticks {
        busy: all - idle,
        all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_is_computed_takes_processor_time() {
        let before = Moment::now();
        let mut sum = 0u64;
        while before.usage(Moment::now()).own < Some(Duration::from_millis(20)) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        let usage = before.usage(Moment::now());
        let share = usage.share.unwrap();
        // Other tests may run in this process; none takes more than the cores there are.
        assert!(share > 0.0 && share < 1.5, "{usage:?}");
    }

    #[test]
    fn the_limit_is_that_of_the_process_or_of_the_machine() {
        let usage = |share, machine_share| Usage {
            own: None,
            share,
            machine_share,
        };
        assert_eq!(usage(None, None).at_limit(), None);
        assert_eq!(usage(Some(0.8), Some(0.84)).at_limit(), None);
        assert_eq!(usage(Some(0.9), None).at_limit(), Some(Limit::Generator));
        assert_eq!(usage(Some(0.4), Some(0.9)).at_limit(), Some(Limit::Machine));
    }
}
